"""The few atoms that one row is solved on: who is among them, and their small Gram matrix.

It is looked up in the Gram matrix of all atoms, or made from the atoms themselves where the row was observed.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from neurosparse.backend.inference.kernels.compiling import compiled, inlined, key, value_of
from neurosparse.backend.inference.kernels.descent import LANES, descend, pad
from neurosparse.backend.inference.kernels.leap import MAX_LEAP
from neurosparse.backend.inference.kernels.task import Active, Task

# Candidates to begin with; half as many are added at least when others turn out to exceed their penalty.
FIRST_WANT = 64


class Local(NamedTuple):
    """One row's candidates, of which the first so many are in use, and the room to solve among them."""

    atom: np.ndarray  # (candidate,) int32
    place: np.ndarray  # (atom,) int32: the candidate that an atom is, or -1
    z: np.ndarray  # (candidate,)
    slope: np.ndarray  # (candidate,) d_j . r
    penalty: np.ndarray  # (candidate,)
    rate: np.ndarray  # (candidate,) 1 / penalty
    norm: np.ndarray  # (candidate,) of the atom where the row is observed
    gram: np.ndarray  # (candidate, candidate) of the atoms where the row is observed, of unit norm there
    ratio: np.ndarray  # (atom,) slope over penalty
    pace: np.ndarray  # (4,) int64, see `descend`
    support: np.ndarray  # (active,) int64
    factor: np.ndarray  # (active, active)
    aims: np.ndarray  # (active,)
    seen: np.ndarray  # (unit,) an atom where the row is observed


def make_local(n_atoms: int, n_units: int, capacity: int, dtype: np.dtype) -> Local:
    """Room for one thread, rows of the Gram matrix so far apart that a column is spread over the cache."""
    capacity, line = pad(capacity, dtype.itemsize), 64 // dtype.itemsize
    return Local(
        atom=np.zeros(capacity, np.int32),
        place=np.full(n_atoms, -1, np.int32),
        z=np.zeros(capacity, dtype),
        slope=np.zeros(capacity, dtype),
        penalty=np.ones(capacity, dtype),
        rate=np.ones(capacity, dtype),
        norm=np.ones(capacity, dtype),
        gram=np.zeros((capacity, capacity + line), dtype),
        ratio=np.zeros(n_atoms, dtype),
        pace=np.zeros(4, np.int64),
        support=np.zeros(MAX_LEAP, np.int64),
        factor=np.empty((MAX_LEAP, MAX_LEAP), dtype),
        aims=np.zeros(MAX_LEAP, dtype),
        seen=np.zeros(n_units, dtype),
    )


@inlined
def enter(local: Local, active: Active, i: int) -> int:  # pragma: no cover (compiled)
    """The codes of row i to start from become the first candidates; how many they are."""
    count = active.n_used[i]
    for p in range(count):
        local.atom[p], local.z[p] = active.atom[i, p], active.codes[i, p]
        local.place[local.atom[p]] = p
    return count


@inlined
def leave(local: Local, size: int, active: Active, i: int) -> None:  # pragma: no cover (compiled)
    """The active codes are written down as those of row i, and the candidates forgotten."""
    kept = 0
    for p in range(size):
        local.place[local.atom[p]] = -1
        if local.z[p] != 0:
            active.atom[i, kept], active.codes[i, kept] = local.atom[p], local.z[p]
            kept += 1
    active.n_used[i] = kept


@inlined
def ratios(
    slopes: np.ndarray, rate: np.ndarray, nonnegative: bool, ratio: np.ndarray
) -> float:  # pragma: no cover (compiled)
    """Slope over penalty of every atom, at least 0; returns the greatest."""
    none = ratio.dtype.type(0)
    top = key(none, 0, 0)
    if nonnegative:
        for j in range(len(rate)):
            s = slopes[j] * rate[j]
            s = s if s > none else none
            ratio[j] = s
            now = key(s, 0, 0)
            top = now if now > top else top
    else:
        for j in range(len(rate)):
            s = abs(slopes[j] * rate[j])
            ratio[j] = s
            now = key(s, 0, 0)
            top = now if now > top else top
    return value_of(top)


@inlined
def work_on(
    local: Local,
    size: int,
    known: int,
    want: int,
    greatest: float,
    slopes: np.ndarray,
    task: Task,
    threshold: float,
    steps: int,
    gram: np.ndarray,
    atoms: np.ndarray,
    observed: np.ndarray,
) -> tuple[int, int]:  # pragma: no cover (compiled)
    """Pick candidates by the `slopes` of all atoms and descend among them; how many there are, and the steps made.

    The first `known` of `size` candidates were here in the last round, the others are codes to start from.
    """
    size = _pick(local, greatest, want, size)
    _meet(local, known, size, task, gram, atoms, observed)
    for p in range(size):
        local.slope[p] = slopes[local.atom[p]] / local.norm[p]
    return size, descend_among(local, size, task, threshold, steps)


