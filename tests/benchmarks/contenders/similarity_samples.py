"""The way of netrep: kernels of all samples for CKA, whitened codes of all samples for shapes."""

from __future__ import annotations

import numpy as np
from contenders.similarity_shared import codes, facts


def cka(n: int, p: int):
    x, y = codes(n, p)

    def work():
        a, b = x - x.mean(0), y - y.mean(0)
        k, l = a @ a.T, b @ b.T
        return np.vdot(k, l) / (np.linalg.norm(k) * np.linalg.norm(l))

    return work, facts


def shape(n: int, p: int):
    x, y = codes(n, p)

    def work():
        sides = []
        for side in (x - x.mean(0), y - y.mean(0)):
            values, vectors = np.linalg.eigh(side.T @ side)
            sides.append(side @ (vectors / np.sqrt(values)) @ vectors.T)
        left, _, right = np.linalg.svd(sides[0].T @ sides[1])
        a, b = sides[0] @ left, sides[1] @ right.T
        return np.vdot(a, b) / (np.linalg.norm(a) * np.linalg.norm(b))

    return work, facts
