"""Rows solved on a few candidates at a time, by the Gram matrix of all atoms or without it."""

from __future__ import annotations

import numpy as np

from neurosparse.backend.inference.kernels.candidates import FIRST_WANT, Local, enter, leave, make_room, ratios, work_on
from neurosparse.backend.inference.kernels.certificate import verdict
from neurosparse.backend.inference.kernels.compiling import compiled, inlined
from neurosparse.backend.inference.kernels.descent import FIRST_MOVE, LESS
from neurosparse.backend.inference.kernels.task import Active, Task, Worth


@compiled
def solve_cached(
    correlation: np.ndarray,
    squared: np.ndarray,
    gram: np.ndarray,
    task: Task,
    local: Local,
    active: Active,
    worth: Worth,
) -> None:  # pragma: no cover (compiled)
    """Each row to its end, slopes of all atoms from the Gram rows of the active ones."""
    n_samples, n_atoms = correlation.shape
    atoms, observed = np.empty((0, 0), correlation.dtype), np.empty(0, correlation.dtype)
    slopes = np.empty(n_atoms, correlation.dtype)
    for i in range(n_samples):
        c = correlation[i]
        size = enter(local, active, i)
        known, steps, made, want = 0, 0, 1, FIRST_WANT
        threshold = FIRST_MOVE * task.tol
        while True:
            _slopes(c, gram, local, size, slopes)
            greatest = ratios(slopes, task.rate, task.nonnegative, local.ratio)
            total, worst, fit, left = _sums(local, size, task, slopes, c)
            inner = squared[i] - fit
            value, gap = verdict(squared[i], inner, max(inner - left, 0.0), total, greatest)
            if gap <= task.tol or steps >= task.max_iter or threshold < task.finest:
                break
            if made == 0 or (steps > 0 and greatest - 1 <= threshold):
                threshold *= LESS
            if size + want > len(local.atom):
                size = make_room(local, size, task, gram, atoms, observed)
                known = size
            more = task.max_iter - steps
            size, made = work_on(
                local, size, known, want, greatest, slopes, task, threshold, more, gram, atoms, observed
            )
            known, want = size, max(FIRST_WANT // 2, size // 2)
            steps += max(made, 1)
        worth.value[i], worth.gap[i], worth.kkt[i], worth.iterations[i] = value, gap, max(worst, greatest - 1), steps
        leave(local, size, active, i)


@compiled
def solve_round(
    rows: np.ndarray,
    slopes: np.ndarray,
    x: np.ndarray,
    residual: np.ndarray,
    observed: np.ndarray,
    atoms: np.ndarray,
    task: Task,
    local: Local,
    active: Active,
    threshold: np.ndarray,
    worth: Worth,
    done: np.ndarray,
) -> None:  # pragma: no cover (compiled)
    """One round of each row in `rows`, given the `slopes` (len(rows), atom) of its residual: certify, pick, descend.

    No Gram matrix of all atoms is needed, and each row may have units of its own that were `observed` (sample, unit;
    empty if all were). `residual`, `threshold` and `done` are written in place.
    """
    none = np.empty((0, 0), atoms.dtype)
    seen = np.empty(0, atoms.dtype)
    for k in range(len(rows)):
        i = rows[k]
        if len(observed) > 0:
            seen = observed[i]
        start = enter(local, active, i)
        greatest = ratios(slopes[k], task.rate, task.nonnegative, local.ratio)
        total, worst, _, _ = _sums(local, start, task, slopes[k], slopes[k])
        squared, inner, left = 0.0, 0.0, 0.0
        for u in range(atoms.shape[1]):
            squared += x[i, u] * x[i, u]
            inner += residual[i, u] * x[i, u]
            left += residual[i, u] * residual[i, u]
        value, gap = verdict(squared, inner, left, total, greatest)
        worth.value[i], worth.gap[i], worth.kkt[i] = value, gap, max(worst, greatest - 1)
        steps = worth.iterations[i]
        if gap <= task.tol or steps >= task.max_iter or threshold[i] < task.finest:
            done[i] = True
            leave(local, start, active, i)
            continue
        if steps > 0 and greatest - 1 <= threshold[i]:
            threshold[i] *= LESS
        want = FIRST_WANT if start == 0 else max(FIRST_WANT // 2, start)
        more = task.max_iter - steps
        size, made = work_on(local, start, 0, want, greatest, slopes[k], task, threshold[i], more, none, atoms, seen)
        if made == 0:
            threshold[i] *= LESS
        worth.iterations[i] = steps + max(made, 1)
        _left_over(local, size, x[i], atoms, seen, residual[i])
        leave(local, size, active, i)


@inlined
def _sums(
    local: Local, size: int, task: Task, slopes: np.ndarray, c: np.ndarray
) -> tuple[float, float, float, float]:  # pragma: no cover (compiled)
    """Over the active codes: their penalty, the worst violation, and their sums with ``x . d`` and ``r . d``."""
    total, worst, fit, left = 0.0, 0.0, 0.0, 0.0
    for p in range(size):
        j, z = local.atom[p], local.z[p]
        if z != 0:
            fit += c[j] * z
            left += slopes[j] * z
            total += task.penalty[j] * abs(z)
            worst = max(worst, abs(slopes[j] * task.rate[j] - np.sign(z)))
    return total, worst, fit, left


@inlined
def _slopes(
    c: np.ndarray, gram: np.ndarray, local: Local, size: int, slopes: np.ndarray
) -> None:  # pragma: no cover (compiled)
    """``c - z G`` from the Gram rows of the active codes, four at a time."""
    n_atoms = len(c)
    active = local.support
    z = local.z
    for j in range(n_atoms):
        slopes[j] = c[j]
    p = 0
    while p < size:
        n = 0
        while p < size and n < 4:
            if z[p] != 0:
                active[n] = p
                n += 1
            p += 1
        if n == 4:
            p0, p1, p2, p3 = active[0], active[1], active[2], active[3]
            g0, g1, g2, g3 = gram[local.atom[p0]], gram[local.atom[p1]], gram[local.atom[p2]], gram[local.atom[p3]]
            z0, z1, z2, z3 = z[p0], z[p1], z[p2], z[p3]
            for j in range(n_atoms):
                slopes[j] -= z0 * g0[j] + z1 * g1[j] + z2 * g2[j] + z3 * g3[j]
        else:
            for a in range(n):
                known, by = gram[local.atom[active[a]]], z[active[a]]
                for j in range(n_atoms):
                    slopes[j] -= by * known[j]


@inlined
def _left_over(
    local: Local, size: int, x: np.ndarray, atoms: np.ndarray, observed: np.ndarray, residual: np.ndarray
) -> None:  # pragma: no cover (compiled)
    """The residual where the row is observed; codes become those of atoms as they are where it is not."""
    for u in range(len(x)):
        residual[u] = x[u]
    for p in range(size):
        if local.z[p] != 0:
            local.z[p] /= local.norm[p]
            atom, z = atoms[local.atom[p]], local.z[p]
            for u in range(len(x)):
                residual[u] -= z * atom[u]
    if len(observed) > 0:
        for u in range(len(x)):
            residual[u] *= observed[u]
