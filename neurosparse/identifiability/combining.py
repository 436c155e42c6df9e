"""What a code of two things weighs its constituents by, and what repeats say of their likeness.

Matrices over (pair, unit) enter, numbers and words leave.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosparse.backend.resampling import percentile_interval
from neurosparse.backend.superposition import corrected_cosine, gains, residual_share, row_cosines
from neurosparse.identifiability.constituents import Terms

Array = NDArray[np.float64]


def codes_for_gains(
    terms: Terms, centred: list[Array], halves: list[Any], blanks: Any
) -> tuple[list[Array], list[Any]]:
    """Codes less their blanks; without blanks as they are, since the fit has an offset of its own."""
    if blanks is not None:
        return centred, halves
    between = [[[splits[i][half] for splits in terms.halves] for half in range(2)] for i in range(n_splits_of(terms))]
    return terms.parts, between


def combination(parts: list[Array], halves: list[Any], weights: Any, notes: list[str]) -> dict[str, Any]:
    """Gains, what they are near to, and what they leave unexplained."""
    between = [((np.stack([one[0], two[0]])), (np.stack([one[1], two[1]]))) for one, two in halves]
    w, c = gains(*parts, halves=between)
    intervals = np.full((2, 2), np.nan)
    if weights is not None:
        few = between[:5]  # splits agree closely; each costs a pass over all codes
        drawn = np.array([gains(*parts, halves=few, weights=one)[0] for one in weights[:200]])
        seen = np.isfinite(drawn).all(axis=1)
        if seen.sum() >= 20:
            drawn = drawn[seen]
            intervals = np.stack(percentile_interval(drawn - drawn.mean(axis=0) + w))
    if not halves:
        notes.append("no repeats: noise of a and b draws the gains towards 0 and lowers the cosine")
    spread = float(((parts[2] - parts[2].mean(axis=0)) ** 2).sum(axis=1).mean())
    return {
        "gain_a": w[0],
        "gain_b": w[1],
        "gain_a_low": intervals[0, 0],
        "gain_a_high": intervals[1, 0],
        "gain_b_low": intervals[0, 1],
        "gain_b_high": intervals[1, 1],
        "combination": _said(intervals),
        "residual_share": residual_share(parts[0], parts[1], parts[2], w, c),
        "residual_share_of_sum": residual_share(parts[0], parts[1], parts[2], np.ones(2)),
        "offset": ("unit", c),
        "offset_share": float(c @ c) / spread if spread > 0 else np.nan,
    }


def _said(intervals: Array) -> str:
    """Which combination both gains' intervals hold; a tenth of a unit of gain is no difference worth a word."""
    if not np.isfinite(intervals).all():
        return "undecidable"
    low, high = intervals[0] - 0.1, intervals[1] + 0.1
    holds = {name: bool(((low <= gain) & (gain <= high)).all()) for name, gain in (("sum", 1.0), ("average", 0.5))}
    if all(holds.values()):
        return "undecidable"
    return next((name for name, held in holds.items() if held), "other")


def corrected_by_repeats(parts: list[Array], halves: list[Any]) -> dict[str, Any]:
    if not halves:
        return dict.fromkeys(("corrected_cosine", "split_half_cosine", "ceiling"), np.nan)
    sums = [(one[0] + one[1], two[0] + two[1]) for one, two in halves]
    wholes = [(one[2], two[2]) for one, two in halves]
    shares = []
    for found, full in ((sums, parts[0] + parts[1]), (wholes, parts[2])):
        shares.append(np.mean([np.vdot(one, two) for one, two in found]) / np.vdot(full, full))
    return {
        "corrected_cosine": corrected_cosine(sums, wholes),
        "split_half_cosine": float(np.nanmean([row_cosines(one, two) for one, two in wholes])),
        "ceiling": float(np.sqrt(shares[0] * shares[1])) if min(shares) > 0 else np.nan,
    }


def n_splits_of(terms: Terms) -> int:
    return len(terms.halves[0]) if terms.halves else 0
