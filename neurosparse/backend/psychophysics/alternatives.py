"""The two-alternative task: which of two queries belongs with which explanations?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from neurosparse.backend.psychophysics.answering import Answers, Block, answer
from neurosparse.backend.psychophysics.tasks import Draw, draw_tasks, rank_order, side_limits

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def query_truth(tasks: Ints, judging: Floats) -> Floats:
    """1 where the top query is the more active in `judging`, -1 where the bottom one is, 0 for a tie; (profile, task).

    Where the responses that judge are those that ranked, it is 1 by construction.
    """
    profile = np.arange(len(tasks))[:, None]
    return np.sign(judging[tasks[:, :, 0, 0], profile] - judging[tasks[:, :, 1, 0], profile])


def credit(evidence: Floats, truth: Floats) -> Floats:
    """1 for a right answer, 0 for a wrong one, 1/2 where the similarities or the truth are tied; NaN if not asked."""
    return 0.5 + 0.5 * np.sign(evidence) * truth


def soft_credit(evidence: Floats, truth: Floats, alpha: float) -> Floats:
    """sigmoid(alpha (D+ - D-)) of the side that `truth` says is right; 1/2 where the truth is tied."""
    return expit(alpha * evidence * truth)


def evidence_scale(block: Block, draw: Draw, groups: Ints, rng: np.random.Generator) -> float:
    """Standard deviation of D+ - D- where similarities know nothing: of one set of tasks, similarities permuted.

    Its inverse is a slope `alpha` that does not depend on the unit in which similarities are measured; 1 where all
    similarities are alike.
    """
    task = TwoAlternative(draw, groups)
    tasks = task.draw(task.sides(block, rng), rng)
    spread = np.nanstd(block.similarity.evidence(tasks, rng.permutation(len(block.ranking)))) if tasks.max() >= 0 else 0
    return float(spread) if spread > 0 else 1.0


@dataclass(frozen=True)
class TwoAlternative:
    """The task of `two_alternative` as a `Task`: hard credit, and soft credit of slope `alpha` where one is given."""

    how: Draw
    groups: Ints
    alpha: float | None = None

    @property
    def n_tasks(self) -> int:
        return self.how.n_tasks

    @property
    def n_scores(self) -> int:
        return 1 if self.alpha is None else 2

    def sides(self, block: Block, rng: np.random.Generator) -> tuple[Ints, Ints]:
        return rank_order(block.ranking, rng), side_limits(block.ranking, self.how.n_explanations)

    def draw(self, sides: tuple[Ints, Ints], rng: np.random.Generator, weights: Ints | None = None) -> Ints:
        return draw_tasks(*sides, self.groups, self.how, rng, weights)

    def credit(self, block: Block, tasks: Ints, index: Ints) -> Floats:
        evidence, truth = block.similarity.evidence(tasks, index), query_truth(tasks, block.judging)
        hard = credit(evidence, truth)
        return hard[None] if self.alpha is None else np.stack([hard, soft_credit(evidence, truth, self.alpha)])


def two_alternative(
    blocks: Iterable[Block],
    n_profiles: int,
    draw: Draw,
    *,
    groups: Ints,
    permuted: Ints,
    clusters: Ints,
    weights: Ints,
    random_state: int | np.random.Generator = 0,
) -> Answers:
    """Score profiles in the hard two-alternative task.

    score = mean over tasks of [sign(D+ - D-) = sign(j(q+) - j(q-))], ties counting 1/2, with the queries q and the
    explanations chosen by `ranking`, j the responses `judging`, and D from the similarity (`Similarity.evidence`).

    Parameters
    ----------
    blocks, n_profiles, permuted, clusters, weights
        As for `answer`; `draw.n_tasks` tasks are drawn in each block.
    draw : Draw
    groups : (sample,) int64 array
        Near-duplicates share a label and never meet in a task.
    random_state : int or numpy.random.Generator

    Returns
    -------
    Answers

    Notes
    -----
    O((permutation + bootstrap) x profile x task x n_explanations) beside one sort a block.

    References
    ----------
    R. Zimmermann, D. Klindt, W. Brendel, NeurIPS 2024 (its alpha -> infinity). Deviations: pools hold samples beyond
    the profile's median only; the query may be the most extreme of its side, as in D. Klindt et al., arXiv 2310.11431.
    """
    rng = np.random.default_rng(random_state)
    task = TwoAlternative(draw, groups)
    return answer(blocks, n_profiles, task, permuted=permuted, clusters=clusters, weights=weights, rng=rng)[0]
