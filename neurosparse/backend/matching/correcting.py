"""What is left of a score once chance is taken away. Imports numpy."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def chance_corrected(value: ArrayLike, chance: ArrayLike, oracle: ArrayLike = 1.0) -> Floats:
    """``(value - c) / (oracle - c)``, c being chance but at least 0: 0 at chance, 1 when as good as can be.

    Without an `oracle`, the value of who knows the truth, perfect is 1. NaN where chance leaves no room.
    """
    floor = np.clip(np.asarray(chance, dtype=float), 0.0, 1.0)
    room = np.asarray(oracle, dtype=float) - floor
    return (np.asarray(value, dtype=float) - floor) / np.where(room > 0, room, np.nan)
