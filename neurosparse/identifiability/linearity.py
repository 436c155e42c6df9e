"""Linear, linear up to noise, nonlinear, unrelated or undecidable: a verdict with its reasons and its power.

Held-out predictions of one direction enter, numbers and words leave. The limits below were fixed before any of the
seeds of the acceptance tests was drawn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from neurosparse.backend.resampling import percentile_interval

Array = NDArray[np.floating]
Kind = Literal["quadratic", "cubic", "local"]

LINEAR_SHARE = 0.9  # of the ceiling that the lower bound of R2 must reach
GAP_LIMIT = 0.05  # of the variance by which a nonlinear map may be ahead, or that may be seen to be no linear one
PLANTED_SHARE = 0.1  # of the variance that the planted quadratic makes up: the effect that "linear" rules out
UNRELATED_LIMIT = 0.1  # of R2 that the upper bounds of both maps must stay under
SHARE_LIMIT = 0.25  # of the variance that no linear map may reach before codes are called unrelated: R2 hides p / n
POLYNOMIAL_LIMIT = 0.5  # nor any quadratic
LEVEL = 0.01  # at .05 unrelated codes would be called related five times as often as the 1 % allowed
BEYOND = 0.0075  # of no share beyond the linear one, the three kinds as one: with `SEEN` under 1 %
SEEN = 0.001  # of no linear share
KINDS: tuple[Kind, ...] = ("quadratic", "cubic", "local")
NORMAL = 1.959964  # half-width of a 95 % interval in standard errors
N_PLANTED = 200


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
    share, quadratic, cubic, local : Bounds
        Estimated shares of the targets' variance that are linear in x; or forms of that order, or functions of any
        shape that near samples share, and not linear.
    share_p, quadratic_p, cubic_p, local_p : float
        Of no such share; beyond the linear one of the mean over targets and of their directions alike, as one.
    ceiling : float
        Mean over targets of what noise allows of R2; NaN where unknown.
    planted_share : float
        Mean share estimated where a quadratic made up `PLANTED_SHARE`.
    planted_p : float
        How often it is then estimated as low as here.
    detectable_share : float
        Which share without a quadratic is passed in 2.5 %.
    power : float
        How often targets without a quadratic would let the planted one be ruled out at `LEVEL`.
    p : float
        Of the linear map; NaN where no null is calibrated.
    """

    linear: Bounds
    nonlinear: Bounds
    gap: Bounds
    share: Bounds
    quadratic: Bounds
    cubic: Bounds
    local: Bounds
    share_p: float
    quadratic_p: float
    cubic_p: float
    local_p: float
    ceiling: float
    planted_share: float
    planted_p: float
    detectable_share: float
    power: float
    p: float


def bounds(
    linear: Array, nonlinear: Array, baseline: Array, observed: Array, weights: Array | None
) -> tuple[Bounds, Bounds, Bounds]:
    """Mean R2 of the linear map, of the nonlinear one, and of their difference, under the same resampled groups.

    Squared errors about each fold's own baseline are summed over folds before they are divided: within a fold of ten
    rows a resample can leave a target without variance, and R2 without bounds.
    """
    each = np.ones((1, len(observed))) if weights is None else np.vstack([np.ones(len(observed)), weights])
    size = each @ (observed - baseline) ** 2
    drawn = [
        np.mean(1 - (each @ (observed - baseline - one) ** 2) / np.maximum(size, np.finfo(float).tiny), axis=1)
        for one in (linear, nonlinear)
    ]
    drawn.append(drawn[1] - drawn[0])
    if weights is None:
        return tuple(Bounds(float(one[0]), np.nan, np.nan) for one in drawn)  # type: ignore[return-value]
    return tuple(_about(float(one[0]), one[1:]) for one in drawn)  # type: ignore[return-value]


def _about(value: float, samples: Array) -> Bounds:
    low, high = percentile_interval(samples - samples.mean() + value)
    return Bounds(value, float(low), float(high))


def judge(evidence: Evidence) -> tuple[str, str]:
    """The verdict, and why."""
    reasons = [_measured(evidence)]
    if np.isnan(evidence.gap.low):
        return "undecidable", "; ".join([*reasons, "no intervals without n_bootstraps"])
    bent = _bent(evidence)
    if bent:
        return "nonlinear", "; ".join([*reasons, bent])
    doubts = _doubts(evidence)
    linear, related = evidence.linear, evidence.p <= LEVEL and evidence.linear.low > 0
    if not doubts and linear.low / (evidence.ceiling if np.isfinite(evidence.ceiling) else 1.0) >= LINEAR_SHARE:
        return "linear", "; ".join(reasons)
    if not doubts and related:
        left = "what is left is no function of x that a nonlinear map finds: noise, or what x does not hold"
        return "linear up to noise", "; ".join([*reasons, left])
    if not related:
        ties = _ties(evidence)
        if not ties:
            said = (
                f"both maps stay under {UNRELATED_LIMIT:g} of R2, what is linear under {SHARE_LIMIT:g} of the variance "
                f"and what is quadratic under {POLYNOMIAL_LIMIT:g}"
            )
            return "unrelated", "; ".join([*reasons, said])
        doubts += ["no p-value is calibrated here" if np.isnan(evidence.p) else "a linear map is not shown", *ties]
    return "undecidable", "; ".join([*reasons, *doubts])


