"""Tasks asked of profiles in blocks, with the answers under permuted similarities and in bootstrap samples."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from neurosparse.backend.psychophysics.similarity import Similarity

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Block:
    """Tasks that share their data.

    Parameters
    ----------
    ranking : (sample, column) float64 array
        Responses that choose the samples of a task.
    judging : (sample, column) float64 array
        Responses that say which answer is right.
    similarity : Similarity
    columns : (column,) int64 array
        The profile that each column is.
    """

    ranking: Floats
    judging: Floats
    similarity: Similarity
    columns: Ints


@dataclass(frozen=True)
class Answers:
    """Mean credit over tasks, with its null and bootstrap draws.

    score : (profile,), NaN where fewer than half of the tasks could be drawn; null : (permutation, profile);
    bootstrap : (bootstrap, profile), NaN likewise; n_tasks : (profile,) tasks drawn.
    """

    score: Floats
    null: Floats
    bootstrap: Floats
    n_tasks: Ints


class Task(Protocol):
    """A kind of task: how it is drawn, and what its answers earn. One drawing may be scored in several ways."""

    @property
    def n_tasks(self) -> int: ...

    @property
    def n_scores(self) -> int: ...

    def sides(self, block: Block, rng: np.random.Generator) -> Any:
        """What drawing needs of a block, computed once."""

    def draw(self, sides: Any, rng: np.random.Generator, weights: Ints | None = None) -> Ints:
        """Samples of every task, (column, task, ...), -1 where it could not be drawn; `weights` (sample,) counts."""

    def credit(self, block: Block, tasks: Ints, index: Ints) -> Floats:
        """(score, column, task), NaN where not asked; sample i takes the similarities of sample ``index[i]``."""


class _Tally:
    """Sums of credit over blocks, for several draws at once."""

    def __init__(self, n_scores: int, n_draws: int, n_profiles: int) -> None:
        self.credit = np.zeros((n_scores, n_draws, n_profiles))
        self.tasks = np.zeros((n_draws, n_profiles), dtype=np.int64)

    def add(self, draw: int, columns: Ints, credits: Floats) -> None:
        asked = np.isfinite(credits[0])
        self.credit[:, draw, columns] += np.where(asked, credits, 0.0).sum(axis=2)
        self.tasks[draw, columns] += asked.sum(axis=1)

    def mean(self, least: Floats | float) -> Floats:
        enough = (self.tasks > 0) & (self.tasks >= least)
        return np.where(enough, self.credit / np.where(enough, self.tasks, 1), np.nan)


def answer(
    blocks: Iterable[Block],
    n_profiles: int,
    task: Task,
    *,
    permuted: Ints,
    clusters: Ints,
    weights: Ints,
    rng: np.random.Generator,
    on_step: Callable[[], Any] | None = None,
) -> list[Answers]:
    """Ask `task` of every profile, under every permutation, and in every bootstrap sample.

    Parameters
    ----------
    blocks : iterable of Block
        `task.n_tasks` tasks are drawn in each; they are used one at a time.
    n_profiles : int
    task : Task
    permuted : (permutation, sample) int64 array
        Sample i takes the similarities of sample ``permuted[b, i]``; tasks stay as they are. May be empty.
    clusters : (sample,) int64 array
        What a bootstrap draws as a whole: groups of stimuli, blocks of time.
    weights : (bootstrap, cluster) int64 array
        How often each cluster occurs in a bootstrap sample, on which pools and tasks are drawn anew. May be empty.
    rng : numpy.random.Generator
    on_step : callable, optional
        Called once a draw.

    Returns
    -------
    list of Answers
        One for each of the task's scores.
    """
    observed, null, bootstrap = (_Tally(task.n_scores, n, n_profiles) for n in (1, len(permuted), len(weights)))
    asked = np.zeros(n_profiles)
    done = on_step or (lambda: None)
    for block in blocks:
        sides = task.sides(block, rng)
        same = np.arange(len(block.ranking))
        asked[block.columns] += task.n_tasks
        tasks = task.draw(sides, rng)
        observed.add(0, block.columns, task.credit(block, tasks, same))
        for b, index in enumerate(permuted):
            null.add(b, block.columns, task.credit(block, tasks, index))
            done()
        for b, weight in enumerate(weights):
            redrawn = task.draw(sides, rng, weight[clusters])
            bootstrap.add(b, block.columns, task.credit(block, redrawn, same))
            done()
    least = asked / 2
    scores = observed.mean(least)[:, 0]
    drawn = np.isfinite(scores)[:, None]
    nulls, resampled = np.where(drawn, null.mean(0), np.nan), np.where(drawn, bootstrap.mean(least), np.nan)
    return [Answers(*each, n_tasks=observed.tasks[0]) for each in zip(scores, nulls, resampled, strict=True)]
