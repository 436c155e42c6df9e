"""How long to stay at a penalty on the way down to the one that replacement works at. Imports numpy.

At a high penalty codes are few, so that a step is cheap, and each tells much about its atoms: most is best learned
there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from neurosparse.backend.dictionary.learner import Learner
from neurosparse.backend.dictionary.settings import Random, batch_size

# Share of the objective that each step of a block must gain, over the block before it, for another one to follow.
RATE = 5e-5


def block_size(learner: Learner) -> int:
    """Steps whose mean objective tells progress from chance: 12, or 6 where a batch has 2,048 samples."""
    if learner.settings.block is not None:
        return learner.settings.block
    return int(np.clip(12 * 1024 // batch_size(learner.settings, len(learner.x), len(learner.dictionary)), 6, 12))


def block(learner: Learner, penalty: float, random: Random, *, on_step: Callable[[float], None] | None = None) -> float:
    """The mean objective of a block of steps; `on_step` is called with each."""
    objectives = []
    for _ in range(block_size(learner)):
        objectives.append(learner.skip(penalty, random))
        if on_step is not None:
            on_step(objectives[-1])
    return float(np.mean(objectives))


def still_pays(means: Sequence[float], learner: Learner, most: int | None = None) -> bool:
    """Whether another block at the same penalty is worth its while: a second one always, then if the last one gained.

    Few samples an atom take many passes, many samples take few; `most` is `Settings.hold` if not given.
    """
    most = learner.settings.hold if most is None else most
    if len(means) < 2 or len(means) >= most:
        return len(means) < most
    return means[-2] - means[-1] > RATE * block_size(learner) * means[-2]


def hold(learner: Learner, penalty: float, random: Random, most: int | None = None) -> float:
    """Blocks at one penalty for as long as they pay. Returns the mean objective of the last one."""
    means: list[float] = []
    while still_pays(means, learner, most):
        means.append(block(learner, penalty, random))
    return means[-1]
