"""What one row's codes are worth."""

from __future__ import annotations

import numpy as np

from neurosparse.backend.inference.kernels.compiling import compiled, inlined


@inlined
def verdict(
    squared: float, inner: float, left: float, size: float, greatest: float
) -> tuple[float, float]:  # pragma: no cover (compiled)
    """Objective and relative duality gap, from ``||x||^2``, ``r . x``, ``||r||^2``, penalty and greatest ratio."""
    scale = 1 / max(greatest, 1.0)
    value = 0.5 * left + size
    excess = value - (scale * inner - 0.5 * scale * scale * left)
    return value, (2 * max(excess, 0.0) / squared if squared > 0 else value)


@compiled
def squared_norms(x: np.ndarray, squared: np.ndarray) -> None:  # pragma: no cover (compiled)
    """``||x||^2`` of each row, written in place."""
    for i in range(len(x)):
        total = 0.0
        for u in range(x.shape[1]):
            total += x[i, u] * x[i, u]
        squared[i] = total
