"""Time series of several sessions or epochs: whole ones are held out, and nothing is shifted across their borders."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from neurosparse.backend.resampling import autocorrelation_time, block_folds, group_folds, permutations
from neurosparse.errors import InputError
from neurosparse.identifiability.splits import (
    FEWEST_ORDERS,
    SHORTEST_SERIES,
    Folds,
    Split,
    breaks,
    count_orders,
    exchange,
)

SHORTEST_SESSION = 4  # an autocorrelation needs as many

Array = NDArray[np.float64]
Labels = NDArray[np.int64]


def split_sessions(
    x: Array, y: Array, time: Array, sessions: Labels, *, n_folds: int, n_permutations: int, seeds: NDArray[np.int64]
) -> Split:
    """Folds of whole sessions, with a gap where time runs on across a border; and a null that keeps them apart.

    A stretch is what lies between two breaks of time or borders of sessions. The null shifts each stretch in a circle
    of its own where all have 50 autocorrelation times; otherwise whole sessions of equal length change places, where
    they can in 20 ways.
    """
    shortest = int(np.bincount(sessions).min())
    if shortest < SHORTEST_SESSION:
        raise InputError(
            f"groups of a time series are its sessions or epochs, of at least {SHORTEST_SESSION} samples each; one of "
            f"{int(sessions.max()) + 1} has {shortest}. Give one label a session, or leave groups out: blocks of time "
            "are then held out."
        )
    tau = max(autocorrelation_time(_centred(side, sessions)) for side in (x, y))
    gap = math.ceil(tau)
    runs_on = ~breaks(time)
    folds = _apart(group_folds(sessions, n_folds, random_state=int(seeds[0])), runs_on, gap)
    inner = [_inner(train, sessions, n_folds, gap, int(seeds[1])) for train, _ in folds]
    border = ~runs_on | (np.diff(sessions) != 0)
    stretch = np.concatenate([[0], np.cumsum(border)])
    position = _centred(time[:, None], sessions)
    orders, null, why = _orders(sessions, stretch, tau, n_permutations, int(seeds[2]))
    attrs = {
        "split": f"{n_folds} folds of whole groups of time, {gap} samples left out where time runs on across a border "
        f"(autocorrelation time {tau:.3g})",
        "null": f"none: {why}" if why else null,
        "R2_baseline": "linear drift since the start of a group, in the training folds",
        "autocorrelation_time": tau,
        "n_over_tau": float(np.bincount(stretch).min() / tau),
        "gap": gap,
        "n_groups": int(sessions.max()) + 1,
        "n_time_breaks": int((~runs_on).sum()),
    }
    blocks = stretch * len(time) + _place(stretch) // max(1, math.ceil(2 * tau))
    blocks = np.unique(blocks, return_inverse=True)[1]
    return Split(folds, inner, orders, why, blocks, position / max(float(np.abs(position).max()), 1e-300), attrs)


def _centred(values: Array, sessions: Labels) -> Array:
    """Without each session's mean: offsets between sessions are no autocorrelation."""
    sums = np.zeros((sessions.max() + 1, values.shape[1]))
    np.add.at(sums, sessions, values)
    return np.asarray(values - (sums / np.bincount(sessions)[:, None])[sessions])


def _place(stretch: Labels) -> Labels:
    """Index of each sample within its stretch."""
    return np.arange(len(stretch)) - np.searchsorted(stretch, stretch)


def _apart(folds: Folds, runs_on: NDArray[np.bool_], gap: int) -> Folds:
    """Folds without the training samples that are at most `gap` from a test sample of the same run of time."""
    run = np.concatenate([[0], np.cumsum(~runs_on)])
    kept = []
    for train, test in folds:
        near = np.zeros(len(run), dtype=bool)
        for step in range(1, gap + 1):
            for other in (test - step, test + step):
                inside = (other >= 0) & (other < len(run))
                near[other[inside][run[other[inside]] == run[test[inside]]]] = True
        kept.append((train[~near[train]], test))
    return kept


def _inner(train: Labels, sessions: Labels, n_folds: int, gap: int, seed: int) -> Folds:
    """Folds of the training rows, as indices into them: by whole sessions, or by blocks where there is one alone."""
    n_sessions = len(np.unique(sessions[train]))
    if n_sessions < 2:
        return block_folds(len(train), n_folds, gap=min(gap, int(0.15 * len(train))))
    return group_folds(sessions[train], min(n_folds, n_sessions), random_state=seed)


def _orders(
    sessions: Labels, stretch: Labels, tau: float, n_permutations: int, seed: int
) -> tuple[Labels | None, str, str]:
    """Row orders of the null, what they are, and why there are none."""
    lengths = np.bincount(stretch)
    sizes = np.bincount(sessions)
    if n_permutations == 0:
        return None, "", "no permutations were asked for"
    if lengths.min() / tau >= SHORTEST_SERIES:
        said = "circular shifts within each stretch of time of the predicted side, penalty chosen again"
        return _shifts(stretch, lengths, 3 * math.ceil(tau), n_permutations, seed), said, ""
    if count_orders(sizes) >= math.log(FEWEST_ORDERS):
        moved = permutations(len(sizes), n_permutations, strata=sizes, random_state=seed)
        said = "whole groups of equal length change places on the predicted side, penalty chosen again"
        return exchange(sessions, sizes, moved), said, ""
    why = (
        f"the shortest of {len(lengths)} stretches of time without a break is n / tau = {lengths.min() / tau:.3g} "
        f"autocorrelation times, a shift within it needs {SHORTEST_SERIES}; and groups of equal length can change "
        f"places in fewer than {FEWEST_ORDERS} ways"
    )
    return None, "", why


def _shifts(stretch: Labels, lengths: Labels, least: int, n_draws: int, seed: int) -> Labels:
    """Row orders (draw, sample) that shift each stretch in a circle of its own, by at least `least` either way."""
    rng = np.random.default_rng(seed)
    shift = rng.integers(least, lengths - least + 1, size=(n_draws, len(lengths)))
    start = np.cumsum(lengths) - lengths
    return np.asarray(start[stretch] + (_place(stretch) + shift[:, stretch]) % lengths[stretch])
