"""What stands beside the map of each direction: dimensions, matched units, the shape of the map, and its linearity."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.stats import pearson3, skew

from neurosparse.backend.linear import (
    RidgeScores,
    Share,
    held_out_scores,
    linear_share,
    map_singular_values,
    matched_correlations,
    participation_ratio,
)
from neurosparse.backend.linear.share import UNKNOWN
from neurosparse.backend.representational import metric_named
from neurosparse.backend.resampling import bootstrap_weights
from neurosparse.identifiability.linearity import (
    KINDS,
    LEVEL,
    N_PLANTED,
    NORMAL,
    PLANTED_SHARE,
    Bounds,
    Evidence,
    as_variables,
    bounds,
    cauchy_combined,
)
from neurosparse.identifiability.pairing import Pair
from neurosparse.identifiability.results import HeldOut
from neurosparse.identifiability.splits import Split

LARGEST = 4000  # samples up to which all their pairs are formed
LARGEST_MATCHING = 1000  # units of the smaller side; the assignment costs their square times the larger side
N_BOOTSTRAPS = 400


def panel(both: Pair, split: Split, parts: Sequence[HeldOut]) -> dict[str, list[float]]:
    """One entry a direction for each variable; see `linear_identifiability`."""
    x, y = both.x.values, both.y.values
    strong = np.nan
    if min(x.shape[1], y.shape[1]) <= LARGEST_MATCHING:
        strong = float(np.nanmean(matched_correlations(x, y, split.folds)))
    cca = metric_named("cca")
    canonical = cca.compare(cca.prepare(x, split.folds), cca.prepare(y, split.folds))
    found: dict[str, list[float]] = {name: [] for name in _NAMES}
    dimensions = {"x": participation_ratio(x), "y": participation_ratio(y)}
    for part in parts:
        r, _ = held_out_scores(part.mapped, part.baseline, part.observed, _fold_of(split, len(x)))
        source, target = ("x", "y") if part.direction == "x->y" else ("y", "x")
        penalty = float(np.median(part.penalty))
        values = np.zeros(1)
        if np.isfinite(penalty):
            values = map_singular_values(x if source == "x" else y, part.observed, penalty)
        for name, value in zip(_SHARE, _linear_share(x if source == "x" else y, part, split), strict=True):
            found[name].append(value)
        found["pooled_R2"].append(_pooled(part, split))
        found["weak_mcc"].append(float(np.nanmean(r)) if np.isfinite(r).any() else np.nan)
        found["strong_mcc"].append(strong)
        found["mean_canonical_r"].append(canonical)
        found["map_spread"].append(float(values.std() / values.mean()) if values.sum() > 0 else np.nan)
        found["participation_predictors"].append(dimensions[source])
        found["participation_targets"].append(dimensions[target])
    return found


_SHARE = ("linear_share", "linear_share_low", "linear_share_high")
_NAMES = (
    *_SHARE,
    "pooled_R2",
    "weak_mcc",
    "strong_mcc",
    "mean_canonical_r",
    "map_spread",
    "participation_predictors",
    "participation_targets",
)


def _linear_share(source: Any, part: HeldOut, split: Split) -> tuple[float, float, float]:
    """The share with its bounds; none for time series, whose neighbouring groups share noise."""
    varies = np.ptp(part.observed, axis=0) > 0
    if len(source) > LARGEST or split.nuisance is not None or not varies.any():
        return np.nan, np.nan, np.nan
    one = _bounds(linear_share(source, part.observed[:, varies], split.groups))
    return one.value, one.low, one.high


def _fold_of(split: Split, n: int) -> Any:
    fold = np.full(n, -1)
    for index, (_, test) in enumerate(split.folds):
        fold[test] = index
    return fold


def _pooled(part: HeldOut, split: Split) -> float:
    """1 - SSE / SST summed over targets, averaged over folds: targets count by their variance."""
    scores = []
    for _, test in split.folds:
        residual = part.observed[test] - part.baseline[test]
        size = float((residual**2).sum())
        scores.append(1 - float(((residual - part.mapped[test]) ** 2).sum()) / size if size > 0 else np.nan)
    return float(np.nanmean(scores))


def linearity(
    both: Pair,
    split: Split,
    parts: Sequence[HeldOut],
    pooled_p: Sequence[float],
    *,
    n_bootstraps: int,
    network: bool,
    seed: int,
) -> dict[str, list[Any]]:
    """One entry a direction: the nonlinear ceiling, the gap, its power, and the verdict with reasons."""
    weights = None
    if n_bootstraps:
        weights = bootstrap_weights(split.groups, min(n_bootstraps, N_BOOTSTRAPS), random_state=seed)
    found: dict[str, list[Any]] = {}
    for part, p in zip(parts, pooled_p, strict=True):
        for name, value in as_variables(_evidence(both, split, part, p, weights, network, seed)).items():
            found.setdefault(name, []).append(value)
    return found


def _evidence(both: Pair, split: Split, part: HeldOut, p: float, weights: Any, network: bool, seed: int) -> Evidence:
    from neurosparse.backend.nonlinear import nonlinear_ceiling  # scikit-learn's networks load slowly

    source = both.x.values if part.direction == "x->y" else both.y.values
    varies = np.ptp(part.observed, axis=0) > 0
    observed, mapped, baseline = (one[:, varies] for one in (part.observed, part.mapped, part.baseline))
    fold = _fold_of(split, len(source))
    held = fold >= 0
    linear = RidgeScores(
        mapped, baseline, fold, part.penalty[:, varies], part.inner_r[:, varies], part.null_r[:, varies]
    )
    bent = nonlinear_ceiling(
        source,
        observed,
        split.folds,
        split.inner,
        linear,
        nuisance=split.nuisance,
        network=network,
        random_state=seed % 2**31,
    )
    ceiling = part.ceiling[varies] ** 2
    return Evidence(
        *bounds(
            mapped[held],
            bent.mapped[held],
            baseline[held],
            observed[held],
            None if weights is None else weights[:, held],
        ),
        **_shares(source, observed, split, seed),
        ceiling=float(np.nanmean(ceiling)) if np.isfinite(ceiling).any() else np.nan,
        p=p,
    )


def _shares(source: Any, observed: Any, split: Split, seed: int) -> dict[str, Any]:
    """Linear, quadratic, cubic and local shares of the targets, and whether a planted quadratic would be found."""
    from neurosparse.backend.nonlinear import planted_shares, share_form

    found: dict[str, Any] = {}
    linear = UNKNOWN if split.nuisance is not None else linear_share(source, observed, split.groups, law=True)
    found |= {"share": _bounds(linear), "share_p": linear.p}
    for name in KINDS:
        form = share_form(source, split.groups, name, nuisance=split.nuisance)
        one = UNKNOWN if form is None else form.share(observed)
        p = one.p if form is None else cauchy_combined(np.array([one.p, form.even_p(observed)]))
        found |= {name: _bounds(one), f"{name}_p": p}
        if name == "quadratic" and form is not None:
            rng = np.random.default_rng(seed)
            found |= _planted(planted_shares(form, source, observed, PLANTED_SHARE, N_PLANTED, rng), one)
    return dict.fromkeys(_PLANTED, np.nan) | found


_PLANTED = ("planted_share", "planted_p", "detectable_share", "power")


def _planted(drawn: Any, measured: Share) -> dict[str, float]:
    law = pearson3(skew(drawn), drawn.mean(), drawn.std())  # the draws' own hundredth is of two of them
    return {
        "planted_share": float(drawn.mean()),
        "planted_p": float(law.cdf(measured.value)),
        "detectable_share": float(measured.none.ppf(0.975)),
        "power": float(measured.none.cdf(law.ppf(LEVEL))),
    }


def _bounds(one: Share) -> Bounds:
    return Bounds(one.value, one.value - NORMAL * one.error, one.value + NORMAL * one.error)
