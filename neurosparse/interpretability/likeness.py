"""Scores that ask how alike the stimuli are that drive a profile."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from neurosparse.backend.psychophysics import (
    AlikeAtTheTop,
    Answers,
    Block,
    Draw,
    IndexTwo,
    Intrusion,
    Task,
    TwoAlternative,
    answer,
    evidence_scale,
    monosemanticity,
    monosemanticity_draws,
    wilson_interval,
)
from neurosparse.interpretability.asking import Question
from neurosparse.interpretability.draws import Draws, quiet_mean
from neurosparse.interpretability.similarity import Judge, blocks

Floats = NDArray[np.float64]


def _judge(asked: Question) -> Judge:
    assert asked.judge is not None
    return asked.judge


def _is_split(asked: Question) -> bool:
    return asked.samples.trials is not None or _judge(asked).other_units


def _blocks(asked: Question) -> Iterator[Block]:
    return blocks(asked.samples, _judge(asked), asked.draw.n_tasks, asked.rng)


def _tasks_a_block(asked: Question) -> int:
    return 1 if _is_split(asked) else asked.draw.n_tasks


def _answered(asked: Question, task: Task) -> list[Answers]:
    return answer(
        _blocks(asked),
        asked.samples.values.shape[1],
        task,
        permuted=asked.permuted,
        clusters=asked.samples.clusters,
        weights=asked.weights,
        rng=asked.rng,
        on_step=asked.on_step,
    )


def _draws(asked: Question, found: Answers) -> Draws:
    return Draws(
        found.score, found.null, asked.shuffled.format("similarities"), bootstrap=found.bootstrap, n_tasks=found.n_tasks
    )


def two_alternative_scores(asked: Question) -> dict[str, Draws]:
    """mis, and soft_mis on the same tasks."""
    samples, how = asked.samples, asked.draw
    a_block = Draw(_tasks_a_block(asked), how.n_explanations, how.quantile, how.query, samples.gap)
    alpha = None
    if "soft_mis" in asked.names:
        alpha = asked.alpha
        if alpha is None:
            alpha = 1 / evidence_scale(next(_blocks(asked)), a_block, samples.groups, asked.rng)
        asked.notes["alpha"] = alpha
    found = _answered(asked, TwoAlternative(a_block, samples.groups, alpha))
    result = dict(zip(("mis", "soft_mis"), (_draws(asked, each) for each in found), strict=False))
    # A bootstrap of tasks that were all answered right has no width; the binomial interval has.
    result["mis"] = result["mis"].with_least_interval(*wilson_interval(found[0].score, found[0].n_tasks))
    return result


def intrusion_scores(asked: Question) -> dict[str, Draws]:
    pool = asked.draw.pool_size(len(asked.samples.labels))
    task = Intrusion(asked.samples.groups, pool, asked.samples.gap, n_tasks=_tasks_a_block(asked))
    found = _answered(asked, task)[0]
    draws = _draws(asked, found)
    return {"intrusion": draws.with_least_interval(*wilson_interval(found.score, found.n_tasks))}


def index_one_scores(asked: Question) -> dict[str, Draws]:
    task = AlikeAtTheTop(asked.samples.groups, asked.samples.gap)
    return {"index_v1": _draws(asked, _answered(asked, task)[0])}


def index_two_scores(asked: Question) -> dict[str, Draws]:
    """index_v2: its trials share no stimulus, so the bootstrap draws whole trials."""
    index, n_profiles = IndexTwo(), asked.samples.values.shape[1]
    kept: list[tuple[Floats, Floats, NDArray[np.int64]]] = []
    same = np.arange(len(asked.samples.labels))
    for block in _blocks(asked):
        trials = index.trials(block.ranking, asked.samples.groups, asked.rng)
        observed = index.scores(block.similarity, trials, same)
        null = []
        for order in asked.permuted:
            null.append(index.scores(block.similarity, trials, order).mean(axis=1))
            if asked.on_step:
                asked.on_step()
        kept.append((observed, np.array(null).reshape(len(null), -1), block.columns))
    counts = asked.rng.multinomial(index.n_trials, np.full(index.n_trials, 1 / index.n_trials), len(asked.weights))
    values, nulls, resampled = (np.zeros((n, n_profiles)) for n in (1, len(asked.permuted), len(counts)))
    times = np.zeros(n_profiles)
    for observed, shuffled, columns in kept:
        times[columns] += 1
        values[0, columns] += observed.mean(axis=1)
        nulls[:, columns] += shuffled
        resampled[:, columns] += counts @ observed.T / index.n_trials
    flat = np.where(np.ptp(asked.samples.values, axis=0) < 1e-8, np.nan, 1.0) / times
    how = asked.shuffled.format("similarities")
    return {"index_v2": Draws(values[0] * flat, nulls * flat, how, bootstrap=resampled * flat)}


def monosemanticity_scores(asked: Question) -> dict[str, Draws]:
    """Nothing is picked, so halves of the repeats are needed only where the similarity comes from the same trials."""
    judge, values = _judge(asked), asked.samples.values
    everything = np.arange(values.shape[1])
    used = [Block(values, values, judge.fixed, everything)] if judge.fixed is not None else list(_blocks(asked))
    shape = values.shape[1]
    parts: list[list[Floats]] = [[], [], []]
    for block in used:
        found = (
            monosemanticity(block.ranking, block.similarity)[None],
            monosemanticity_draws(block.ranking, block.similarity, permuted=asked.permuted, device=asked.device),
            monosemanticity_draws(block.ranking, block.similarity, weights=asked.sample_weights, device=asked.device),
        )
        for part, draws in zip(parts, found, strict=True):
            whole = np.full((len(draws), shape), np.nan)
            whole[:, block.columns] = draws
            part.append(whole)
    value, null, bootstrap = (quiet_mean(np.stack(part)) for part in parts)
    return {"monosemanticity": Draws(value[0], null, asked.shuffled.format("similarities"), bootstrap=bootstrap)}
