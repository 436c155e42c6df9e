"""The most useful atoms stay, the others are learned anew, again and again: where samples are few.

While most atoms are wrong they explain each other's samples, and none that is exchanged alone pays
(`Learner.replace`). Here the atoms that the objective would miss most are held where they are, and explain first, at a
lower penalty; the others start anew in random directions at a high penalty, as in annealing, and have only what is
left to learn from; then all are free. More are held each time, so that frequent atoms come first and make rare ones
learnable; then the same at lower penalties, at which rare atoms are found where what is held is right. Imports
numpy and torch.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from neurosparse.backend.dictionary.annealing import hold
from neurosparse.backend.dictionary.learner import Learner
from neurosparse.backend.dictionary.settings import (
    DENSE_ENTRIES,
    ROUGH_TOL,
    WORKING_LEVEL,
    Random,
    Settings,
    few_samples,
)

# Share of the atoms held, first and last, and multiple of the reference penalty at which the others are learned: while
# most atoms are wrong, and once they are not. Low levels find rare atoms, where what is held is right.
COARSE, FINE = ((0.2, 0.8), (0.35, 0.2)), ((0.5, 0.85), (0.25, 0.1))
# Fine stages, as a share of the coarse ones.
FINE_SHARE = 0.9
# Atoms that are held are active at so much of the penalty.
EAGER = 0.85
# Then all are free at this multiple of the reference penalty. Blocks of steps for either, at the most.
FREE_LEVEL, BLOCKS, FREE_BLOCKS = 0.1, 6, 3


class Stage(NamedTuple):
    """Share of the atoms that are held, and the multiple of the reference penalty at which the others are learned."""

    share: float
    level: float


def coarse_stages(settings: Settings, n_samples: int, n_atoms: int) -> list[Stage]:
    """From random atoms to those that foretell well enough to choose a penalty by; none where samples are many."""
    return _stages(COARSE, settings.relearnings if few_samples(settings, n_samples, n_atoms) else 0)


def fine_stages(settings: Settings, n_samples: int, n_atoms: int) -> list[Stage]:
    """From there on."""
    n = round(FINE_SHARE * settings.relearnings)
    return _stages(FINE, n if few_samples(settings, n_samples, n_atoms) else 0)


def _stages(ranges: tuple[tuple[float, float], tuple[float, float]], n: int) -> list[Stage]:
    shares, levels = ranges
    return [Stage(*each) for each in zip(np.linspace(*shares, n), np.geomspace(*levels, n), strict=True)]


def relearn(learner: Learner, stage: Stage, reference: float, random: Random) -> float:
    """One stage. Returns the mean objective of its last block, all atoms free.

    Its penalties are multiples of the reference and know nothing of the final one: at a high one right and wrong atoms
    look alike. Nothing is undone: with few samples wrong atoms explain them as well as right ones, at first.
    """
    learner.infer(WORKING_LEVEL * reference, ROUGH_TOL)
    order = torch.argsort(learner.dispensable(), descending=True)
    n_held = int(stage.share * len(order))
    learner.restart(order[:n_held], random)
    learner.n_fixed, learner.eager = n_held, EAGER
    # Codes are many, and soon found from where they were in the last pass.
    if len(learner.x) * len(order) <= DENSE_ENTRIES:
        learner.recent = learner.x.new_zeros((len(learner.x), len(order)))
    hold(learner, stage.level * reference, random, BLOCKS)
    learner.n_fixed = 0
    objective = hold(learner, FREE_LEVEL * reference, random, FREE_BLOCKS)
    learner.recent = None
    return objective
