"""The optimum over the active codes of one row at once."""

from __future__ import annotations

import numpy as np

from neurosparse.backend.inference.kernels.compiling import inlined

# Leaps are for at most so many active codes: they cost their cube.
MAX_LEAP = 256
# What is left of an atom of unit norm, squared, when those before it are taken out: less is a sum of them.
LEAST = 1e-6


@inlined
def leap(
    z: np.ndarray,
    slope: np.ndarray,
    penalty: np.ndarray,
    gram: np.ndarray,
    size: int,
    support: np.ndarray,
    factor: np.ndarray,
    aims: np.ndarray,
) -> tuple[int, bool]:  # pragma: no cover (compiled)
    """Go to the optimum over the active codes with their signs as they are, or as far as the first sign would change.

    Where active atoms are alike, coordinate steps creep; along this line the objective falls all the way. Returns the
    number of active codes, and whether a sign stood in the way: then another leap leads on.
    """
    n = 0
    for p in range(size):
        if z[p] != 0:
            if n < len(support):
                support[n] = p
            n += 1
    if n > len(support):
        return n, False
    full = _factorise(gram, support, factor, n)
    bounded = full == n
    used = n if bounded else full + 1
    _direction(z, slope, penalty, support, factor, aims, full, bounded)
    part = 1.0
    if not bounded:
        part = 1e30
        rise = 0.0
        for a in range(used):
            p = support[a]
            rise += aims[a] * ((penalty[p] if z[p] > 0 else -penalty[p]) - slope[p])
        if rise > 0:
            for a in range(used):
                aims[a] = -aims[a]
    blocker = -1
    for a in range(used):
        now = z[support[a]]
        if now * (now + part * aims[a]) <= 0 and -now / aims[a] < part:
            part = -now / aims[a]
            blocker = a
    if not bounded and blocker < 0:
        return n, False
    for a in range(used):
        p = support[a]
        move = part * aims[a]
        if a == blocker or z[p] * (z[p] + move) <= 0:  # the latter by rounding
            move = -z[p]
            z[p] = 0
        else:
            z[p] += move
        row = gram[p]
        for q in range(size):
            slope[q] -= move * row[q]
    return n - (blocker >= 0), blocker >= 0


@inlined
def _factorise(gram: np.ndarray, support: np.ndarray, factor: np.ndarray, n: int) -> int:  # pragma: no cover (compiled)
    """Cholesky's factor of the support's Gram matrix, as far as its atoms are independent; how many are."""
    for a in range(n):
        row = gram[support[a]]
        for b in range(a):
            value = row[support[b]]
            for c in range(b):
                value -= factor[a, c] * factor[b, c]
            factor[a, b] = value / factor[b, b]
        value = row[support[a]]
        for c in range(a):
            value -= factor[a, c] * factor[a, c]
        if value < LEAST:
            return a
        factor[a, a] = np.sqrt(value)
    return n


@inlined
def _direction(
    z: np.ndarray,
    slope: np.ndarray,
    penalty: np.ndarray,
    support: np.ndarray,
    factor: np.ndarray,
    aims: np.ndarray,
    full: int,
    bounded: bool,
) -> None:  # pragma: no cover (compiled)
    """Into `aims` the change that leads to the optimum; or, where an atom is a sum of those before, that sum.

    ``G change = slope - penalty sign``. Along a sum the fit stays as it is and the penalty falls on one side.
    """
    if bounded:
        for a in range(full):
            p = support[a]
            value = slope[p] - (penalty[p] if z[p] > 0 else -penalty[p])
            for c in range(a):
                value -= factor[a, c] * aims[c]
            aims[a] = value / factor[a, a]
    else:
        for a in range(full):
            aims[a] = -factor[full, a]
        aims[full] = 1
    for a in range(full - 1, -1, -1):
        value = aims[a]
        for c in range(a + 1, full):
            value -= factor[c, a] * aims[c]
        aims[a] = value / factor[a, a]
