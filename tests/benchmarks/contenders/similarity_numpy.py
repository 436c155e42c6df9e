"""Gram forms in a few lines of numpy: what the arithmetic itself costs."""

from __future__ import annotations

import numpy as np
from contenders.similarity_shared import codes, facts
from scipy.linalg import solve


def cka(n: int, p: int):
    x, y = codes(n, p)

    def work():
        a, b = x - x.mean(0), y - y.mean(0)
        return np.sum((a.T @ b) ** 2) / np.sqrt(np.sum((a.T @ a) ** 2) * np.sum((b.T @ b) ** 2))

    return work, facts


def _roots(x):
    values, vectors = np.linalg.eigh(x.T @ x)
    return vectors / np.sqrt(values)


def cca(n: int, p: int):
    x, y = codes(n, p)

    def work():
        a, b = x - x.mean(0), y - y.mean(0)
        return np.linalg.svd(_roots(a).T @ (a.T @ b) @ _roots(b), compute_uv=False)

    return work, facts


def ridge(n: int, p: int):
    """Nested as ours is, a penalty a target: scatter matrices of all rows, less those that a fold leaves out."""
    x, y = codes(n, p)
    penalties = np.logspace(-3, 3, 7)

    def work():
        return np.mean([fold_score(test) for test in np.array_split(np.arange(n), 5)], axis=0)

    def fold_score(test):
        train = np.setdiff1d(np.arange(n), test)
        mean_x, mean_y = x[train].mean(0), y[train].mean(0)
        a, b = x[train] - mean_x, y[train] - mean_y
        scatter, cross = a.T @ a, a.T @ b
        size = np.trace(scatter) / p * np.eye(p)
        errors = np.zeros((len(penalties), p))
        for part in np.array_split(np.arange(len(train)), 5):
            c, d, left = a[part], b[part], len(train) - len(part)
            shift_x, shift_y = -c.sum(0) / left, -d.sum(0) / left  # the means of the rows that are fitted
            inside = scatter - c.T @ c - left * np.outer(shift_x, shift_x)
            known = cross - c.T @ d - left * np.outer(shift_x, shift_y)
            c, d = c - shift_x, d - shift_y
            hidden, between, power = c.T @ c, c.T @ d, (d**2).sum(0)
            for level, penalty in enumerate(penalties):
                w = solve(inside + penalty * size, known, assume_a="pos")
                errors[level] += power - (w * (2 * between - hidden @ w)).sum(0)
        best = errors.argmin(0)
        c, d, error = x[test] - mean_x, y[test] - mean_y, np.empty(p)
        for level in np.unique(best):
            own = best == level
            w = solve(scatter + penalties[level] * size, cross[:, own], assume_a="pos")
            error[own] = ((d[:, own] - c @ w) ** 2).sum(0)
        return 1 - error / (d**2).sum(0)

    return work, facts
