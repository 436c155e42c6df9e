"""Rows whose candidates are all atoms."""

from __future__ import annotations

import numpy as np

from neurosparse.backend.inference.kernels.certificate import verdict
from neurosparse.backend.inference.kernels.compiling import compiled, key, value_of
from neurosparse.backend.inference.kernels.descent import FIRST_MOVE, LESS, descend
from neurosparse.backend.inference.kernels.leap import MAX_LEAP
from neurosparse.backend.inference.kernels.task import Task, Worth


@compiled
def solve_whole(
    correlation: np.ndarray,
    squared: np.ndarray,
    gram: np.ndarray,
    task: Task,
    warm: bool,
    codes: np.ndarray,
    worth: Worth,
) -> None:  # pragma: no cover (compiled)
    """Codes (sample, atom), from those there where `warm`, and what they are worth, written in place.

    `gram` and the penalties may have void atoms at the end, of no norm: see `pad`.
    """
    n_samples, n_atoms = correlation.shape
    none = correlation.dtype.type(0)
    penalty, rate, nonnegative, max_iter = task.penalty, task.rate, task.nonnegative, task.max_iter
    size = len(penalty)
    c, z = np.zeros(size, correlation.dtype), np.zeros(size, correlation.dtype)
    slope = np.zeros(size, correlation.dtype)  # no row of one array with z: loops over those do not vectorise
    most = min(n_atoms, MAX_LEAP)
    pace, support = np.zeros(4, np.int64), np.zeros(most, np.int64)
    factor, aims = np.empty((most, most), correlation.dtype), np.empty(most, correlation.dtype)
    for i in range(n_samples):
        for j in range(n_atoms):
            c[j] = correlation[i, j]
        for j in range(size):
            z[j], slope[j] = 0, c[j]
        if warm:
            for j in range(n_atoms):
                z[j] = codes[i, j]
                if z[j] != 0:
                    for l in range(size):
                        slope[l] -= z[j] * gram[j, l]
        threshold = FIRST_MOVE * task.tol
        steps = 0
        while True:
            pace[:] = 0
            pace[3] = n_atoms - 1
            descend(
                z,
                slope,
                penalty,
                rate,
                gram,
                size,
                nonnegative,
                task.greedy,
                threshold,
                max_iter - steps,
                pace,
                support,
                factor,
                aims,
            )
            steps += pace[0]
            fit, left, total = 0.0, 0.0, 0.0
            top = key(none, 0, 0)
            for j in range(size):
                fit += c[j] * z[j]
                left += slope[j] * z[j]
                total += penalty[j] * abs(z[j])
                ratio = slope[j] * rate[j]
                now = key(abs(ratio) if not nonnegative or ratio > none else none, 0, 0)
                top = now if now > top else top
            greatest = value_of(top)
            inner = squared[i] - fit
            value, gap = verdict(squared[i], inner, max(inner - left, 0.0), total, greatest)
            if gap <= task.tol or steps >= max_iter or threshold < task.finest:
                break
            threshold *= LESS
        worst = greatest - 1
        for j in range(n_atoms):
            codes[i, j] = z[j]
            if z[j] != 0:
                worst = max(worst, abs(slope[j] * rate[j] - np.sign(z[j])))
        worth.value[i], worth.gap[i], worth.kkt[i], worth.iterations[i] = value, gap, worst, steps
