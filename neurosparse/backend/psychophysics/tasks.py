"""Which samples a profile is asked about: the queries and explanations of every task."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from neurosparse.errors import InputError

Ints = NDArray[np.int64]

# A profile whose values span less than this is constant, with no top and no bottom (Zimmermann et al. 2024).
FLAT = 1e-8
# Times that a task is drawn anew when its samples are too close to each other.
ATTEMPTS = 10


@dataclass(frozen=True)
class Draw:
    """How the tasks of a profile are drawn.

    Parameters
    ----------
    n_tasks : int
    n_explanations : int
        Explanations a side, K.
    quantile : float
        Share of the samples, at each end of the profile, from which a side is drawn; in (0, .5].
    query : {"most", "least"}
        Which of K + 1 samples of a side is its query: the most or the least extreme.
    gap : int
        Least distance, in samples, between a query and all else in its task; 0 for stimuli.
    """

    n_tasks: int = 20
    n_explanations: int = 9
    quantile: float = 0.05
    query: str = "most"
    gap: int = 0

    def __post_init__(self) -> None:
        for name in ("n_tasks", "n_explanations"):
            if not isinstance(getattr(self, name), int | np.integer) or getattr(self, name) < 1:
                raise InputError(f"{name} must be a whole number of at least 1; got {getattr(self, name)!r}.")
        if not 0 < self.quantile <= 0.5:
            raise InputError(f"quantile is the share of samples at one end, in (0, .5]; got {self.quantile!r}.")
        if self.query not in ("most", "least"):
            raise InputError(f"query must be 'most' or 'least' (extreme of a side); got {self.query!r}.")

    def pool_size(self, n: int) -> int:
        """Samples from which one side is drawn: `quantile` of `n`, and no fewer than twice what a task uses."""
        return max(int(np.ceil(self.quantile * n)), 2 * (self.n_explanations + 1))


def least_samples(n_explanations: int) -> int:
    """Samples that no two of are near-duplicates, without which two disjoint pools do not fit."""
    return 4 * (n_explanations + 1)


def rank_order(values: NDArray[np.float64], rng: np.random.Generator) -> Ints:
    """Samples of each profile from the least to the most active, (profile, sample), ties in random order.

    The order of tied samples in the file may carry meaning (a class after a class), so it must not decide.
    """
    shuffled = rng.permutation(len(values))
    return np.ascontiguousarray(shuffled[np.argsort(values[shuffled], axis=0, kind="stable")].T)


def side_limits(values: NDArray[np.float64], n_explanations: int) -> Ints:
    """How many samples, counted from each end, a side may hold, (profile, [top, bottom]).

    A side holds samples beyond the profile's median alone, so that the top of a sparse code is not filled up with
    silent samples. Where one side has fewer than a task needs (a non-negative code is never below its median of 0), it
    reaches up to the other. Where both do, or the profile is constant, there is nothing to ask: both limits are 0.
    """
    median = np.median(values, axis=0)
    beyond = np.stack([(values > median).sum(axis=0), (values < median).sum(axis=0)], axis=1)
    short = beyond <= n_explanations
    limits = np.where(short, len(values) - beyond[:, ::-1], beyond)
    limits[short.all(axis=1) | (np.ptp(values, axis=0) < FLAT)] = 0
    return limits


def top_sides(values: NDArray[np.float64], n_shown: int, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """Samples of each profile from the most active on, (profile, sample), and how many its top may hold, (profile,)."""
    limits = side_limits(values, n_shown - 1)
    return np.ascontiguousarray(rank_order(values, rng)[:, ::-1]), limits[:, 0]


@njit(cache=True)
def apart_from(sample: Any, others: Any, groups: Any, gap: Any) -> bool:
    """Whether no one of `others` is a near-duplicate of `sample`, or within the gap of it."""
    apart = True
    for other in others:
        apart = apart and groups[other] != groups[sample] and abs(other - sample) >= gap
    return apart


def draw_tasks(
    order: Ints, limits: Ints, groups: Ints, draw: Draw, rng: np.random.Generator, weights: Ints | None = None
) -> Ints:
    """Draw the samples of every task.

    A side's pool is the `Draw.pool_size` samples at its end of the profile. Of `n_explanations` + 1 random ones the
    most extreme (or the least, as `draw.query` says) is the query; the explanations are random among those less
    extreme (more extreme). No two samples of a task are near-duplicates, and nothing lies within the gap of a query.

    Parameters
    ----------
    order : (profile, sample) int64 array
        As `rank_order` gives it.
    limits : (profile, 2) int64 array
        As `side_limits` gives it.
    groups : (sample,) int64 array
        Near-duplicates share a label.
    draw : Draw
    rng : numpy.random.Generator
    weights : (sample,) int64 array, optional
        How often each sample occurs, for a bootstrap; once by default. Copies count towards the pool but never meet
        in one task.

    Returns
    -------
    (profile, task, [top, bottom], 1 + n_explanations) int64 array
        The query first, then the explanations; -1 throughout a task for which too few samples were apart.

    Notes
    -----
    O(profile x task x n_explanations^2).
    """
    n = order.shape[1]
    if weights is None:
        weights = np.ones(n, dtype=np.int64)
    size, n_side = draw.pool_size(n), draw.n_explanations + 1
    most = draw.query == "most"
    return _draw_tasks(order, limits, weights, groups, draw.gap, size, n_side, draw.n_tasks, most, rng)


@njit(cache=True)
def _draw_tasks(
    order: Any,
    limits: Any,
    weights: Any,
    groups: Any,
    gap: Any,
    pool_size: Any,
    n_side: Any,
    n_tasks: Any,
    most: Any,
    rng: Any,
) -> Any:
    tasks = np.full((len(order), n_tasks, 2, n_side), -1, dtype=np.int64)
    for profile in range(len(order)):
        top = _pool(order[profile, ::-1], limits[profile, 0], weights, pool_size)
        bottom = _pool(order[profile], limits[profile, 1], weights, pool_size)
        if len(top) < n_side or len(bottom) < n_side:
            continue
        if not most:
            top, bottom = top[::-1], bottom[::-1]
        for task in range(n_tasks):
            for _ in range(ATTEMPTS):
                if _draw_task(top, bottom, groups, gap, n_side, tasks[profile, task], rng):
                    break
            else:
                tasks[profile, task] = -1
    return tasks


@njit(cache=True)
def _pool(order: Any, limit: Any, weights: Any, pool_size: Any) -> Any:
    """The first `pool_size` samples of `order`, as often as they occur, but none beyond `limit`."""
    pool = np.empty(pool_size, dtype=np.int64)
    size = 0
    for sample in order[:limit]:
        for _ in range(weights[sample]):
            if size == pool_size:
                return pool
            pool[size] = sample
            size += 1
    return pool[:size]


@njit(cache=True)
def _draw_task(top: Any, bottom: Any, groups: Any, gap: Any, n_side: Any, task: Any, rng: Any) -> bool:
    """Fill `task` with two queries and their explanations; False where too few samples are apart."""
    first, second = _query_place(len(top), n_side, rng), _query_place(len(bottom), n_side, rng)
    task[0, 0], task[1, 0] = top[first], bottom[second]
    if groups[task[0, 0]] == groups[task[1, 0]] or abs(task[0, 0] - task[1, 0]) < gap:
        return False
    return _explain(top[first + 1 :], 0, groups, gap, task, rng) and _explain(
        bottom[second + 1 :], 1, groups, gap, task, rng
    )


@njit(cache=True)
def _query_place(size: Any, n_side: Any, rng: Any) -> Any:
    """The least of `n_side` different random places below `size`."""
    places = np.arange(size)
    least = size
    for drawn in range(n_side):
        other = drawn + int(rng.random() * (size - drawn))
        least = min(least, places[other])
        places[other] = places[drawn]
    return least


@njit(cache=True)
def _explain(candidates: Any, side: Any, groups: Any, gap: Any, task: Any, rng: Any) -> bool:
    """Fill one side's explanations at random from `candidates`; False where too few are apart from the rest."""
    left = candidates.copy()
    n_side = task.shape[1]
    found = 1
    for tried in range(len(left)):
        if found == n_side:
            break
        other = tried + int(rng.random() * (len(left) - tried))
        sample = left[other]
        left[other] = left[tried]
        if _apart(sample, side, found, groups, gap, task):
            task[side, found] = sample
            found += 1
    return found == n_side


@njit(cache=True)
def _apart(sample: Any, side: Any, found: Any, groups: Any, gap: Any, task: Any) -> bool:
    for other in range(2):
        if abs(sample - task[other, 0]) < gap:
            return False
        # On the top side, which is filled first, only the other side's query is there to be compared with.
        known = found if other == side else (1 if side == 0 else task.shape[1])
        for place in range(known):
            if groups[task[other, place]] == groups[sample]:
                return False
    return True
