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
FINE_SHARE = 2
# Blocks of steps while atoms are held, and while all are free, at the most. Many short fine stages find more than few
# long ones, as long as there is time to be free (a thousand atoms, no noise); coarse ones do not (one seed).
COARSE_BLOCKS, FINE_BLOCKS = (6, 3), (2, 3)
# Atoms that are held are active at so much of the penalty.
EAGER = 0.85
# Then all are free at this multiple of the reference penalty.
FREE_LEVEL = 0.1


class Stage(NamedTuple):
    """Share of the atoms that are held, multiple of the reference penalty at which the others are learned, blocks."""

    share: float
    level: float
    held_blocks: int
    free_blocks: int


def coarse_stages(settings: Settings, n_samples: int, n_atoms: int) -> list[Stage]:
    """From random atoms to those that foretell well enough to choose a penalty by; none where samples are many."""
    n = settings.relearnings if few_samples(settings, n_samples, n_atoms) else 0
    return _stages(COARSE, COARSE_BLOCKS, n)


def fine_stages(settings: Settings, n_samples: int, n_atoms: int) -> list[Stage]:
    """From there on."""
    n = FINE_SHARE * settings.relearnings if few_samples(settings, n_samples, n_atoms) else 0
    return _stages(FINE, FINE_BLOCKS, n)


def _stages(ranges: tuple[tuple[float, float], tuple[float, float]], blocks: tuple[int, int], n: int) -> list[Stage]:
    shares, levels = ranges
    return [Stage(*each, *blocks) for each in zip(np.linspace(*shares, n), np.geomspace(*levels, n), strict=True)]


def relearn(learner: Learner, stage: Stage, reference: float, random: Random, penalty: float = 0.0) -> float:
    """One stage, at no less than the final `penalty`. Returns the mean objective of its last block, all atoms free.

    Where noise asks for a high penalty many stages below it would learn the noise (.3 of the signal's sd: up to .015 in
    |cos|). Nothing is undone: with few samples wrong atoms explain them as well as right ones, at first.
    """

    def at(multiple: float) -> float:
        return max(penalty, multiple * reference)

    learner.infer(at(WORKING_LEVEL), ROUGH_TOL)
    order = torch.argsort(learner.dispensable(), descending=True)
    n_held = int(stage.share * len(order))
    learner.restart(order[:n_held], random)
    learner.n_fixed, learner.eager = n_held, EAGER
    # Codes are many, and soon found from where they were in the last pass.
    if len(learner.x) * len(order) <= DENSE_ENTRIES:
        learner.recent = learner.x.new_zeros((len(learner.x), len(order)))
    hold(learner, at(stage.level), random, stage.held_blocks)
    learner.n_fixed = 0
    objective = hold(learner, at(FREE_LEVEL), random, stage.free_blocks)
    learner.recent = None
    return objective
