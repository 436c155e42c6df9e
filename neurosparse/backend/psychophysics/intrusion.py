"""Is the stranger among a profile's favourites found by similarity alone?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from neurosparse.backend.psychophysics.answering import Block
from neurosparse.backend.psychophysics.tasks import ATTEMPTS, apart_from, top_sides

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# An intruder is among the least active half for its profile, and among the top tenth of another.
LOW, HIGH = 0.5, 0.1


@dataclass(frozen=True)
class Intrusion:
    """Is the stranger among a profile's favourites found by similarity alone? A `Task` with chance 1 / (n_shown + 1).

    Of `n_shown` samples from the top of the profile and an intruder, which is among its least active half and in the
    top tenth of another profile, the one least like the rest on average is named; ties share. Right is the sample
    that `judging` says is the least active, which is the intruder by construction where it is also `ranking`.

    References
    ----------
    J. Chang et al., Reading tea leaves, NIPS 2009; B. Murphy et al., COLING 2012 (choice of the intruder).
    """

    groups: Ints
    pool_size: int
    gap: int = 0
    n_shown: int = 4
    n_tasks: int = 20
    n_scores: int = 1

    def sides(self, block: Block, rng: np.random.Generator) -> tuple[Ints, Ints]:
        return top_sides(block.ranking, self.n_shown, rng)

    def draw(self, sides: tuple[Ints, Ints], rng: np.random.Generator, weights: Ints | None = None) -> Ints:
        n = sides[0].shape[1]
        weights = np.ones(n, dtype=np.int64) if weights is None else weights
        high = max(int(np.ceil(HIGH * n)), 1)
        return _intrusions(
            *sides, weights, self.groups, self.gap, self.pool_size, high, self.n_shown, self.n_tasks, rng
        )

    def credit(self, block: Block, tasks: Ints, index: Ints) -> Floats:
        shown = index[tasks]
        alike = block.similarity.between(shown, shown)
        to_others = alike.sum(axis=-1) - np.einsum("...ii->...i", alike)
        named = to_others <= to_others.min(axis=-1, keepdims=True) + 1e-12
        responses = block.judging[tasks, np.arange(len(tasks))[:, None, None]]
        # The intruder stands last; where the judging responses tie it with another, it stays the stranger.
        odd = np.where(responses[..., -1] <= responses.min(axis=-1), self.n_shown, responses.argmin(axis=-1))
        right = np.take_along_axis(named, odd[..., None], axis=-1)[..., 0] / named.sum(axis=-1)
        return np.where(tasks[..., 0] < 0, np.nan, right)[None]


@njit(cache=True)
def _intrusions(
    order: Any,
    limits: Any,
    weights: Any,
    groups: Any,
    gap: Any,
    pool_size: Any,
    high: Any,
    n_shown: Any,
    n_tasks: Any,
    rng: Any,
) -> Any:
    n_profiles, n = order.shape
    tasks = np.full((n_profiles, n_tasks, n_shown + 1), -1, dtype=np.int64)
    place = np.empty(n, dtype=np.int64)
    for profile in range(n_profiles):
        if limits[profile] < n_shown:
            continue
        for rank in range(n):
            place[order[profile, rank]] = rank
        for task in range(n_tasks):
            for _ in range(ATTEMPTS):
                shown = tasks[profile, task]
                if _favourites(order[profile, : min(limits[profile], pool_size)], weights, groups, gap, shown, rng):
                    stranger = _stranger(order, limits, place, profile, weights, high, rng)
                    if stranger >= 0 and apart_from(stranger, shown[:-1], groups, gap):
                        shown[-1] = stranger
                        break
            else:
                tasks[profile, task] = -1
    return tasks


@njit(cache=True)
def _favourites(pool: Any, weights: Any, groups: Any, gap: Any, shown: Any, rng: Any) -> bool:
    """Fill all places of `shown` but the last from `pool` at random, each sample as likely as it occurs."""
    left = pool.copy()
    found, size = 0, len(left)
    while found < len(shown) - 1:
        total = 0
        for k in range(size):
            total += weights[left[k]]
        if total == 0:
            return False
        at, drawn = 0, int(rng.random() * total)
        while drawn >= weights[left[at]]:
            drawn -= weights[left[at]]
            at += 1
        sample = left[at]
        size -= 1
        left[at] = left[size]
        if apart_from(sample, shown[:found], groups, gap):
            shown[found] = sample
            found += 1
    return True


@njit(cache=True)
def _stranger(order: Any, limits: Any, place: Any, profile: Any, weights: Any, high: Any, rng: Any) -> Any:
    """A sample of the profile's least active half, if possible one that another likes; -1 if it is absent."""
    n_profiles, n = order.shape
    low = int(n * (1 - LOW))
    for _ in range(ATTEMPTS if n_profiles > 1 else 0):
        other = int(rng.random() * (n_profiles - 1))
        other += other >= profile
        if limits[other] == 0:
            continue
        sample = order[other, int(rng.random() * min(high, limits[other]))]
        if weights[sample] > 0 and place[sample] >= low:
            return sample
    # Nobody else likes what this profile does not: any sample of its lower half will do.
    sample = order[profile, low + int(rng.random() * (n - low))]
    return sample if weights[sample] > 0 else -1
