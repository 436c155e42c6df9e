"""The two-alternative task: which of two queries belongs with which explanations?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neurosparse.backend.psychophysics.similarity import Similarity
from neurosparse.backend.psychophysics.tasks import Draw, draw_tasks, rank_order, side_limits

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Block:
    """Tasks that share their data.

    Parameters
    ----------
    ranking : (sample, column) float64 array
        Responses that choose the queries and explanations.
    judging : (sample, column) float64 array
        Responses that say which query is the more active.
    similarity : Similarity
    columns : (column,) int64 array
        The profile that each column is.
    """

    ranking: Floats
    judging: Floats
    similarity: Similarity
    columns: Ints


@dataclass(frozen=True)
class TwoAlternative:
    """Share of tasks answered right, with its null and bootstrap draws.

    score : (profile,), NaN where fewer than half of the tasks could be drawn; null : (permutation, profile);
    bootstrap : (bootstrap, profile), NaN likewise; n_tasks : (profile,) tasks drawn.
    """

    score: Floats
    null: Floats
    bootstrap: Floats
    n_tasks: Ints


def query_truth(tasks: Ints, judging: Floats) -> Floats:
    """1 where the top query is the more active in `judging`, -1 where the bottom one is, 0 for a tie; (profile, task).

    Where the responses that judge are those that ranked, it is 1 by construction.
    """
    profile = np.arange(len(tasks))[:, None]
    return np.sign(judging[tasks[:, :, 0, 0], profile] - judging[tasks[:, :, 1, 0], profile])


def credit(evidence: Floats, truth: Floats) -> Floats:
    """1 for a right answer, 0 for a wrong one, 1/2 where the similarities or the truth are tied; NaN if not asked."""
    return 0.5 + 0.5 * np.sign(evidence) * truth


class _Tally:
    """Sums of credit over blocks, for several draws at once."""

    def __init__(self, n_draws: int, n_profiles: int) -> None:
        self.credit = np.zeros((n_draws, n_profiles))
        self.tasks = np.zeros((n_draws, n_profiles), dtype=np.int64)

    def add(self, draw: int, columns: Ints, credits: Floats) -> None:
        asked = np.isfinite(credits)
        self.credit[draw, columns] += np.where(asked, credits, 0.0).sum(axis=1)
        self.tasks[draw, columns] += asked.sum(axis=1)

    def mean(self, least: Floats | float) -> Floats:
        enough = (self.tasks > 0) & (self.tasks >= least)
        return np.where(enough, self.credit / np.where(enough, self.tasks, 1), np.nan)


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
) -> TwoAlternative:
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
    TwoAlternative

    Notes
    -----
    O((permutation + bootstrap) x profile x task x n_explanations) beside one sort a block.

    References
    ----------
    R. Zimmermann, D. Klindt, W. Brendel, NeurIPS 2024 (its alpha -> infinity). Deviations: pools hold samples beyond
    the profile's median only; the query may be the most extreme of its side, as in D. Klindt et al., arXiv 2310.11431.
    """
    rng = np.random.default_rng(random_state)
    observed, null, bootstrap = (_Tally(n, n_profiles) for n in (1, len(permuted), len(weights)))
    asked = np.zeros(n_profiles)
    for block in blocks:
        order, limits = rank_order(block.ranking, rng), side_limits(block.ranking, draw.n_explanations)
        same = np.arange(len(block.ranking))
        asked[block.columns] += draw.n_tasks
        tasks = draw_tasks(order, limits, groups, draw, rng)
        truth = query_truth(tasks, block.judging)
        observed.add(0, block.columns, credit(block.similarity.evidence(tasks, same), truth))
        for b, index in enumerate(permuted):
            null.add(b, block.columns, credit(block.similarity.evidence(tasks, index), truth))
        for b, weight in enumerate(weights):
            redrawn = draw_tasks(order, limits, groups, draw, rng, weight[clusters])
            evidence = block.similarity.evidence(redrawn, same)
            bootstrap.add(b, block.columns, credit(evidence, query_truth(redrawn, block.judging)))
    least = asked / 2
    score = observed.mean(least)[0]
    drawn = np.isfinite(score)
    return TwoAlternative(
        score=score,
        null=np.where(drawn, null.mean(0), np.nan),
        bootstrap=np.where(drawn, bootstrap.mean(least), np.nan),
        n_tasks=observed.tasks[0],
    )


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
