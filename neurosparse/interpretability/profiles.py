"""From a population to the samples that its profiles are asked about."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from neurosparse.backend.psychophysics import least_samples
from neurosparse.backend.resampling import autocorrelation_time, label_codes, label_means
from neurosparse.errors import DataWarning, InputError
from neurosparse.population import as_matrix

DIMS = [(sample, last) for sample in ("stimulus", "trial", "time") for last in ("unit", "atom")]
_COUNTS = {"spike count", "spike counts", "event count", "event counts", "count", "counts"}


@dataclass(frozen=True)
class Trials:
    """Single trials: values (trial, profile), the kept rows of the population, and their stimulus's number."""

    values: NDArray[np.float64]
    rows: NDArray[np.int64]
    codes: NDArray[np.int64]


@dataclass(frozen=True)
class Profiles:
    """What the scores see of a population.

    values : (sample, profile), repeats averaged. labels : (sample,) stimulus ids or times. repeats : (sample,).
    trials : None unless every sample has two or more. groups : (sample,) near-duplicates. clusters : (sample,) what a
    bootstrap draws whole. gap, tau : samples; 0 and NaN for stimuli.
    """

    source: xr.DataArray
    dim: str
    values: NDArray[np.float64]
    labels: NDArray[Any]
    repeats: NDArray[np.int64]
    rows: NDArray[np.int64]
    trials: Trials | None = None
    groups: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    clusters: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    gap: int = 0
    tau: float = float("nan")

    @property
    def last(self) -> str:
        return str(self.source.dims[-1])

    @property
    def are_counts(self) -> bool:
        """Whether values are averages of whole numbers that the population says are counts."""
        total = self.values * self.repeats[:, None]
        said = str(self.source.attrs.get("quantity", "")).strip().lower() in _COUNTS
        return said and bool((total >= 0).all()) and bool(np.allclose(total, np.round(total), atol=1e-6))


def read_profiles(x: Any, nan: Any) -> Profiles:
    """Check a population and average its repeats, keeping the trials where there are any."""
    if not isinstance(x, xr.DataArray) or x.dims not in DIMS:
        got = f"dims {tuple(map(str, x.dims))}" if isinstance(x, xr.DataArray) else type(x).__name__
        raise InputError(
            "profiles needs dims (stimulus, unit), (trial, unit) or (time, unit), or these with atom last; got "
            f'{got}. Make one with population.from_arrays; reduce other dims first, as in x.mean("time").'
        )
    matrix = as_matrix(x, nan=nan, name="profiles")
    rows, dim = np.flatnonzero(matrix.kept), str(x.dims[0])
    if dim != "trial":
        labels = x[dim].values[rows]
        repeats = x["n_repeats"].values[rows] if dim == "stimulus" and "n_repeats" in x.coords else np.ones(len(rows))
        return Profiles(x, dim, matrix.values, labels, repeats.astype(np.int64), rows)
    return _of_trials(x, matrix.values, rows)


def _of_trials(x: xr.DataArray, values: NDArray[np.float64], rows: NDArray[np.int64]) -> Profiles:
    if "stimulus" not in x.coords or x["stimulus"].dims != ("trial",):
        raise InputError(
            "profiles with a trial dim need a stimulus coord on it, which says what was shown; got coords "
            f"{sorted(str(name) for name in x.coords)}. Add it with x.assign_coords(stimulus=('trial', ...))."
        )
    labels, codes, counts = label_codes(x["stimulus"].values[rows], "the stimulus coord of profiles")
    if counts.max() == 1:
        means, _ = label_means(values, codes, len(labels))
        return Profiles(x, "stimulus", means, labels, counts, rows)
    several = counts > 1
    if not several.all():
        warnings.warn(
            f"{int((~several).sum())} of {len(labels)} stimuli have one trial and are left out: profiles are ranked "
            "and judged on different trials. Pass population.average(x) to use them all, ranked and judged alike.",
            DataWarning,
            stacklevel=5,
        )
        keep = several[codes]
        values, rows = values[keep], rows[keep]
        labels, codes, counts = label_codes(x["stimulus"].values[rows], "the stimulus coord of profiles")
    means, _ = label_means(values, codes, len(labels))
    return Profiles(x, "stimulus", means, labels, counts, rows, Trials(values, rows, codes))


def grouped(profiles: Profiles, groups: NDArray[np.int64] | None) -> Profiles:
    """`profiles` with near-duplicates that never meet in a task and are resampled together."""
    if profiles.dim == "time":
        return profiles
    same = np.arange(len(profiles.labels)) if groups is None else groups
    return replace(profiles, groups=same, clusters=same)


def apart_in_time(profiles: Profiles, embedding: NDArray[np.float64] | None) -> Profiles:
    """`profiles` of time samples with their autocorrelation time and the gap of two of them; others as they are."""
    if profiles.dim != "time":
        return profiles
    series = [values for values in (profiles.values, embedding) if values is not None and np.ptp(values, axis=0).any()]
    tau = max((autocorrelation_time(values) for values in series), default=1.0)
    gap = int(np.ceil(2 * max(tau, 1.0)))
    n = len(profiles.labels)
    return replace(profiles, groups=np.arange(n), clusters=np.arange(n) // gap, gap=gap, tau=tau)


def check_enough(profiles: Profiles, n_explanations: int) -> None:
    """Raise, with the number needed, where the two sides of a task do not fit."""
    n, needed = len(np.unique(profiles.groups)), least_samples(n_explanations)
    if n >= needed:
        return
    what = "times" if profiles.dim == "time" else "stimuli that are no near-duplicates"
    raise InputError(
        f"n_explanations={n_explanations} needs at least {needed} {what}, twice {n_explanations} explanations and a "
        f"query on each of two sides; profiles has {n}. Give more, or ask for n_explanations={max(n // 4 - 1, 1)} or "
        "fewer (4 samples are the least)."
    )
