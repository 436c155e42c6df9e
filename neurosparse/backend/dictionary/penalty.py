"""A penalty that nobody has to know: by how well hidden entries are foretold. Imports numpy and torch."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import torch

from neurosparse.backend.devices import one_thread
from neurosparse.backend.dictionary import relearning
from neurosparse.backend.dictionary.annealing import hold
from neurosparse.backend.dictionary.learner import Learner
from neurosparse.backend.dictionary.settings import (
    MANY,
    WORKING_LEVEL,
    OnStep,
    Random,
    Settings,
    few_samples,
    first_level,
    n_at_first,
    random_state_of,
    reference_penalty,
)
from neurosparse.backend.inference import encode, held_out_entries
from neurosparse.errors import InputError

Tensor = torch.Tensor
# Multiples of `reference_penalty` that held-out entries choose from, those above `TOP` where noise is most of the data.
LEVELS, TOP = (*0.7 * (0.7 / 0.04) ** (np.arange(6, 0, -1) / 11), *np.geomspace(0.7, 0.04, 12)), 6
# Steps at each level below those of annealing: so many, or fewer where there are so many atoms that a step is dear.
LEVEL_STEPS, FEWEST_STEPS, DEAR = 16, 4, 8192
# Blocks of steps at a level, at the most, on the way to where the atoms of few samples are relearned.
FIRST_BLOCKS = 8
# Samples that foretell: a tenth of all, but this many where a fifth are.
ENOUGH = 100
# Of many atoms every other level is passed over for as long as each lowers the error to less than so many times.
STEEP = 0.8
# The error has clearly risen once it is so many times the lowest.
RISEN = 1.05
# Standard errors by which more must be foretold above `TOP` than by the offset alone: codes vanish there.
CLEAR = 2.0
# Where the error is lowest at `TOP` or above, so many test sets tell: one of 500 samples is wrong by two levels there.
FOLDS = 5


class PenaltyPath(NamedTuple):
    """Error of held-out entries along falling penalties, relative to the offset alone, and the penalty chosen.

    `dictionary` (atom, unit) is what annealing to that penalty, or to where replacement works, has made of the surplus
    of atoms, or coarse relearning of few samples: a start for `fit`.
    """

    penalty: float
    penalties: np.ndarray
    error: np.ndarray
    standard_error: np.ndarray
    dictionary: Tensor


class Descent(NamedTuple):
    """Error of each test sample at each of `LEVELS`, NaN where it was not tried, of the offset alone; dictionaries."""

    error: np.ndarray
    alone: np.ndarray
    dictionaries: dict[int, Tensor]


@one_thread()
def choose_penalty(
    x: Tensor,
    n_atoms: int,
    settings: Settings,
    *,
    random_state: Any = None,
    n_validation: int = 500,
    on_step: OnStep | None = None,
) -> PenaltyPath:
    """The largest penalty whose dictionary foretells hidden entries within one standard error of the best, or the best.

    The best where it is above `TOP`, which sparse counts or much noise bring about: every penalty above it, up to those
    at which no code is left, may be within one standard error there. Errors hardly differ then, and `FOLDS` test sets
    tell whether and which; not of `MANY` atoms, nor where samples are few: there one does.

    Nine tenths of the samples are learned from (four fifths of fewer than 500), along `LEVELS` of falling penalty; of
    the others each unit in turn is hidden and foretold from the rest (`inference.held_out_entries`). No label and no
    truth enters. The penalty that foretells best leaves too many codes active where data are noisy (counts of mean 2:
    |cos| .961 there, .977 at the one taken). Where samples are few (`relearning`) it is taken all the same: few are
    held out, they differ much among themselves, and low penalties are the better ones (noise of 0 to .6 of the
    signal's sd, 24 worlds: in the ten in which the two rules differ, by .001 to .013 in |cos|, never worse).

    Parameters
    ----------
    x : (sample, unit) tensor
        At least 10 samples.
    n_atoms : int
    settings : Settings
    random_state : int, numpy.random.RandomState or None
    n_validation : int
        Held-out samples used, at the most.
    on_step : callable, optional
        Called after every level.

    Returns
    -------
    PenaltyPath
        Of the levels tried, in falling order: it ends where the error has clearly risen. Levels above `TOP` that
        do not clearly foretell something are left out.

    Raises
    ------
    InputError
        If there are fewer than 10 samples.
    """
    random = random_state_of(random_state)
    if len(x) < 10:
        raise InputError(
            f"penalty='auto' chooses by held-out samples and needs at least 10; x has {len(x)} samples. Give a penalty."
        )
    order = random.permutation(len(x))
    n_test = min(n_validation, max(len(x) // 10, min(len(x) // 5, ENOUGH)))
    quick, reference = x.float(), reference_penalty(x, n_atoms, offset=settings.offset)
    few = few_samples(settings, len(x) - n_test, n_atoms)

    def fold(number: int) -> Descent:
        hidden = np.zeros(len(x), dtype=bool)
        hidden[n_test * number : n_test * (number + 1)] = True
        train, test = (quick[torch.as_tensor(rows).to(x.device)] for rows in (order[~hidden], order[hidden]))
        return descend(train, test, n_atoms, settings, reference, random, beyond=number > 0, on_step=on_step)

    descents = [fold(0)]
    error = clear(descents[0].error, descents[0].alone)
    if np.nanargmin(descents[0].error.mean(1)) <= TOP and n_atoms < MANY and not few:
        descents += [fold(number) for number in range(1, min(FOLDS, len(x) // n_test))]
        errors, alone = ([getattr(each, name) for each in descents] for name in ("error", "alone"))
        pooled = clear(np.hstack(errors), np.hstack(alone))
        if np.nanargmin(pooled.mean(1)) < TOP:
            error = pooled
        else:
            error[:TOP] = np.nan
    tried = np.flatnonzero(np.isfinite(error).all(1))
    error = error[tried]
    mean, spread = error.mean(1), error.std(1) / np.sqrt(error.shape[1])
    best = int(mean.argmin())
    allowed = 0.0 if few else spread[best]
    chosen = int(np.flatnonzero((mean <= mean[best] + allowed) & (tried >= min(tried[best], TOP)))[0])
    start = min(int(tried[chosen]), _nearest(WORKING_LEVEL))
    penalties = reference * np.array(LEVELS)[tried]
    return PenaltyPath(float(penalties[chosen]), penalties, mean, spread, descents[0].dictionaries[start])


def clear(error: np.ndarray, alone: np.ndarray) -> np.ndarray:
    """Errors (level, sample) without the levels above `TOP` that do not clearly foretell more than the offset alone."""
    gain = (alone - error)[:TOP]
    void = ~(gain.mean(1) > CLEAR * gain.std(1) / np.sqrt(error.shape[1]))
    return np.where(np.pad(void, (0, len(error) - TOP))[:, None], np.nan, error)


def descend(
    train: Tensor,
    test: Tensor,
    n_atoms: int,
    settings: Settings,
    reference: float,
    random: Random,
    *,
    other: Tensor | None = None,
    beyond: bool = False,
    on_step: OnStep | None = None,
) -> Descent:
    """Anneal along `LEVELS` times `reference`, and see at each how well the test samples are foretold.

    From the first level of annealing downwards, until the error has clearly risen; where it is lowest at that level,
    those above are tried as well, from there, and where it is lowest at `TOP` all those above. Where samples are few,
    atoms are relearned first, at the level that replacement works at, and follow the penalty from there down and up.

    Parameters
    ----------
    train, test : (sample, unit) tensors
    n_atoms : int
    settings : Settings
    reference : float
    random : numpy.random.RandomState
    other : (sample, unit) tensor, optional
        The test samples measured again. With it the error is that of the whole reconstruction in these; without it,
        of the test samples' own entries, each hidden in turn.
    beyond : bool
        Whether levels above that of annealing, and above `TOP`, are tried wherever the error is lowest.
    on_step : callable, optional

    Returns
    -------
    Descent
        Errors as a share of the training mean's error.
    """
    few = relearning.coarse_stages(settings, len(train), n_atoms)
    learner = Learner.at_random(train, n_at_first(settings, len(train), n_atoms), settings, random)
    seed, usual = random.randint(2**31), (test if other is None else other) - train.mean(0)
    error, dictionaries = np.full((len(LEVELS), len(test)), np.nan), dict[int, Tensor]()
    penalties, found = reference * np.array(LEVELS), list[float]()
    many = not few and n_atoms >= MANY
    first, last = _nearest(first_level(settings, len(train), n_atoms)), _nearest(WORKING_LEVEL)

    def visit(learner: Learner, level: int) -> None:
        rows, atoms, penalty = test - learner.offset, learner.dictionary, penalties[level]
        if other is None:
            missed = held_out_entries(rows, atoms, penalty, codes=settings.codes, random_state=seed)
        else:
            codes = encode(rows, atoms, penalty, codes=settings.codes, tol=1e-3).codes
            missed = (other - learner.offset - codes @ atoms).square().sum(1)
        error[level] = (missed / usual.square().sum(1).mean()).cpu().numpy()
        dictionaries[level] = atoms.clone()
        found.append(float(error[level].mean()))
        if on_step is not None:
            on_step({"stage": "penalty", "penalty": penalty, "held_out_error": found[-1]})

    def walk(learner: Learner, levels: Iterable[int], risen: float = RISEN) -> None:
        tried: list[int] = []
        for level in levels:
            steep = len(tried) > 1 and found[-1] < STEEP ** abs(tried[-1] - tried[-2]) * found[-2]
            if many and steep and abs(level - tried[-1]) < 2 and level not in (last, len(LEVELS) - 1):
                continue
            tried.append(level)
            if few or level > last:  # atoms only follow the penalty
                for _ in range(int(np.clip(DEAR // len(learner.dictionary), FEWEST_STEPS, LEVEL_STEPS))):
                    learner.skip(penalties[level], random)
            else:
                hold(learner, penalties[level], random)
            visit(learner, level)
            if len(found) > 3 and found[-1] > risen * min(found):
                return

    begin = first
    if few:
        for level in range(first, last + 1):
            hold(learner, penalties[level], random, FIRST_BLOCKS)
        for stage in few:
            relearning.relearn(learner, stage, reference, random)
        begin = last
    walk(learner, range(begin, len(LEVELS)))
    if few or beyond or min(found) == found[0]:
        walk(Learner(train, dictionaries[begin], settings), reversed(range(TOP, begin)))
        if TOP in dictionaries and (beyond or found[-1] == min(found)):
            walk(Learner(train, dictionaries[TOP], settings), reversed(range(TOP)), np.inf)
    whole = usual.square().sum(1).cpu().numpy()
    return Descent(error, whole / whole.mean(), dictionaries)


def _nearest(level: float) -> int:
    """Which of `LEVELS`."""
    return int(np.abs(np.log(LEVELS) - np.log(level)).argmin())
