"""The few atoms that one row is solved on: who is among them, and their small Gram matrix.

Its rows are made when an atom first moves: looked up in the Gram matrix of all atoms, or from the atoms themselves
where the row was observed.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from neurosparse.backend.inference.kernels.compiling import compiled, key, value_of
from neurosparse.backend.inference.kernels.descent import descend
from neurosparse.backend.inference.kernels.leap import MAX_LEAP

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
    slot: np.ndarray  # (candidate,) int32: row of `gram`, or -1
    gram: np.ndarray  # (slot, candidate)
    ratio: np.ndarray  # (atom,) slope over penalty
    pace: np.ndarray  # (4,) int64, see `descend`
    support: np.ndarray  # (active,) int64
    factor: np.ndarray  # (active, active)
    aims: np.ndarray  # (active,)
    seen: np.ndarray  # (unit,) an atom where the row is observed


def make_local(n_atoms: int, n_units: int, capacity: int, dtype: np.dtype) -> Local:
    """Room for one thread."""
    return Local(
        atom=np.zeros(capacity, np.int32),
        place=np.full(n_atoms, -1, np.int32),
        z=np.zeros(capacity, dtype),
        slope=np.zeros(capacity, dtype),
        penalty=np.ones(capacity, dtype),
        rate=np.ones(capacity, dtype),
        norm=np.ones(capacity, dtype),
        slot=np.full(capacity, -1, np.int32),
        gram=np.zeros((capacity, capacity), dtype),
        ratio=np.zeros(n_atoms, dtype),
        pace=np.zeros(4, np.int64),
        support=np.zeros(MAX_LEAP, np.int64),
        factor=np.empty((MAX_LEAP, MAX_LEAP), dtype),
        aims=np.zeros(MAX_LEAP, dtype),
        seen=np.zeros(n_units, dtype),
    )


@compiled
def enter(local: Local, index: np.ndarray, codes: np.ndarray, count: int) -> int:  # pragma: no cover (compiled)
    """The codes to start from become the first candidates."""
    for p in range(count):
        local.atom[p], local.z[p] = index[p], codes[p]
        local.place[index[p]] = p
    for p in range(count, len(local.z)):
        local.z[p] = 0
    return count


@compiled
def leave(local: Local, size: int, index: np.ndarray, codes: np.ndarray) -> int:  # pragma: no cover (compiled)
    """The active codes are written down and the candidates forgotten; how many are active."""
    kept = 0
    for p in range(size):
        local.place[local.atom[p]] = -1
        if local.z[p] != 0:
            index[kept], codes[kept] = local.atom[p], local.z[p]
            kept += 1
    return kept


@compiled
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


@compiled
def work_on(
    local: Local,
    size: int,
    known: int,
    n_slots: int,
    want: int,
    greatest: float,
    slopes: np.ndarray,
    penalty: np.ndarray,
    rate: np.ndarray,
    nonnegative: bool,
    greedy: bool,
    threshold: float,
    steps: int,
    gram: np.ndarray,
    atoms: np.ndarray,
    observed: np.ndarray,
) -> tuple[int, int, int]:  # pragma: no cover (compiled)
    """Pick candidates by the `slopes` of all atoms and descend among them; candidates, slots, steps made.

    The first `known` of `size` candidates were here in the last round, the others are codes to start from.
    """
    size = _pick(local, greatest, want, size)
    for p in range(known, size):
        j = local.atom[p]
        norm = penalty.dtype.type(_observed_norm(atoms[j], observed) if len(observed) > 0 else 1.0)
        local.norm[p] = norm
        local.z[p] *= norm
        local.penalty[p], local.rate[p], local.slot[p] = penalty[j] / norm, rate[j] * norm, -1
    for p in range(size):
        local.slope[p] = slopes[local.atom[p]] / local.norm[p]
        if p < known and local.slot[p] >= 0:
            _fill(local, p, known, size, gram, atoms, observed)
    for p in range(known, size):
        if local.z[p] != 0:
            local.slot[p] = n_slots
            n_slots += 1
            _fill(local, p, 0, size, gram, atoms, observed)
    local.pace[:] = 0
    local.pace[3] = size - 1
    while True:
        p = descend(
            local.z,
            local.slope,
            local.penalty,
            local.rate,
            local.slot,
            local.gram,
            size,
            nonnegative,
            greedy,
            threshold,
            steps,
            local.pace,
            local.support,
            local.factor,
            local.aims,
        )
        if p < 0:
            return size, n_slots, local.pace[0]
        local.slot[p] = n_slots
        n_slots += 1
        _fill(local, p, 0, size, gram, atoms, observed)


@compiled
def make_room(
    local: Local, size: int, gram: np.ndarray, atoms: np.ndarray, observed: np.ndarray
) -> int:  # pragma: no cover (compiled)
    """Let go of the candidates at zero; how many are left, which is the slots they take."""
    kept = 0
    for p in range(size):
        j = local.atom[p]
        if local.z[p] != 0:
            local.atom[kept], local.z[kept], local.slope[kept] = j, local.z[p], local.slope[p]
            local.penalty[kept], local.rate[kept] = local.penalty[p], local.rate[p]
            local.norm[kept] = local.norm[p]
            local.place[j] = kept
            kept += 1
        else:
            local.place[j] = -1
    for p in range(kept):
        local.slot[p] = p
    for p in range(kept):
        _fill(local, p, 0, kept, gram, atoms, observed)
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


@compiled
def _pick(local: Local, greatest: float, want: int, size: int) -> int:  # pragma: no cover (compiled)
    """Add the atoms whose slope most exceeds their penalty to the candidates, about `want`; the new size."""
    ratio, atom, place = local.ratio, local.atom, local.place
    n_atoms = len(ratio)
    lowest, half = ratio.dtype.type(1), ratio.dtype.type(0.5)
    threshold, above = lowest, greatest
    for _ in range(8):
        count = 0
        for j in range(n_atoms):
            count += 1 if ratio[j] > threshold else 0
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
        count = 0
        for j in range(start, stop):
            count += 1 if ratio[j] > threshold else 0
        if count > 0:
            for j in range(start, stop):
                if ratio[j] > threshold and place[j] < 0 and size < capacity:
                    atom[size] = j
                    local.z[size] = 0
                    place[j] = size
                    size += 1
        start = stop
    return size


@compiled
def _fill(
    local: Local, p: int, start: int, size: int, gram: np.ndarray, atoms: np.ndarray, observed: np.ndarray
) -> None:  # pragma: no cover (compiled)
    """The local Gram's row of candidate p, its columns from start to size: looked up, or from the atoms themselves."""
    row = local.gram[local.slot[p]]
    j = local.atom[p]
    if len(gram) > 0:
        known = gram[j]
        for q in range(start, size):
            row[q] = known[local.atom[q]]
        return
    n_units = atoms.shape[1]
    seen = local.seen
    for u in range(n_units):
        seen[u] = atoms[j, u]
    if len(observed) > 0:
        for u in range(n_units):
            seen[u] *= observed[u]
    for q in range(start, size):
        other = atoms[local.atom[q]]
        value = seen.dtype.type(0)
        for u in range(n_units):
            value += seen[u] * other[u]
        row[q] = value / (local.norm[p] * local.norm[q])


@compiled
def _observed_norm(atom: np.ndarray, observed: np.ndarray) -> float:  # pragma: no cover (compiled)
    squared = 0.0
    for u in range(len(atom)):
        squared += observed[u] * atom[u] * atom[u]
    return max(np.sqrt(squared), 1e-12)
