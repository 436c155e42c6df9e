"""Linear, linear up to noise, nonlinear, unrelated or undecidable: a verdict with its reasons and its power.

Held-out predictions of one direction enter, numbers and words leave. The limits below were fixed before any of the
seeds of the acceptance tests was drawn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosparse.backend.linear import held_out_scores
from neurosparse.backend.resampling import percentile_interval

Array = NDArray[np.floating]
Ints = NDArray[np.int64]

LINEAR_SHARE = 0.9  # of the ceiling that the lower bound of R2 must reach
GAP_LIMIT = 0.05  # of R2 by which a nonlinear map may be ahead
PLANTED_SHARE = 0.1  # of the variance that the planted quadratic makes up
UNRELATED_LIMIT = 0.1  # of R2 that the upper bounds of both maps must stay under
PLANTED_HALF = 0.5  # a quadratic worth this must be seen above that limit before codes are called unrelated
LEVEL = 0.05


@dataclass(frozen=True)
class Bounds:
    """A score with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Evidence:
    """What the verdict rests on.

    Attributes
    ----------
    linear, nonlinear, gap : Bounds
        Mean held-out R2 over targets of either map, and of their difference.
    ceiling : float
        Mean over targets of what noise allows of R2; NaN where unknown.
    planted_gap : float
        Gap found for targets of which a quadratic was made to be `PLANTED_SHARE`.
    planted_R2 : float
        Nonlinear R2 found for targets of which a quadratic was made to be `PLANTED_HALF`.
    p : float
        Of the linear map; NaN where no null is calibrated.
    """

    linear: Bounds
    nonlinear: Bounds
    gap: Bounds
    ceiling: float
    planted_gap: float
    planted_R2: float
    p: float


def bounds(
    linear: Array, nonlinear: Array, baseline: Array, observed: Array, fold: Ints, weights: Array | None
) -> tuple[Bounds, Bounds, Bounds]:
    """Mean R2 of the linear map, of the nonlinear one, and of their difference, under the same resampled groups."""
    found = [held_out_scores(one, baseline, observed, fold)[1] for one in (linear, nonlinear)]
    values = [float(np.nanmean(one)) for one in found]
    values.append(values[1] - values[0])
    if weights is None:
        return tuple(Bounds(value, np.nan, np.nan) for value in values)  # type: ignore[return-value]
    drawn = [
        np.nanmean(held_out_scores(one, baseline, observed, fold, weights)[1], axis=1) for one in (linear, nonlinear)
    ]
    drawn.append(drawn[1] - drawn[0])
    return tuple(_about(value, again) for value, again in zip(values, drawn, strict=True))  # type: ignore[return-value]


def _about(value: float, samples: Array) -> Bounds:
    low, high = percentile_interval(samples - samples.mean() + value)
    return Bounds(value, float(low), float(high))


def judge(evidence: Evidence) -> tuple[str, str]:
    """The verdict, and why."""
    linear, nonlinear, gap = evidence.linear, evidence.nonlinear, evidence.gap
    reasons = [_measured(evidence)]
    if np.isnan(gap.low):
        return "undecidable", "; ".join([*reasons, "no intervals without n_bootstraps"])
    if gap.low > GAP_LIMIT and nonlinear.low > 0:
        return "nonlinear", "; ".join([*reasons, f"the gap is above {GAP_LIMIT:g}"])
    powered = evidence.planted_gap > GAP_LIMIT
    if not powered:
        reasons.append(
            f"a quadratic worth {PLANTED_SHARE:g} of R2 would not be found at this n and p (gap found "
            f"{evidence.planted_gap:.3f})"
        )
    small = gap.high <= GAP_LIMIT
    reaches = linear.low / (evidence.ceiling if np.isfinite(evidence.ceiling) else 1.0) >= LINEAR_SHARE
    if powered and small and reaches:
        return "linear", "; ".join(reasons)
    if max(linear.high, nonlinear.high) < UNRELATED_LIMIT and evidence.p > LEVEL:
        if evidence.planted_R2 > UNRELATED_LIMIT:
            return "unrelated", "; ".join([*reasons, f"both maps stay under {UNRELATED_LIMIT:g} of R2"])
        reasons.append(f"nor would one worth {PLANTED_HALF:g} be (R2 found {evidence.planted_R2:.2f})")
    related = evidence.p <= LEVEL and linear.low > 0
    if powered and small and related:
        left = "what is left is no function of x that a nonlinear map finds: noise, or what x does not hold"
        return "linear up to noise", "; ".join([*reasons, left])
    if not small:
        reasons.append(f"the gap may exceed {GAP_LIMIT:g}")
    if not related:
        reasons.append("no p-value is calibrated here" if np.isnan(evidence.p) else "a linear relation is not shown")
    return "undecidable", "; ".join(reasons)


def _measured(evidence: Evidence) -> str:
    ceiling = "unknown" if np.isnan(evidence.ceiling) else f"{evidence.ceiling:.2f}"
    return (
        f"R2 {_shown(evidence.linear)}, ceiling {ceiling}, nonlinear {_shown(evidence.nonlinear)}, "
        f"gap {_shown(evidence.gap)}"
    )


def _shown(one: Bounds) -> str:
    return f"{one.value:.2f} [{one.low:.2f}, {one.high:.2f}]"


def as_variables(evidence: Evidence) -> dict[str, Any]:
    """The evidence and the verdict as numbers and words of one direction."""
    verdict, reasons = judge(evidence)
    named = {"mean_R2": evidence.linear, "nonlinear_R2": evidence.nonlinear, "nonlinear_gap": evidence.gap}
    found: dict[str, Any] = {}
    for name, one in named.items():
        found |= {name: one.value, f"{name}_low": one.low, f"{name}_high": one.high}
    return found | {
        "mean_ceiling_R2": evidence.ceiling,
        "planted_gap": evidence.planted_gap,
        "planted_R2": evidence.planted_R2,
        "linearity": verdict,
        "reasons": reasons,
    }
