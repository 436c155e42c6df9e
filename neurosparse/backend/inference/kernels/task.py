"""What the rows of a block share: what is minimised, and when a row is done."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Task(NamedTuple):
    """Penalties, signs and order of the moves, and where to stop."""

    penalty: np.ndarray  # (atom,)
    rate: np.ndarray  # (atom,) 1 / penalty
    nonnegative: bool
    greedy: bool  # the candidate that moves furthest, or the next one
    tol: float  # relative duality gap
    max_iter: int
    finest: float  # the move, as a share of the penalty, below which rounding decides


class Worth(NamedTuple):
    """What the codes of each row are worth, written in place."""

    value: np.ndarray  # (sample,)
    gap: np.ndarray  # (sample,)
    kkt: np.ndarray  # (sample,)
    iterations: np.ndarray  # (sample,) int64


class Active(NamedTuple):
    """The active codes of each row: those to start from, and then those found, written in place."""

    atom: np.ndarray  # (sample, candidate) int32
    codes: np.ndarray  # (sample, candidate)
    n_used: np.ndarray  # (sample,) int64


def make_worth(n_samples: int) -> Worth:
    """Room for so many rows."""
    value, gap, kkt = np.zeros((3, n_samples))
    return Worth(value, gap, kkt, np.zeros(n_samples, np.int64))
