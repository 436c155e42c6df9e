"""Representational similarity: one number for two representations, with its chance level, ceiling and blind spots."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy import stats

from neurosparse.backend.matching import chance_corrected
from neurosparse.backend.representational import Kernel, Metric, metric_named, whitened_second_moment
from neurosparse.backend.resampling import p_value
from neurosparse.errors import InputError
from neurosparse.identifiability.halves import Repeats, repeats_of
from neurosparse.identifiability.pairing import Nan, Pair, pair
from neurosparse.identifiability.results import ROUNDING, chance_verdict
from neurosparse.identifiability.splits import Split, make_split

Array = NDArray[np.float64]

N_BLOCKS = 20
LEVEL = 0.95


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
    rest. A side without repeats counts as noise-free. Without any, or for crossnobis (whose distances are unbiased
    but not free of noise), it is NaN.

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
    _check_arguments(n_permutations, n_splits)
    seeds = np.random.default_rng(random_state).integers(2**31, size=6)
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
    null = _null(measure, values, states, split)
    found = {"value": value, **_chance(value, null)}
    found |= _ceiling(measure, values, repeats, split, n_splits, int(seeds[4]))
    found["relative"] = value / found["ceiling"]
    low, high = _jackknife(measure, values, states, split, int(seeds[3])) if interval else (float("nan"), float("nan"))
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


def _null(measure: Metric, values: list[Array], states: list[Any], split: Split) -> Array:
    """The value with the samples of one side in each order of the split; the side that is cheaper to prepare moves."""
    if split.orders is None:
        return np.empty(0)
    moved = 0 if measure.symmetric and values[0].shape[1] < values[1].shape[1] else 1
    drawn = []
    for order in split.orders:
        again = list(states)
        if measure.permuted is not None:
            again[moved] = measure.permuted(states[moved], order)
        else:
            again[moved] = measure.prepare(values[moved][order], split.folds)
        drawn.append(measure.compare(*again))
    return np.array(drawn)


def _chance(value: float, null: Array) -> dict[str, Any]:
    if not len(null):
        return {"null": np.nan, "p": np.nan, "corrected": np.nan, "verdict": chance_verdict(np.nan)}
    p = float(p_value(value - ROUNDING, null))
    mean = float(np.nanmean(null)) if np.isfinite(null).any() else np.nan
    return {"null": mean, "p": p, "corrected": float(chance_corrected(value, mean)), "verdict": chance_verdict(p)}


def _ceiling(
    measure: Metric, values: list[Array], repeats: list[Repeats | None], split: Split, n_splits: int, seed: int
) -> dict[str, Any]:
    if measure.share_of_signal is None or not any(repeats):
        return {"ceiling": np.nan}
    share = 1.0
    for side, one in zip(values, repeats, strict=True):
        if one is None:
            continue
        folds = _restricted(split, one.rows, len(side))
        full = measure.prepare(side[one.rows], folds)
        found = [
            measure.share_of_signal(measure.prepare(first, folds), measure.prepare(second, folds), full)
            for first, second in one.halves(n_splits, seed)
        ]
        share *= float(np.mean(found))
    return {"ceiling": float(np.sqrt(share)) if share > 0 else np.nan}


def _jackknife(measure: Metric, values: list[Array], states: list[Any], split: Split, seed: int) -> tuple[float, float]:
    """Half-width below and above: t times the standard error over the values without each block of groups.

    sd^2 = (g - 1) / g sum_j (v_j - mean v)^2 for g blocks left out in turn.
    """
    distinct = np.unique(split.groups)
    n_blocks = min(N_BLOCKS, len(distinct))
    if n_blocks < 2:
        return float("nan"), float("nan")
    in_time = split.nuisance is not None
    order = distinct if in_time else np.random.default_rng(seed).permutation(distinct)
    left_out = []
    for block in np.array_split(order, n_blocks):
        rows = np.flatnonzero(~np.isin(split.groups, block))
        folds = _restricted(split, rows, len(split.groups))
        if measure.permuted is not None:  # a kernel: its own rows are all there is to it
            again = [measure.permuted(state, rows) for state in states]
            again = [_recentred(state) for state in again]
        else:
            again = [measure.prepare(side[rows], folds) for side in values]
        left_out.append(measure.compare(*again))
    spread = np.array(left_out) - np.mean(left_out)
    error = float(np.sqrt((n_blocks - 1) / n_blocks * (spread**2).sum()))
    half = float(stats.t.ppf(0.5 + LEVEL / 2, n_blocks - 1)) * error
    return half, half


def _recentred(kernel: Kernel) -> Kernel:
    """A kernel on fewer samples, centred over those."""
    values = kernel.values - kernel.values.mean(axis=0)
    if kernel.is_gram:
        if not kernel.squares.any():  # ranks of distances: only their common mean goes, and the diagonal stays 0
            n = len(kernel.values)
            values = kernel.values - kernel.values.sum() / max(n * (n - 1), 1)
            np.fill_diagonal(values, 0.0)
            return Kernel(values, True, kernel.squares)
        values = values - values.mean(axis=1, keepdims=True)
        return Kernel(values, True, np.diag(values).copy())
    return Kernel(values, False, np.einsum("ij,ij->i", values, values))


def _restricted(split: Split, rows: NDArray[np.int64], n: int) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """The folds of the split among `rows`, numbered by their place there; folds that lose their test rows go."""
    place = np.full(n, -1)
    place[rows] = np.arange(len(rows))
    parts = [(place[train], place[test]) for train, test in split.folds]
    kept = [(train[train >= 0], test[test >= 0]) for train, test in parts]
    return [(train, test) for train, test in kept if len(test) > 2]


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
        notes.append("no ceiling: no repeats, no signal in them, or a measure that has none")
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


def _check_arguments(n_permutations: int, n_splits: int) -> None:
    if int(n_permutations) != n_permutations or n_permutations < 0:
        raise InputError(f"n_permutations must be an integer of at least 0; got {n_permutations!r}.")
    if int(n_splits) != n_splits or n_splits < 1:
        raise InputError(f"n_splits must be a positive integer; got {n_splits!r}.")


def superposition_reference(n_units_x: int, n_units_y: int, n_features: Any) -> xr.Dataset:
    """What two random projections of the *same* white features score: a reference curve, never a null.

    For n features in superposition on m_x and m_y units: cka = sqrt(m_x m_y / ((n + m_x)(n + m_y))), m / (n + m)
    for equal sizes, and R2 = m_x / n from x to any unit of y. So codes of identical features look unlike each other
    when there are more features than units.

    Parameters
    ----------
    n_units_x, n_units_y : int
    n_features : int or sequence of int
        Assumed numbers of features: no recording tells this number.

    Returns
    -------
    xarray.Dataset over n_features
        ``cka``; ``R2`` (x->y) and ``R2_back`` (y->x), at most 1.

    Raises
    ------
    InputError
        If a number is below 1.

    References
    ----------
    The mechanism of A. Liu et al., arXiv:2604.00208 (2026): similarities of projections depend on the Gram matrix of
    the projection.

    Examples
    --------
    >>> round(float(superposition_reference(16, 16, 64)["cka"][0]), 3)
    0.2
    """
    n = np.atleast_1d(np.asarray(n_features, dtype=np.float64))
    if n.ndim != 1 or min(n_units_x, n_units_y) < 1 or not (n >= 1).all():
        raise InputError(
            f"numbers of units and features must be at least 1; got {n_units_x}, {n_units_y} units and "
            f"{np.asarray(n_features).tolist()} features."
        )
    curves = {
        "cka": np.sqrt(n_units_x * n_units_y / ((n + n_units_x) * (n + n_units_y))),
        "R2": np.minimum(n_units_x / n, 1.0),
        "R2_back": np.minimum(n_units_y / n, 1.0),
    }
    result = xr.Dataset({name: ("n_features", curve) for name, curve in curves.items()}, {"n_features": n.astype(int)})
    result.attrs = {
        "what": "reference curve over an assumed number of features, not a null",
        "assumes": "the same white features on both sides, isotropic random projections, no noise",
        "n_units_x": n_units_x,
        "n_units_y": n_units_y,
    }
    return result
