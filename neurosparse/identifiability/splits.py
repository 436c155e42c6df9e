"""How samples are divided and what is exchangeable among them: folds, null orders and bootstrap groups.

Matrices and labels enter, a `Split` leaves. Stimuli and trials are split and permuted in whole groups; time series in
contiguous blocks with gaps, and shifted only where that is calibrated. Sessions are in `sessions`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosparse.backend.resampling import (
    autocorrelation_time,
    block_folds,
    circular_shifts,
    group_folds,
    permutations,
)
from neurosparse.errors import InputError

Folds = list[tuple[NDArray[np.int64], NDArray[np.int64]]]

SHORTEST_SERIES = 50  # autocorrelation times below which a circular shift is not calibrated (.107 for .05 at AR .99)
FEWEST_ORDERS = 20  # distinct orders below which no p reaches .05


@dataclass(frozen=True)
class Split:
    """Folds, their inner folds, and the null.

    Attributes
    ----------
    folds : list of (train, test)
    inner : list of folds
        One for each outer fold, as indices into its training rows.
    orders : (permutation, sample) int array or None
        Row orders of the targets under the null.
    undecidable : str
        Why there is no null; empty where there is one.
    groups : (sample,) int array
        What the bootstrap resamples.
    nuisance : (sample, 1) array or None
        Slow drift.
    attrs : dict
        What a reader must know of the split.
    """

    folds: Folds
    inner: list[Folds]
    orders: NDArray[np.int64] | None
    undecidable: str
    groups: NDArray[np.int64]
    nuisance: NDArray[np.float64] | None = None
    attrs: dict[str, Any] = field(default_factory=dict)


def split_groups(groups: NDArray[np.int64], *, n_folds: int, n_permutations: int, seeds: NDArray[np.int64]) -> Split:
    """Folds of whole groups, and permutations that let whole groups of equal size change places.

    Single stimuli are groups of one, so without near-duplicates every stimulus moves. Rows of a larger group (time
    bins of a trial, copies of an image) stay together and in order: permuted apart they would make a null that is too
    narrow.
    """
    folds = group_folds(groups, n_folds, random_state=int(seeds[0]))
    for index, (train, _) in enumerate(folds):
        if len(np.unique(groups[train])) < 2:
            raise InputError(
                f"the penalty is chosen inside the training rows, which needs two groups there; fold {index} of "
                f"{n_folds} trains on one. Give finer groups, or more folds."
            )
    inner = [
        group_folds(groups[train], min(n_folds, len(np.unique(groups[train]))), random_state=int(seeds[1]))
        for train, _ in folds
    ]
    sizes = np.bincount(groups)
    alike = np.bincount(sizes)[sizes]  # how many groups have each group's size
    orders, why = None, "no permutations were asked for" if n_permutations == 0 else ""
    if count_orders(sizes) < math.log(FEWEST_ORDERS):
        why = f"groups of equal size can change places in fewer than {FEWEST_ORDERS} ways"
    if not why:
        orders = exchange(
            groups, sizes, permutations(len(sizes), n_permutations, strata=sizes, random_state=int(seeds[2]))
        )
    attrs = {
        "split": f"{n_folds} folds of whole groups, penalty in {len(inner[0])} folds of the training groups",
        "null": f"none: {why}"
        if why
        else "whole groups of equal size permuted on the predicted side, penalty chosen again",
        "n_groups": len(sizes),
        "n_samples_never_permuted": int(sizes[alike == 1].sum()),
    }
    return Split(folds, inner, orders, why, groups, attrs=attrs)


def exchange(groups: NDArray[np.int64], sizes: NDArray[np.int64], moved: NDArray[np.int64]) -> NDArray[np.int64]:
    """Row orders (permutation, sample) that put the rows of group ``moved[b, g]`` where those of g were."""
    rows = np.argsort(groups, kind="stable")
    start = np.cumsum(sizes) - sizes
    orders = np.empty((len(moved), len(groups)), dtype=np.int64)
    for size in np.unique(sizes):
        these = np.flatnonzero(sizes == size)
        offsets = np.arange(size)
        places = rows[start[these][:, None] + offsets].ravel()  # group by group
        orders[:, places] = rows[start[moved[:, these]][:, :, None] + offsets].reshape(len(moved), -1)
    return orders


def breaks(time: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Where time jumps, or starts again, between one sample and the next, (n - 1,)."""
    steps = np.diff(time)
    return np.asarray((steps > 1.5 * np.median(steps)) | (steps <= 0))


def count_orders(sizes: NDArray[np.int64]) -> float:
    """Logarithm of the ways in which groups of equal size can change places."""
    return sum(math.lgamma(count + 1) for count in np.bincount(sizes)[1:])


def split_time(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    time: NDArray[np.float64],
    *,
    n_folds: int,
    n_permutations: int,
    seed: int,
) -> Split:
    """Contiguous blocks with a gap of one autocorrelation time, and circular shifts where they are calibrated."""
    n = len(time)
    tau = max(autocorrelation_time(x), autocorrelation_time(y))
    gap = math.ceil(tau)
    folds = block_folds(n, n_folds, gap=gap)
    # Inside the training rows a gap may not eat them up: it then guards the choice of penalty less, never the score.
    inner = [block_folds(len(train), n_folds, gap=min(gap, int(0.15 * len(train)))) for train, _ in folds]
    n_borders = int(breaks(time).sum())
    least = 3 * gap
    orders, why = None, ""
    if n_permutations == 0:
        why = "no permutations were asked for"
    elif n / tau < SHORTEST_SERIES:
        why = f"{n} samples are n / tau = {n / tau:.3g} autocorrelation times; a shift null needs {SHORTEST_SERIES}"
    elif n_borders:
        why = f"time has {n_borders} breaks, and a shift may not cross them; give one epoch, or trials"
    else:
        orders = circular_shifts(n, min(n_permutations, n - 2 * least + 1), minimum=least, random_state=seed)
    attrs = {
        "split": f"{n_folds} contiguous blocks of time, {gap} samples left out on each side "
        f"(autocorrelation time {tau:.3g})",
        "null": f"none: {why}"
        if why
        else "circular shifts of the predicted side, penalty chosen again; linear drift regressed in training rows",
        "R2_baseline": "linear drift of the training fold",
        "autocorrelation_time": tau,
        "n_over_tau": n / tau,
        "gap": gap,
        "n_time_breaks": n_borders,
    }
    blocks = np.arange(n) // max(1, math.ceil(2 * tau))
    centred = time - time.mean()
    return Split(folds, inner, orders, why, blocks, (centred / np.abs(centred).max())[:, None], attrs)
