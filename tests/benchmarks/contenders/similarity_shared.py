"""Two codes that share half of their variance, and what is said of a result."""

from __future__ import annotations

import numpy as np


def codes(n: int, p: int, seed: int = 0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, p))
    return x, 0.5 * x @ rng.standard_normal((p, p)) / np.sqrt(p) + rng.standard_normal((n, p))


def facts(result):
    return {"value": float(np.mean(result))}
