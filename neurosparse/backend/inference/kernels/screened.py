"""Rows whose atoms are screened in 8 bits, round by round, and solved on the few that exceed their penalty."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from neurosparse.backend.inference.kernels.candidates import Local, descend_among, enter, leave
from neurosparse.backend.inference.kernels.certificate import verdict
from neurosparse.backend.inference.kernels.compiling import compiled, inlined
from neurosparse.backend.inference.kernels.descent import LESS
from neurosparse.backend.inference.kernels.screening import ROUNDING, Coarse, coarsen, gather_above
from neurosparse.backend.inference.kernels.task import Active, Task, Worth

# A row without codes begins with the atoms whose slope exceeds so many standard deviations of chance's, in a few sweeps
# over them: stagewise pursuit (Donoho, Tsaig, Drori & Starck 2012, section 4.1, thresholds of 2 to 3).
CHANCE, SWEEPS = 3.0, 2
# Candidates that enter a row at a time, at least; and atoms of a first sweep, at most.
WANT, MOST = 64, 128
# 8 bits that may be wrong by more than this share of the penalty certify no row.
TOO_COARSE = 0.5


class Rest(NamedTuple):
    """What the codes of each row leave, and what they are worth, written in place."""

    residual: np.ndarray  # (sample, unit)
    coarse: np.ndarray  # (sample, unit) int8, of the rows that go on, one after the other
    step: np.ndarray  # (sample,) what 1 is worth
    lost: np.ndarray  # (sample,) norm of what is lost in 8 bits
    squared: np.ndarray  # (sample,) x . x
    inner: np.ndarray  # (sample,) r . x
    left: np.ndarray  # (sample,) r . r
    total: np.ndarray  # (sample,) penalty of the codes
    worst: np.ndarray  # (sample,) greatest violation among the active codes
    greatest: np.ndarray  # (sample,) greatest ratio of slope to penalty among them


class Suspects(NamedTuple):
    """Room for the atoms of one row that may exceed their penalty."""

    atom: np.ndarray  # (atom,) int32
    slope: np.ndarray  # (atom,)


def make_rest(n_samples: int, n_units: int, dtype: np.dtype) -> Rest:
    """Room for so many rows."""
    return Rest(
        np.empty((n_samples, n_units), dtype), np.empty((n_samples, n_units), np.int8), *np.zeros((8, n_samples))
    )


def make_suspects(n_atoms: int, dtype: np.dtype) -> Suspects:
    """Room for one thread."""
    return Suspects(np.zeros(n_atoms, np.int32), np.zeros(n_atoms, dtype))


@compiled
def begin_screened(
    x: np.ndarray, atoms: np.ndarray, task: Task, local: Local, active: Active, rest: Rest
) -> None:  # pragma: no cover (compiled)
    """What the codes to start from leave of each row."""
    for i in range(len(x)):
        _settle(i, i, enter(local, active, i), x[i], atoms, task, local, active, rest)


@compiled
def screen_round(
    rows: np.ndarray,
    products: np.ndarray,
    x: np.ndarray,
    atoms: np.ndarray,
    coarse: Coarse,
    task: Task,
    local: Local,
    suspects: Suspects,
    active: Active,
    rest: Rest,
    threshold: np.ndarray,
    worth: Worth,
    handed: np.ndarray,
) -> int:  # pragma: no cover (compiled)
    """One round of each row in `rows`, given the `products` (len(rows), atom) of its residual in 8 bits.

    `rows` keeps those that go on, whose number is returned; `handed` is set for rows that 8 bits cannot certify.
    """
    signed, kept = not task.nonnegative, 0
    chance = CHANCE * np.mean(task.rate) / np.sqrt(x.shape[1])
    for k in range(len(rows)):
        i = rows[k]
        start = enter(local, active, i)
        steps, norm = worth.iterations[i], np.sqrt(rest.left[i])
        if start == 0 and steps == 0:
            moved = _sweep(
                products[k], coarse, chance * norm / rest.step[i], signed, atoms, task, local, suspects, rest, i
            )
            if moved > 0:
                worth.iterations[i] = moved
                _settle(i, kept, moved, x[i], atoms, task, local, active, rest)
                rows[kept] = i
                kept += 1
                continue
        wrong = rest.lost[i] * coarse.longest + norm * coarse.furthest + ROUNDING * (1 + norm * coarse.longest)
        certain = wrong <= TOO_COARSE  # else 8 bits name candidates, and cannot say that there are no others
        last = steps >= task.max_iter or threshold[i] < task.finest
        low = 1 - wrong if certain else 1.0
        level = low if last else max(low, chance * norm)
        count, greatest = 0, rest.greatest[i]
        while True:
            # Without a step all is lost in 8 bits, and the bound says that no atom exceeds its penalty.
            least = level / rest.step[i] if rest.step[i] > 0 else np.inf
            count = gather_above(products[k], coarse.step, least, signed, local.place, suspects.atom)
            _dots(atoms, suspects.atom, 0, count, rest.residual[i], suspects.slope)
            greatest, count = _exceeding(suspects, count, task, signed, greatest)
            if count > 0 or level == low:
                break
            level = low
        value, gap = verdict(rest.squared[i], rest.inner[i], rest.left[i], rest.total[i], greatest)
        worth.value[i], worth.gap[i], worth.kkt[i] = value, gap, max(rest.worst[i], greatest - 1)
        if certain and level == low and (gap <= task.tol or last):
            leave(local, start, active, i)
            continue
        if not certain and (count == 0 or last):
            handed[i] = True
            leave(local, start, active, i)
            continue
        size = _admit(local, start, suspects, count, greatest, task)
        if size == start and count > 0:  # no room
            handed[i] = True
            leave(local, start, active, i)
            continue
        if steps > 0 and greatest - 1 <= threshold[i]:
            threshold[i] *= LESS
        made = _descend(local, start, size, atoms, task, rest.residual[i], threshold[i], task.max_iter - steps)
        if made == 0:
            threshold[i] *= LESS
        worth.iterations[i] = steps + max(made, 1)
        _settle(i, kept, size, x[i], atoms, task, local, active, rest)
        rows[kept] = i
        kept += 1
    return kept


@inlined
def _sweep(
    products: np.ndarray,
    coarse: Coarse,
    level: float,
    signed: bool,
    atoms: np.ndarray,
    task: Task,
    local: Local,
    suspects: Suspects,
    rest: Rest,
    i: int,
) -> int:  # pragma: no cover (compiled)
    """The first codes of row i, roughly: a few sweeps over the atoms that exceed chance; how many there are."""
    count = 0
    if level * rest.step[i] > 1:
        count = gather_above(products, coarse.step, level, signed, local.place, suspects.atom)
        while count > MOST:
            level *= 1.25
            count = gather_above(products, coarse.step, level, signed, local.place, suspects.atom)
    count = min(count, len(local.atom))
    none = local.z.dtype.type(0)
    residual = rest.residual[i]
    for p in range(count):
        local.atom[p], local.z[p] = suspects.atom[p], none
    for sweep in range(SWEEPS):
        for p in range(count):
            before = local.z[p]
            if sweep > 0 and before == none:
                continue
            atom, penalty, slope = atoms[local.atom[p]], task.penalty[local.atom[p]], none
            for u in range(len(residual)):
                slope += residual[u] * atom[u]
            aim = before + slope
            local.z[p] = max(aim - penalty, none) + (min(aim + penalty, none) if signed else none)
            move = local.z[p] - before
            if move != none:
                for u in range(len(residual)):
                    residual[u] -= move * atom[u]
    return count


@inlined
def _exceeding(
    suspects: Suspects, count: int, task: Task, signed: bool, greatest: float
) -> tuple[float, int]:  # pragma: no cover (compiled)
    """The greatest ratio of slope to penalty, and the suspects above 1, which are kept."""
    kept = 0
    for p in range(count):
        j, slope = suspects.atom[p], suspects.slope[p]
        ratio = (abs(slope) if signed else slope) * task.rate[j]
        greatest = max(greatest, ratio)
        if ratio > 1:
            suspects.atom[kept], suspects.slope[kept] = j, slope
            kept += 1
    return greatest, kept


@inlined
def _admit(
    local: Local, size: int, suspects: Suspects, count: int, greatest: float, task: Task
) -> int:  # pragma: no cover (compiled)
    """The suspects become candidates, if there are too many those that exceed their penalty most; the new size."""
    want = max(WANT, size)
    low, level, high = 1.0, 1.0, greatest
    for _ in range(8):
        above = 0
        for p in range(count):
            above += abs(suspects.slope[p]) * task.rate[suspects.atom[p]] > level
        if above > want:
            low = level
        else:
            high = level
            if level == 1.0 or 2 * above > want:
                break
        level = 0.5 * (low + high)
    for p in range(count):
        j = suspects.atom[p]
        if abs(suspects.slope[p]) * task.rate[j] > level and size < len(local.atom):
            local.atom[size], local.z[size], local.slope[size] = j, 0, suspects.slope[p]
            local.place[j] = size
            size += 1
    return size


@inlined
def _descend(
    local: Local,
    start: int,
    size: int,
    atoms: np.ndarray,
    task: Task,
    residual: np.ndarray,
    threshold: float,
    steps: int,
) -> int:  # pragma: no cover (compiled)
    """Descend among the candidates, of which those before `start` have no slopes yet; the steps made."""
    for p in range(size):
        local.penalty[p], local.rate[p] = task.penalty[local.atom[p]], task.rate[local.atom[p]]
    _dots(atoms, local.atom, 0, start, residual, local.slope)
    _gram(atoms, local.atom, size, local.gram)
    return descend_among(local, size, task, threshold, steps)


@inlined
def _settle(
    i: int,
    at: int,
    size: int,
    x: np.ndarray,
    atoms: np.ndarray,
    task: Task,
    local: Local,
    active: Active,
    rest: Rest,
) -> None:  # pragma: no cover (compiled)
    """Write down the codes of row i, what they leave, and, at place `at`, that in 8 bits."""
    leave(local, size, active, i)
    size = active.n_used[i]
    atom, z, residual = active.atom[i], active.codes[i], rest.residual[i]
    _leave_over(x, atoms, atom, z, size, residual)
    _dots(atoms, atom, 0, size, residual, local.slope)
    total, worst, greatest = 0.0, 0.0, 0.0
    for p in range(size):
        ratio = local.slope[p] * task.rate[atom[p]]
        total += task.penalty[atom[p]] * abs(z[p])
        worst = max(worst, abs(ratio - np.sign(z[p])))
        greatest = max(greatest, ratio if task.nonnegative else abs(ratio))
    squared = inner = left = x.dtype.type(0)
    for u in range(len(x)):
        squared += x[u] * x[u]
        inner += residual[u] * x[u]
        left += residual[u] * residual[u]
    rest.squared[i], rest.inner[i], rest.left[i] = squared, inner, left
    rest.total[i], rest.worst[i], rest.greatest[i] = total, worst, greatest
    rest.step[i], rest.lost[i] = coarsen(residual, rest.coarse[at])


@inlined
def _leave_over(
    x: np.ndarray, atoms: np.ndarray, atom: np.ndarray, z: np.ndarray, size: int, residual: np.ndarray
) -> None:  # pragma: no cover (compiled)
    """``x - z D``, four atoms at a time."""
    for u in range(len(x)):
        residual[u] = x[u]
    none = x.dtype.type(0)
    for p in range(0, size, 4):
        q1, q2, q3 = min(p + 1, size - 1), min(p + 2, size - 1), min(p + 3, size - 1)
        d0, d1, d2, d3 = atoms[atom[p]], atoms[atom[q1]], atoms[atom[q2]], atoms[atom[q3]]
        z0, z1, z2, z3 = z[p], z[q1] if q1 > p else none, z[q2] if q2 > q1 else none, z[q3] if q3 > q2 else none
        for u in range(len(x)):
            residual[u] -= z0 * d0[u] + z1 * d1[u] + z2 * d2[u] + z3 * d3[u]


@inlined
def _dots(
    atoms: np.ndarray, atom: np.ndarray, start: int, size: int, residual: np.ndarray, slope: np.ndarray
) -> None:  # pragma: no cover (compiled)
    """``d . r`` of the atoms from `start` on, four at a time; past the last it is that again."""
    for p in range(start, size, 4):
        q1, q2, q3 = min(p + 1, size - 1), min(p + 2, size - 1), min(p + 3, size - 1)
        d0, d1, d2, d3 = atoms[atom[p]], atoms[atom[q1]], atoms[atom[q2]], atoms[atom[q3]]
        v0 = v1 = v2 = v3 = residual.dtype.type(0)
        for u in range(len(residual)):
            v0 += residual[u] * d0[u]
            v1 += residual[u] * d1[u]
            v2 += residual[u] * d2[u]
            v3 += residual[u] * d3[u]
        slope[p], slope[q1], slope[q2], slope[q3] = v0, v1, v2, v3


@inlined
def _gram(atoms: np.ndarray, atom: np.ndarray, size: int, gram: np.ndarray) -> None:  # pragma: no cover (compiled)
    """Products of the atoms with one another, four by four: each number loaded is used four times."""
    for p0 in range(0, size, 4):
        p1, p2, p3 = min(p0 + 1, size - 1), min(p0 + 2, size - 1), min(p0 + 3, size - 1)
        b0, b1, b2, b3 = atoms[atom[p0]], atoms[atom[p1]], atoms[atom[p2]], atoms[atom[p3]]
        for q0 in range(0, p3 + 1, 4):
            q1, q2, q3 = min(q0 + 1, p3), min(q0 + 2, p3), min(q0 + 3, p3)
            d0, d1, d2, d3 = atoms[atom[q0]], atoms[atom[q1]], atoms[atom[q2]], atoms[atom[q3]]
            v00 = v01 = v02 = v03 = v10 = v11 = v12 = v13 = atoms.dtype.type(0)
            v20 = v21 = v22 = v23 = v30 = v31 = v32 = v33 = atoms.dtype.type(0)
            for u in range(atoms.shape[1]):
                v00 += b0[u] * d0[u]
                v01 += b0[u] * d1[u]
                v02 += b0[u] * d2[u]
                v03 += b0[u] * d3[u]
                v10 += b1[u] * d0[u]
                v11 += b1[u] * d1[u]
                v12 += b1[u] * d2[u]
                v13 += b1[u] * d3[u]
                v20 += b2[u] * d0[u]
                v21 += b2[u] * d1[u]
                v22 += b2[u] * d2[u]
                v23 += b2[u] * d3[u]
                v30 += b3[u] * d0[u]
                v31 += b3[u] * d1[u]
                v32 += b3[u] * d2[u]
                v33 += b3[u] * d3[u]
            gram[p0, q0], gram[p0, q1], gram[p0, q2], gram[p0, q3] = v00, v01, v02, v03
            gram[p1, q0], gram[p1, q1], gram[p1, q2], gram[p1, q3] = v10, v11, v12, v13
            gram[p2, q0], gram[p2, q1], gram[p2, q2], gram[p2, q3] = v20, v21, v22, v23
            gram[p3, q0], gram[p3, q1], gram[p3, q2], gram[p3, q3] = v30, v31, v32, v33
    for p in range(size):
        for q in range(p):
            gram[q, p] = gram[p, q]
