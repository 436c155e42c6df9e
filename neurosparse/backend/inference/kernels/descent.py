"""Move one candidate at a time, the one that moves furthest or the next one, and now and then leap."""

from __future__ import annotations

import numpy as np

from neurosparse.backend.inference.kernels.compiling import inlined, key
from neurosparse.backend.inference.kernels.leap import leap

# A row that has made so many steps since its last leap, and as many as it has active codes, leaps again.
PATIENCE = 100
# Tolerated move, as a share of the penalty, per unit of tolerated gap; asked for less where the gap is not met.
FIRST_MOVE = 3.0
LESS = 0.3
# Candidates come in multiples of so many bytes, which vector instructions take at a time; the last may be void.
LANES = 128


def pad(n: int, itemsize: int) -> int:
    """`n` or a little more: a multiple of what vector instructions take at a time."""
    step = LANES // itemsize
    return -(-n // step) * step


@inlined
def share_of(
    z: float, slope: float, penalty: float, rate: float, nonnegative: bool
) -> float:  # pragma: no cover (compiled)
    """How far one candidate would move, as a share of its penalty."""
    if nonnegative:
        up, down = slope - penalty, -z
        return abs(up if up > down else down) * rate
    aim = z + slope
    over, under, none = aim - penalty, aim + penalty, z - z
    return abs((over if over > none else none) + (under if under < none else none) - z) * rate


@inlined
def descend(
    z: np.ndarray,
    slope: np.ndarray,
    penalty: np.ndarray,
    rate: np.ndarray,
    gram: np.ndarray,
    size: int,
    nonnegative: bool,
    greedy: bool,
    threshold: float,
    steps: int,
    pace: np.ndarray,
    support: np.ndarray,
    factor: np.ndarray,
    aims: np.ndarray,
) -> None:  # pragma: no cover (compiled)
    """Move candidates until none would move by more than the threshold.

    ``pace``: steps made, those since the last leap, active codes won, the candidate moved last; to begin with 0, 0, 0
    and the last candidate. The last three are room for `leap`. `gram` is finite throughout.

    One loop moves the slopes and finds who would now move furthest. It stands here and in no function of its own, since
    handing over arrays takes as long as the loop.
    """
    low, none = 1, z.dtype.type(0)
    while low < size:
        low *= 2
    low -= 1
    row, move = 0, none
    while True:
        known = gram[row]
        top = key(none, low, 0)
        if nonnegative:
            for p in range(size):
                slope[p] -= move * known[p]
                now = key(share_of(z[p], slope[p], penalty[p], rate[p], True), low, p)
                top = now if now > top else top
        else:
            for p in range(size):
                slope[p] -= move * known[p]
                now = key(share_of(z[p], slope[p], penalty[p], rate[p], False), low, p)
                top = now if now > top else top
        if pace[1] >= PATIENCE and pace[1] >= pace[2]:
            pace[1], move = 0, none
            blocked = True
            while blocked:
                pace[2], blocked = leap(z, slope, penalty, gram, size, support, factor, aims)
            continue
        best = top & low
        if not greedy:  # the next one around the circle that would move
            for q in range(pace[3] + 1, pace[3] + 1 + size):
                best = q if q < size else q - size
                if share_of(z[best], slope[best], penalty[best], rate[best], nonnegative) > threshold:
                    break
        far = share_of(z[best], slope[best], penalty[best], rate[best], nonnegative)
        if far <= threshold or pace[0] >= steps:
            return
        row, before = best, z[best]
        aim = before + slope[best]
        under = none if nonnegative else min(aim + penalty[best], none)
        z[best] = max(aim - penalty[best], none) + under
        move = z[best] - before
        pace[0] += 1
        pace[1] += 1
        pace[2] += (z[best] != 0) - (before != 0)
        pace[3] = best