def _bent(evidence: Evidence) -> str:
    """What shows that the relation is not linear; empty where nothing does."""
    if evidence.gap.low > GAP_LIMIT and evidence.nonlinear.low > 0:
        return f"the gap is above {GAP_LIMIT:g}"
    for name, share in _seen(evidence):
        if share.value > GAP_LIMIT:
            return f"a {name} part is seen, estimated at {_shown(share)} of the variance"
    return ""


def _seen(evidence: Evidence) -> list[tuple[str, Bounds]]:
    """The shares beyond the linear one that are told from none, the clearest first.

    The p-values of three kinds, of the same samples, are made one by Cauchy's combination (Liu and Xie 2020), which
    holds in the tail however they depend on each other: a relation of no single kind shows a little in each. Each is
    the combination of two, so that this is of six. Kinds are named whose own p-value could have brought it there.
    """
    p = {kind: float(getattr(evidence, f"{kind}_p")) for kind in KINDS}
    known = {kind: value for kind, value in p.items() if np.isfinite(value)}
    if not known or cauchy_combined(np.array([*known.values()])) > BEYOND:
        return []
    named = [kind for kind, value in known.items() if value <= BEYOND * len(known)]
    return [(kind, getattr(evidence, kind)) for kind in sorted(named, key=known.__getitem__)]


def cauchy_combined(p: Array) -> float:
    """One p-value of several: the mean of their Cauchy quantiles, looked up where that law has it.

    A p-value of 1 says no more against the others than .99 does.
    """
    return float(stats.cauchy.sf(np.mean(stats.cauchy.isf(np.clip(p, 1e-12, 0.99)))))


def _ties(evidence: Evidence) -> list[str]:
    """What keeps the codes from being called unrelated, where no linear map is shown."""
    found = []
    if not max(evidence.linear.high, evidence.nonlinear.high) < UNRELATED_LIMIT:
        found.append(f"a map may reach {UNRELATED_LIMIT:g} of R2")
    if evidence.share_p <= SEEN:
        found.append(f"a linear share is seen (p {evidence.share_p:.2g})")
    elif evidence.share.high >= SHARE_LIMIT:
        found.append(f"a linear share of {SHARE_LIMIT:g} is not ruled out")
    if not evidence.quadratic.high < POLYNOMIAL_LIMIT:
        found.append(f"a quadratic worth {POLYNOMIAL_LIMIT:g} is not ruled out")
    if not evidence.p > LEVEL and np.isnan([evidence.p, evidence.share_p]).any():
        found.append("nor can both the p-value and the linear share be had that would tell")
    return found


def _doubts(evidence: Evidence) -> list[str]:
    """What keeps the relation from being called linear."""
    found = []
    if np.isnan(evidence.planted_share):
        found.append(
            "no nonlinear share can be estimated: fewer samples than twice the linear directions, or fewer than 20 "
            "groups"
        )
    elif evidence.planted_share <= evidence.detectable_share:
        found.append(
            f"a quadratic worth {PLANTED_SHARE:g} would not be found at this n and p (share found "
            f"{evidence.planted_share:.3f}, told from none above {evidence.detectable_share:.3f})"
        )
    elif evidence.planted_p > LEVEL:
        found.append(
            f"a quadratic worth {PLANTED_SHARE:g} is not ruled out: it would be estimated this low in "
            f"{evidence.planted_p:.1%} of draws (at this n and p {evidence.power:.0%} of linear relations rule it out)"
        )
    if evidence.gap.high > GAP_LIMIT:
        found.append(f"the gap may exceed {GAP_LIMIT:g}")
    for name, share in _seen(evidence):
        if share.high > GAP_LIMIT:
            found.append(f"a {name} part is seen, and may exceed {GAP_LIMIT:g}")
    return found


def _measured(evidence: Evidence) -> str:
    ceiling = "unknown" if np.isnan(evidence.ceiling) else f"{evidence.ceiling:.2f}"
    return (
        f"R2 {_shown(evidence.linear)}, ceiling {ceiling}, nonlinear {_shown(evidence.nonlinear)}, "
        f"gap {_shown(evidence.gap)}, linear share {_shown(evidence.share)}, "
        f"quadratic share {_shown(evidence.quadratic)}"
    )


def _shown(one: Bounds) -> str:
    return "unknown" if np.isnan(one.value) else f"{one.value:.2f} [{one.low:.2f}, {one.high:.2f}]"


def as_variables(evidence: Evidence) -> dict[str, Any]:
    """The evidence and the verdict as numbers and words of one direction."""
    verdict, reasons = judge(evidence)
    named = {
        "mean_R2": evidence.linear,
        "nonlinear_R2": evidence.nonlinear,
        "nonlinear_gap": evidence.gap,
        "quadratic_share": evidence.quadratic,
        "cubic_share": evidence.cubic,
        "local_share": evidence.local,
    }
    found: dict[str, Any] = {}
    for name, one in named.items():
        found |= {name: one.value, f"{name}_low": one.low, f"{name}_high": one.high}
    return found | {
        "mean_ceiling_R2": evidence.ceiling,
        "linear_share_p": evidence.share_p,
        "quadratic_p": evidence.quadratic_p,
        "cubic_p": evidence.cubic_p,
        "local_p": evidence.local_p,
        "planted_share": evidence.planted_share,
        "planted_p": evidence.planted_p,
        "detectable_share": evidence.detectable_share,
        "linearity_power": evidence.power,
        "linearity": verdict,
        "reasons": reasons,
    }
