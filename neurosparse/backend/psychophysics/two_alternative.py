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
    blocks : iterable of Block
        `draw.n_tasks` tasks are drawn in each; they are used one at a time.
    n_profiles : int
    draw : Draw
    groups : (sample,) int64 array
        Near-duplicates share a label and never meet in a task.
    permuted : (permutation, sample) int64 array
        Sample i takes the similarities of sample ``permuted[b, i]``; tasks stay as they are. May be empty.
    clusters : (sample,) int64 array
        What a bootstrap draws as a whole: groups of stimuli, blocks of time.
    weights : (bootstrap, cluster) int64 array
        How often each cluster occurs in a bootstrap sample, on which pools and tasks are drawn anew. May be empty.
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


def wilson_interval(score: Floats, n_tasks: Ints) -> tuple[Floats, Floats]:
    """95 % Wilson interval of a share of `n_tasks` independent tasks; NaN where `score` is.

    It keeps its width where all answers are right, and a bootstrap of them has none.

    References
    ----------
    E. Wilson, Journal of the American Statistical Association 22:209-212 (1927).
    """
    z = 1.959963984540054
    n = np.maximum(n_tasks, 1)
    centre = (score + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(score * (1 - score) / n + z**2 / (4 * n**2))
    return centre - half, centre + half


def randomised_p_value(observed: Floats, null: Floats, rng: np.random.Generator) -> Floats:
    """One-sided p-value with ties broken at random, p = (#{null > observed} + U (1 + #{null = observed})) / (1 + B).

    Parameters
    ----------
    observed : (profile,) array
    null : (draw, profile) array
    rng : numpy.random.Generator
        Gives U, uniform in [0, 1), one a profile.

    Returns
    -------
    (profile,) array
        Uniform under the null for scores that take few values, where the plain p-value is only super-uniform.
    """
    above, equal = (null > observed).sum(axis=0), (null == observed).sum(axis=0)
    p = (above + rng.random(np.shape(observed)) * (1 + equal)) / (1 + len(null))
    return np.where(np.isnan(observed), np.nan, p)