@inlined
def descend_among(
    local: Local, size: int, task: Task, threshold: float, steps: int
) -> int:  # pragma: no cover (compiled)
    """Descend among the candidates, whose slopes, penalties and Gram matrix are there; the steps made."""
    lanes = LANES // local.z.itemsize
    width = -(-size // lanes) * lanes
    for p in range(size, width):  # void: they never move
        local.z[p], local.slope[p], local.rate[p] = 0, 0, 0
    local.pace[:] = 0
    local.pace[3] = width - 1
    descend(
        local.z,
        local.slope,
        local.penalty,
        local.rate,
        local.gram,
        width,
        task.nonnegative,
        task.greedy,
        threshold,
        steps,
        local.pace,
        local.support,
        local.factor,
        local.aims,
    )
    return local.pace[0]


@inlined
def make_room(
    local: Local, size: int, task: Task, gram: np.ndarray, atoms: np.ndarray, observed: np.ndarray
) -> int:  # pragma: no cover (compiled)
    """Let go of the candidates at zero; how many are left."""
    kept = 0
    for p in range(size):
        j = local.atom[p]
        local.place[j] = -1
        if local.z[p] != 0:
            local.atom[kept], local.z[kept] = j, local.z[p] / local.norm[p]
            local.place[j] = kept
            kept += 1
    _meet(local, 0, kept, task, gram, atoms, observed)
    return kept


@compiled
def gather_active(
    codes: np.ndarray, width: int, index: np.ndarray, values: np.ndarray, count: np.ndarray
) -> int:  # pragma: no cover (compiled)
    """The active codes of each row and their atoms, as far as `width` reaches; the largest number there is."""
    most = 0
    for i in range(len(codes)):
        n = 0
        for j in range(codes.shape[1]):
            if codes[i, j] != 0:
                if n < width:
                    index[i, n], values[i, n] = j, codes[i, j]
                n += 1
        count[i] = n
        most = max(most, n)
    return most


@inlined
def _pick(local: Local, greatest: float, want: int, size: int) -> int:  # pragma: no cover (compiled)
    """Add the atoms whose slope most exceeds their penalty to the candidates, about `want`; the new size."""
    ratio, atom, place = local.ratio, local.atom, local.place
    n_atoms = len(ratio)
    none, one, half = ratio.dtype.type(0), ratio.dtype.type(1), ratio.dtype.type(0.5)  # counts too: they vectorise
    lowest, threshold, above = one, one, greatest
    for _ in range(8):
        count = none
        for j in range(n_atoms):
            count += one if ratio[j] > threshold else none
        if threshold == lowest and count <= want:
            break
        if count > want:
            lowest = threshold
        else:
            above = threshold
            if 2 * count > want:
                break
        threshold = half * (lowest + above)
    capacity = len(atom)
    start = 0
    while start < n_atoms:
        stop = min(start + 16, n_atoms)
        count = none
        for j in range(start, stop):
            count += one if ratio[j] > threshold else none
        if count > none:
            for j in range(start, stop):
                if ratio[j] > threshold and place[j] < 0 and size < capacity:
                    atom[size] = j
                    local.z[size] = 0
                    place[j] = size
                    size += 1
        start = stop
    return size


@inlined
def _meet(
    local: Local, known: int, size: int, task: Task, gram: np.ndarray, atoms: np.ndarray, observed: np.ndarray
) -> None:  # pragma: no cover (compiled)
    """Norm, penalty and rows of the Gram matrix of the candidates after the first `known`."""
    for p in range(known, size):
        j = local.atom[p]
        norm = task.penalty.dtype.type(_observed_norm(atoms[j], observed) if len(observed) > 0 else 1.0)
        local.norm[p] = norm
        local.z[p] *= norm
        local.penalty[p], local.rate[p] = task.penalty[j] / norm, task.rate[j] * norm
        row = local.gram[p]
        if len(gram) > 0:
            looked_up = gram[j]
            for q in range(p + 1):
                row[q] = looked_up[local.atom[q]]
        else:
            _products(local, p, atoms, observed)
        for q in range(p):
            local.gram[q, p] = row[q]


@inlined
def _products(local: Local, p: int, atoms: np.ndarray, observed: np.ndarray) -> None:  # pragma: no cover (compiled)
    """Products of candidate p's atom with those before it and itself, where the row is observed."""
    seen, row = local.seen, local.gram[p]
    n_units = len(seen)
    for u in range(n_units):
        seen[u] = atoms[local.atom[p], u]
    if len(observed) > 0:
        for u in range(n_units):
            seen[u] *= observed[u]
    for start in range(0, p + 1, 4):  # four at a time; past the last it is that again
        q0, q1, q2, q3 = start, min(start + 1, p), min(start + 2, p), min(start + 3, p)
        a0, a1, a2, a3 = atoms[local.atom[q0]], atoms[local.atom[q1]], atoms[local.atom[q2]], atoms[local.atom[q3]]
        v0 = v1 = v2 = v3 = seen.dtype.type(0)
        for u in range(n_units):
            v0 += seen[u] * a0[u]
            v1 += seen[u] * a1[u]
            v2 += seen[u] * a2[u]
            v3 += seen[u] * a3[u]
        row[q0], row[q1], row[q2], row[q3] = v0, v1, v2, v3
    for q in range(p + 1):
        row[q] /= local.norm[p] * local.norm[q]


@inlined
def _observed_norm(atom: np.ndarray, observed: np.ndarray) -> float:  # pragma: no cover (compiled)
    squared = 0.0
    for u in range(len(atom)):
        squared += observed[u] * atom[u] * atom[u]
    return max(np.sqrt(squared), 1e-12)
