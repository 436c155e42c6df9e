"""A penalty that nobody has to know: by how well hidden entries are foretold. Imports numpy and torch."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch

from neurosparse.backend.devices import one_thread
from neurosparse.backend.dictionary.learner import Learner
from neurosparse.backend.dictionary.settings import (
    OnStep,
    Random,
    Settings,
    random_state_of,
    reference_penalty,
)
from neurosparse.backend.inference import encode, held_out_entries
from neurosparse.errors import InputError

Tensor = torch.Tensor
# Multiples of `reference_penalty` that held-out entries choose from.
LEVELS = tuple(np.geomspace(0.7, 0.04, 12))
# Steps at each level: so many, or fewer where there are so many atoms that a step is dear.
LEVEL_STEPS, FEWEST_STEPS, DEAR = 16, 4, 8192


class PenaltyPath(NamedTuple):
    """Error of held-out entries along falling penalties, relative to the offset alone, and the penalty chosen."""

    penalty: float
    penalties: np.ndarray
    error: np.ndarray
    standard_error: np.ndarray


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
    """The largest penalty whose dictionary foretells hidden entries within one standard error of the best.

    Four fifths of the samples are learned from, along `LEVELS` of falling penalty; of the others each unit in turn is
    hidden and foretold from the rest (`inference.held_out_entries`). No label and no truth enters.

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
        The path ends where the error has clearly risen.

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
    n_train = int(0.8 * len(x))
    quick = x.float()
    test = quick[torch.as_tensor(order[n_train:][:n_validation]).to(x.device)]
    train = quick[torch.as_tensor(order[:n_train]).to(x.device)]
    reference = reference_penalty(x, n_atoms, offset=settings.offset)
    errors = errors_along_levels(train, test, n_atoms, settings, reference, random, on_step=on_step)
    mean = np.array([entry.mean() for entry in errors])
    spread = np.array([entry.std() / np.sqrt(len(entry)) for entry in errors])
    best = int(mean.argmin())
    chosen = int(np.flatnonzero(mean <= mean[best] + spread[best])[0])
    penalties = reference * np.array(LEVELS[: len(mean)])
    return PenaltyPath(float(penalties[chosen]), penalties, mean, spread)


def errors_along_levels(
    train: Tensor,
    test: Tensor,
    n_atoms: int,
    settings: Settings,
    reference: float,
    random: Random,
    *,
    other: Tensor | None = None,
    on_step: OnStep | None = None,
) -> list[np.ndarray]:
    """Error of each test sample at each of `LEVELS` times `reference`, as a share of the training mean's error.

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
    on_step : callable, optional

    Returns
    -------
    list of (sample,) arrays
        Ends where the error has clearly risen.
    """
    learner, seed = Learner.at_random(train, n_atoms, settings, random), random.randint(2**31)
    goal = test if other is None else other
    usual = (goal - train.mean(0)).square().sum(1).mean()
    errors: list[np.ndarray] = []
    n_steps = int(np.clip(DEAR // n_atoms, FEWEST_STEPS, LEVEL_STEPS))
    for level in LEVELS:
        penalty = level * reference
        for _ in range(n_steps):
            learner.skip(penalty, random)
        rows, atoms = test - learner.offset, learner.dictionary
        if other is None:
            error = held_out_entries(rows, atoms, penalty, codes=settings.codes, random_state=seed)
        else:
            codes = encode(rows, atoms, penalty, codes=settings.codes, tol=1e-3).codes
            error = (other - learner.offset - codes @ atoms).square().sum(1)
        errors.append((error / usual).cpu().numpy().astype(float))
        if on_step is not None:
            on_step({"stage": "penalty", "penalty": penalty, "held_out_error": float(errors[-1].mean())})
        means = [entry.mean() for entry in errors]
        if len(means) > 3 and means[-1] > 1.05 * min(means):
            break
    return errors
