"""The interpretability index: how alike a profile's most exciting samples are (v1), and its psychophysics (v2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.special import expit

from neurosparse.backend.psychophysics.answering import Block
from neurosparse.backend.psychophysics.similarity import Similarity
from neurosparse.backend.psychophysics.tasks import apart_from, rank_order, side_limits, top_sides
from neurosparse.errors import InputError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class AlikeAtTheTop:
    """Mean similarity of the `n_shown` samples that drive a profile most: the index v1, as a `Task`.

    References
    ----------
    D. Klindt et al., arXiv 2310.11431, with LPIPS for similarity. Deviation: a sample makes no pair with itself.
    """

    groups: Ints
    gap: int = 0
    n_shown: int = 5
    n_tasks: int = 1
    n_scores: int = 1

    def sides(self, block: Block, rng: np.random.Generator) -> tuple[Ints, Ints]:
        return top_sides(block.ranking, self.n_shown, rng)

    def draw(self, sides: tuple[Ints, Ints], rng: np.random.Generator, weights: Ints | None = None) -> Ints:
        weights = np.ones(sides[0].shape[1], dtype=np.int64) if weights is None else weights
        return _top_apart(*sides, weights, self.groups, self.gap, self.n_shown)[:, None]

    def credit(self, block: Block, tasks: Ints, index: Ints) -> Floats:
        shown = index[tasks]
        alike = block.similarity.between(shown, shown)
        off = ~np.eye(self.n_shown, dtype=bool)
        return np.where(tasks[..., 0] < 0, np.nan, alike[..., off].mean(axis=-1))[None]


@dataclass(frozen=True)
class IndexTwo:
    """How the automated psychophysics of the index v2 is laid out.

    margin : share of samples left out at each end (0 shows the extremes, .25 is harder). n_trials : also the number of
    queries on each side. n_references : a side and trial.
    """

    margin: float = 0.0
    n_trials: int = 20
    n_references: int = 9

    @property
    def least_samples(self) -> int:
        return 4 * self.n_trials * (self.n_references + 1)

    def trials(self, values: Floats, groups: Ints, rng: np.random.Generator) -> Ints:
        """Samples of every trial, (profile, trial, [top, bottom], 1 + n_references), the query first; none is twice.

        -1 throughout a profile that has fewer samples beyond its median, on both sides, than a side shows: the top of
        a sparse code filled up with silent samples makes mixtures of two codes score above the codes.

        Raises
        ------
        InputError
            If fewer than `least_samples` samples, no two of them near-duplicates, lie within the margins.
        """
        order = rank_order(values, rng)
        order = np.stack([row[np.sort(np.unique(groups[row], return_index=True)[1])] for row in order])
        n = order.shape[1]
        out = int(self.margin * n)
        order = order[:, out : n - out]
        if order.shape[1] < self.least_samples:
            raise InputError(
                f"index_v2 needs at least {self.least_samples} stimuli that are no near-duplicates within its margin "
                f"of {self.margin:g} at each end: {self.n_trials} trials with {self.n_references} references and a "
                f"query on each of two sides, twice over; got {order.shape[1]}. Use mis, which needs fewer."
            )
        each = self.n_trials * (self.n_references + 1)
        limits = side_limits(values, each - 1)
        layout = np.arange(each).reshape(self.n_references + 1, self.n_trials).T  # (trial, query and references)
        trials = np.stack([order[:, ::-1][:, layout], order[:, layout]], axis=2)
        trials[limits[:, 0] == 0] = -1
        return trials

    def scores(self, similarity: Similarity, trials: Ints, index: Ints) -> Floats:
        """Softmax evidence for the right pairing, similarities z-scored within each trial; (profile, trial)."""
        seen = index[trials]
        queries = seen[..., 0]  # (profile, trial, side)
        references = seen[..., 1:].reshape(*seen.shape[:2], -1)  # (profile, trial, side x reference)
        spread = similarity.between(queries, references).std(axis=(-2, -1))
        evidence = similarity.evidence(trials, index)  # NaN where not asked
        return expit(evidence / np.where(spread > 0, spread, np.inf))


@njit(cache=True)
def _top_apart(order: Any, limits: Any, weights: Any, groups: Any, gap: Any, n_shown: Any) -> Any:
    """The first `n_shown` samples of each row of `order` that occur and are apart; -1 where there are too few."""
    top = np.full((len(order), n_shown), -1, dtype=np.int64)
    for profile in range(len(order)):
        found = 0
        for sample in order[profile, : limits[profile]]:
            if weights[sample] > 0 and apart_from(sample, top[profile, :found], groups, gap):
                top[profile, found] = sample
                found += 1
                if found == n_shown:
                    break
        if found < n_shown:
            top[profile] = -1
    return top
