"""How long to stay at a penalty on the way down to the one that replacement works at. Imports numpy.

At a high penalty codes are few, so that a step is cheap, and each tells much about its atoms: most is best learned
there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch

from neurosparse.backend.dictionary.learner import Learner
from neurosparse.backend.dictionary.settings import MANY, Random, batch_size

Tensor = torch.Tensor

# Share of the objective that each step of a block must gain, over the block before it, for another one to follow.
RATE = 5e-5
# Atoms that a block moved by less, see `moved`, are where this penalty brings them; what is left is chance.
STILL = 0.008


class Block(NamedTuple):
    """A few steps at one penalty: their mean objective, and how far they moved the atoms, see `moved`."""

    objective: float
    moved: float


def block_size(learner: Learner) -> int:
    """Steps whose mean objective tells progress from chance: of 12,288 samples, but from 4 to 12."""
    if learner.settings.block is not None:
        return learner.settings.block
    return int(np.clip(12_288 // batch_size(learner.settings, len(learner.x), len(learner.dictionary)), 4, 12))


def moved(learner: Learner, before: Tensor) -> float:
    """1 - |cos| of the atoms with where they were, a mean weighted by their utility; 1 where none was used."""
    utility = learner.utility()
    turned = 1 - (before * learner.dictionary).sum(1).abs()
    return float((utility @ turned) / utility.sum()) if float(utility.sum()) > 0 else 1.0


def block(learner: Learner, penalty: float, random: Random, *, on_step: Callable[[float], None] | None = None) -> Block:
    """A block of steps; `on_step` is called with the objective of each."""
    objectives, before = [], learner.dictionary
    for _ in range(block_size(learner)):
        objectives.append(learner.skip(penalty, random))
        if on_step is not None:
            on_step(objectives[-1])
    return Block(float(np.mean(objectives)), moved(learner, before))


def dear(learner: Learner) -> bool:
    """Whether steps cost so much, and blocks see so few of the samples, that movement tells when to stop."""
    n_samples, n_atoms = len(learner.x), len(learner.dictionary)
    seen = block_size(learner) * batch_size(learner.settings, n_samples, n_atoms)
    return n_atoms >= MANY and seen <= n_samples


def still_pays(blocks: Sequence[Block], learner: Learner, most: int | None = None) -> bool:
    """Whether another block at the same penalty is worth its while; `most` is `Settings.hold` if not given.

    Few samples an atom take many passes, many samples take few. A block of several passes tells by what it gained over
    the one before. One that sees other samples than that one gains and loses by chance, but atoms at rest tell: where
    steps are `dear`, as a few atoms on their way hardly show.
    """
    if not blocks or len(blocks) >= (learner.settings.hold if most is None else most):
        return not blocks
    if blocks[-1].moved < STILL and dear(learner):
        return False
    if len(blocks) < 2:
        return True
    before, last = blocks[-2].objective, blocks[-1].objective
    return before - last > RATE * block_size(learner) * before


def hold(learner: Learner, penalty: float, random: Random, most: int | None = None) -> float:
    """Blocks at one penalty for as long as they pay. Returns the mean objective of the last one."""
    blocks: list[Block] = []
    while still_pays(blocks, learner, most):
        blocks.append(block(learner, penalty, random))
    return blocks[-1].objective
