"""Gram forms in a few lines of numpy: what the arithmetic itself costs."""

from __future__ import annotations

import numpy as np
from contenders.similarity_shared import codes, facts


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
