"""A score with what chance gives, and with what other samples would have given."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Draws:
    """A score with what chance gives and what other samples would have given.

    value : (entry,). null : (draw, entry), empty where there is none. bootstrap : (bootstrap, entry), or None.
    median : (bootstrap,) medians over entries where `bootstrap` is None. bias : (entry,) what count noise adds.
    n_tasks : (entry,) tasks behind a share of right answers. least : low and high (entry,) that the interval holds.
    """

    value: Floats
    null: Floats
    how: str
    bootstrap: Floats | None = None
    median: Floats | None = None
    bias: Floats | None = None
    n_tasks: NDArray[np.int64] | None = None
    least: tuple[Floats, Floats] | None = None

    def with_least_interval(self, low: Floats, high: Floats) -> Draws:
        return replace(self, least=(low, high))


def quiet_mean(draws: Floats) -> Floats:
    """Mean over draws of those that are numbers; NaN without a complaint where none is."""
    seen = np.isfinite(draws)
    count = seen.sum(axis=0)
    return np.where(count > 0, np.where(seen, draws, 0.0).sum(axis=0) / np.maximum(count, 1), np.nan)


def none_drawn(size: int) -> Floats:
    """The draws of a null that does not exist."""
    return np.empty((0, size))
