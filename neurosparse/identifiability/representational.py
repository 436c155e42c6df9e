"""Representational similarity: one number for two representations, with its chance level, ceiling and blind spots."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from neurosparse.backend.representational import Kernel, Metric, metric_named, whitened_second_moment
from neurosparse.backend.resampling import generator, truth_value, whole_number
from neurosparse.errors import InputError
from neurosparse.identifiability.dividing import make_split
from neurosparse.identifiability.evidence import N_BLOCKS, ceiling, chance, crossnobis_ceiling, jackknife, null_values
from neurosparse.identifiability.halves import Repeats, repeats_of
from neurosparse.identifiability.pairing import Nan, Pair, pair
from neurosparse.identifiability.splits import Split

Array = NDArray[np.float64]


def representational_similarity(
    x: Any,
    y: Any,
    *,
    metric: str = "cka",
    alpha: float = 1.0,
    components: float | int = 0.95,
    mass: float = 0.8,
    groups: Any = None,
    n_folds: int = 5,
    n_permutations: int = 200,
    n_splits: int = 20,
    interval: bool = True,
    random_state: Any = 0,
    nan: Nan = "raise",
) -> xr.Dataset:
    """How alike two representations of the same samples are, by one of ten measures.

    ========== ============================================== ===========================================
    metric     value                                          what may differ freely
    ========== ============================================== ===========================================
    cka        debiased linear centred kernel alignment       rotation, isotropic scale
    rsa        Spearman's rho of correlation distances        monotone change of distances
    crossnobis whitened cosine of crossnobis distances        rotation after whitening by trial noise
    shape      cosine after the best rotation, `alpha`        rotation (1) ... any linear map (0)
    procrustes shape with alpha 1                             rotation, isotropic scale
    cca        mean canonical correlation after PCA           any linear map of the kept components
    one_to_one mean r of units paired one to one              order and positive scale of units
    semi       mean r of y's units with x's best unit each    the same, and copies
    soft       mean r under transport of units                the same, and equal numbers of copies
    partial_soft  the same for a share `mass` of the units    the same, and units of no counterpart
    ========== ============================================== ===========================================

    Parameters
    ----------
    x, y : population, array or tensor
        As in `linear_identifiability`; used as scaled.
    metric : str
    alpha : float
        Of "shape", in [0, 1].
    components : int, or float in (0, 1]
        Of "cca": principal components a side, or the share of variance they hold on the training samples; at most a
        tenth of the training samples.
    mass : float
        Of "partial_soft": share of units matched, in (0, 1].
    groups : coord name, DataArray over stimulus, or (stimulus,) array, optional
        What is held out, permuted and left out as a whole.
    n_folds : int
        Of the measures that fit something; the others score all samples at once.
    n_permutations : int
        0 leaves the null out.
    n_splits : int
        Random halvings of the repeats, for ceilings and crossnobis.
    interval : bool
        Whether to compute the interval, which costs 20 evaluations.
    random_state : int, numpy.random.Generator or None
    nan : {"raise", "drop"}

    Returns
    -------
    xarray.Dataset
        ``value`` with ``value_low`` and ``value_high``; ``null`` (mean over permutations) and ``null_value``
        (permutation,); ``p``; ``corrected``, (value - null) / (1 - null) with null at least 0; ``ceiling`` and
        ``relative``, value / ceiling; ``verdict`` ("above chance", "not above chance", "undecidable") and ``note``.
        attrs say range, equivalence class, blind spots, whether it is held out and whether x and y may change places.

    Raises
    ------
    InputError
        If samples do not match, the metric is unknown or its options are out of range, or crossnobis lacks repeats.
    DependencyError
        If a soft matching is asked for without POT.

    Warns
    -----
    EvidenceWarning
        If there is no calibrated null, or stimuli were shown once.

    Notes
    -----
    Null: whole groups of one side change places (time series: shifts, where calibrated), everything that is fitted
    fitted again. Interval: jackknife over 20 blocks of groups, Student's t. From time series linear drift is taken
    away first; correlation in time still inflates cka, rsa and crossnobis, which the null shows and `corrected` undoes.

    Ceiling: the value that noise of the averages would leave of two identical codes, from halves of the repeats: for
    cka by cross-half terms, else lifted by Spearman-Brown, which is exact for correlations and approximate for the
    rest; for crossnobis, whose distances are unbiased but not free of noise, from disjoint quarters of the repeats. A
    side without repeats counts as noise-free. Without any, or for crossnobis with fewer than four, it is NaN.

    Memory 8 n^2 bytes for rsa and crossnobis; the soft matchings cost the cube of the number of units a permutation.

    References
    ----------
    In `neurosparse.backend.representational`, at each measure.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal((100, 5))
    >>> turned = x @ np.linalg.qr(rng.standard_normal((5, 5)))[0]
    >>> found = representational_similarity(x, turned, n_permutations=19, interval=False)
    >>> round(float(found["value"]), 6), str(found["verdict"].values)
    (1.0, 'above chance')
    """
    measure = metric_named(metric, alpha=alpha, components=components, mass=mass)
    whole_number(n_permutations, "n_permutations", 0)
    whole_number(n_splits, "n_splits")
    truth_value(interval, "interval")
    seeds = generator(random_state).integers(2**31, size=6)
    both = pair(x, y, groups=groups, nan=nan, n_splits=1, random_state=int(seeds[5]), ceilings=False)
    # Without a fit there are no folds to speak of, nor to warn of when they are small
    split = make_split(both, n_folds=n_folds if measure.held_out else 2, n_permutations=n_permutations, seeds=seeds)
    repeats = [repeats_of(side, next(iter(both.coords.values())), nan) for side in (x, y)]
    values = [_without_drift(side.values, split) for side in (both.x, both.y)]
    if metric == "crossnobis":
        if repeats[0] is None and repeats[1] is None:
            raise InputError(
                "crossnobis distances need trials with repeats on at least one side; got none. Give a (trial, unit) "
                "population with a stimulus coord, or use metric='rsa' or 'cka'."
            )
        states = [_unbiased(side, one, n_splits, int(seeds[4])) for side, one in zip(values, repeats, strict=True)]
    else:
        states = [measure.prepare(side, split.folds) for side in values]
    value = measure.compare(*states)
    null = null_values(measure, values, states, split)
    found = {"value": value, **chance(value, null)}
    if metric == "crossnobis":
        found |= crossnobis_ceiling(states, repeats, n_splits, int(seeds[4]))
    else:
        found |= ceiling(measure, values, repeats, split, n_splits, int(seeds[4]))
    found["relative"] = value / found["ceiling"]
    low, high = jackknife(measure, values, states, split, int(seeds[3])) if interval else (float("nan"), float("nan"))
    found |= {"value_low": value - low, "value_high": value + high, "note": _note(split, both, found)}
    result = xr.Dataset(found).assign(null_value=("permutation", null))
    result.attrs = _attributes(measure, both, split, n_permutations)
    return result


def _unbiased(values: Array, repeats: Repeats | None, n_splits: int, seed: int) -> Kernel:
    if repeats is None:
        return whitened_second_moment([(values, values)])
    if len(repeats.rows) < len(values):
        raise InputError(
            f"crossnobis needs two trials of every stimulus; {len(values) - len(repeats.rows)} of {len(values)} have "
            "one. Leave those stimuli out."
        )
    return whitened_second_moment(list(repeats.halves(n_splits, seed)), repeats.noise_covariance())


def _without_drift(values: Array, split: Split) -> Array:
    if split.nuisance is None:
        return values
    base = np.linalg.qr(np.hstack([np.ones((len(values), 1)), split.nuisance]))[0]
    return np.asarray(values - base @ (base.T @ values))


def _note(split: Split, both: Pair, found: dict[str, Any]) -> str:
    notes = []
    if split.undecidable:
        notes.append(f"p undecidable: {split.undecidable}")
    if np.isnan(found["ceiling"]):
        notes.append("no ceiling: no repeats (crossnobis: fewer than four), or no signal in them")
    else:
        quiet = [name for name, side in (("x", both.x), ("y", both.y)) if side.no_ceiling]
        if quiet:
            notes.append(f"{quiet[0]} counts as noise-free in the ceiling")
    return "; ".join(notes)


def _attributes(measure: Metric, both: Pair, split: Split, n_permutations: int) -> dict[str, Any]:
    return {
        "metric": measure.name,
        "direction": "higher is better",
        "range": measure.bounds,
        "equivalence_class": measure.free,
        "blind_to": measure.blind_to,
        "symmetric": int(measure.symmetric),
        "n_samples": len(both.x.values),
        "n_units_x": both.x.values.shape[1],
        "n_units_y": both.y.values.shape[1],
        "n_permutations": n_permutations if split.orders is not None else 0,
        **{name: said for name, said in split.attrs.items() if name not in ("split", "null", "R2_baseline")},
        "split": f"fitted and scored in {split.attrs['split']}"
        if measure.held_out
        else "none: nothing is fitted, all samples score",
        "null": str(split.attrs["null"])
        .replace("predicted side", "one side")
        .replace("penalty chosen again", "refitted"),
        "interval": f"95 %, jackknife over {N_BLOCKS} blocks of groups, Student's t",
        "provenance": json.dumps({"x": both.x.provenance, "y": both.y.provenance}),
    }
