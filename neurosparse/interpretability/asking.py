"""What is asked of profiles, read once: every family of scores takes one `Question` and gives `Draws`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from neurosparse.backend.psychophysics import Draw
from neurosparse.backend.resampling import (
    bootstrap_weights,
    circular_shifts,
    label_codes,
    near_duplicates,
    permutations,
    random_halves,
)
from neurosparse.errors import InputError
from neurosparse.interpretability.profiles import Profiles
from neurosparse.interpretability.similarity import Judge, pixel_rows, places

Ints = NDArray[np.int64]
# Circular shifts are calibrated only where a series is this many autocorrelation times long.
LEAST_TAUS = 50
# Halvings of the samples, each half picking for the other, in scores that pick.
_N_HALVINGS = 2


@dataclass(frozen=True)
class Question:
    """Which scores, of which samples, against which null draws and in which bootstrap samples.

    judge : None where no score needs a similarity. permuted : (permutation, sample), empty where undecidable. weights :
    (bootstrap, cluster). alpha : slope of the soft score, None to take it from the similarity. classes : (sample,) from
    0. covariate : (sample, dimension). on_step : called once a draw. device : of the matrix
    products.
    """

    names: tuple[str, ...]
    samples: Profiles
    judge: Judge | None
    draw: Draw
    permuted: Ints
    weights: Ints
    n_permutations: int
    rng: np.random.Generator
    alpha: float | None = None
    classes: Ints | None = None
    covariate: NDArray[np.float64] | None = None
    period: float | None = None
    n_bins: int = 20
    on_step: Callable[[], Any] | None = None
    device: Any = "cpu"
    notes: dict[str, Any] = field(default_factory=dict)

    @property
    def sample_weights(self) -> Ints:
        """(bootstrap, sample)."""
        return self.weights[:, self.samples.clusters]

    @property
    def shuffled(self) -> str:
        if self.samples.dim == "time":
            return "circular shifts of the {} against the profiles"
        return "whole stimuli permuted against the {}"


def check_draws(n_permutations: Any, n_bootstraps: Any) -> None:
    for name, value in (("n_permutations", n_permutations), ("n_bootstraps", n_bootstraps)):
        if not isinstance(value, int | np.integer) or value < 1:
            raise InputError(f"{name} must be a whole number of at least 1; got {value!r}.")


def near(profiles: Profiles, stimuli: Any, groups: Any) -> Ints | None:
    """Near-duplicates: as given, else among the images, else none."""
    if groups is None:
        if stimuli is None or profiles.dim == "time":
            return None
        return near_duplicates(pixel_rows(stimuli, profiles))
    if profiles.dim == "time":
        raise InputError("groups are for stimuli; samples of (time, unit) profiles are kept apart by their tau.")
    return label_codes(one_a_stimulus(groups, profiles, "groups"), "groups")[1]


def one_a_stimulus(entries: Any, profiles: Profiles, name: str) -> NDArray[Any]:
    """One entry a sample of the profiles: labelled by stimulus, or an array in their order."""
    if isinstance(entries, xr.DataArray) and "stimulus" in entries.coords and profiles.dim != "time":
        entries = entries.values[places(profiles, entries["stimulus"].values, name)]
    labels = np.asarray(entries)
    if labels.shape[:1] != profiles.labels.shape:
        what = "times" if profiles.dim == "time" else "stimuli"
        raise InputError(
            f"{name} needs one label for each of the {len(profiles.labels)} {what}; got shape {labels.shape}."
        )
    return labels


def read_classes(labels: Any, profiles: Profiles) -> Ints | None:
    """Classes from 0, each with at least four groups of stimuli, so that both halves can know it."""
    if labels is None:
        return None
    entries = one_a_stimulus(labels, profiles, "labels")
    if entries.ndim != 1:
        raise InputError(f"labels needs one class a sample; got shape {entries.shape}. Score one concept at a time.")
    distinct, classes, counts = label_codes(entries, "labels")
    groups = np.array([len(np.unique(profiles.clusters[classes == k])) for k in range(len(distinct))])
    if len(distinct) < 2 or groups.min() < 4:
        few = int(groups.argmin())
        raise InputError(
            "labels needs at least two classes of at least 4 stimuli that are no near-duplicates, two for each half; "
            f"got {len(distinct)} classes, the smallest {distinct[few]!r} with {counts[few]} stimuli in {groups[few]} "
            "groups. Merge or drop small classes."
        )
    return classes


def read_covariate(covariate: Any, profiles: Profiles, period: Any) -> NDArray[np.float64] | None:
    if covariate is None:
        return None
    if isinstance(covariate, xr.DataArray) and profiles.dim == "time":
        times = covariate[covariate.dims[0]].values if covariate.dims[0] in covariate.coords else None
        if times is not None and not np.array_equal(times, profiles.source["time"].values):
            raise InputError(
                "covariate has other times than profiles. Interpolate it at theirs, as in "
                'covariate.interp(time=profiles["time"]).'
            )
    values = np.asarray(covariate.values if isinstance(covariate, xr.DataArray) else covariate)
    if profiles.dim == "time" and len(values) == profiles.source.sizes["time"]:
        values = values[profiles.rows]
    else:
        values = one_a_stimulus(covariate, profiles, "covariate")
    if values.ndim not in (1, 2) or values.dtype.kind not in "biuf" or np.isinf(values).any():
        raise InputError(
            f"covariate needs numbers (sample,) or (sample, dimension); got shape {values.shape} of dtype "
            f"{values.dtype}."
        )
    if period is not None and not period > 0:
        raise InputError(f"period is that of a circular covariate, as in 2 * np.pi; got {period!r}.")
    values = values.reshape(len(values), -1).astype(np.float64)
    if np.isfinite(values).all(axis=1).sum() < 3:
        raise InputError("covariate was observed on fewer than 3 samples of profiles.")
    return values


def permuted_samples(profiles: Profiles, n_permutations: int, rng: np.random.Generator) -> tuple[Ints, str]:
    """Permutations or circular shifts of the samples, (permutation, sample), or none and why."""
    n = len(profiles.labels)
    if profiles.dim != "time":
        return permutations(n, n_permutations, random_state=rng), ""
    n_taus = n / profiles.tau
    if n_taus < LEAST_TAUS:
        said = f"undecidable: {n} samples are {n_taus:.1f} autocorrelation times, fewer than {LEAST_TAUS}"
        return np.empty((0, n), dtype=np.int64), said
    n_shifts = min(n_permutations, n - 2 * profiles.gap + 1)
    return circular_shifts(n, n_shifts, minimum=profiles.gap, random_state=rng), ""


def cluster_weights(profiles: Profiles, n_bootstraps: int, rng: np.random.Generator) -> Ints:
    n_clusters = int(profiles.clusters.max()) + 1
    if n_clusters < 2:
        return np.empty((0, n_clusters), dtype=np.int64)
    return bootstrap_weights(np.arange(n_clusters), n_bootstraps, random_state=rng).astype(np.int64)


def sample_halves(
    profiles: Profiles, classes: Ints | None, rng: np.random.Generator, n_halvings: int = _N_HALVINGS
) -> NDArray[np.bool_]:
    """Random halves of whole clusters, each class in both, (halving, sample)."""
    clusters, first = np.unique(profiles.clusters, return_index=True)
    kind = np.zeros(len(clusters), dtype=np.int64) if classes is None else classes[first]
    counts = np.bincount(kind)
    halves = [half[profiles.clusters] for half in random_halves(kind, counts, n_halvings, random_state=rng)]
    return np.array(halves)
