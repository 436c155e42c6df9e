"""What the contenders for sparse codes share: the problem from its file, and codes left where they can be checked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import scipy.sparse


def problem(folder, name, share):
    """Samples (so many of them), atoms, and a few samples to warm up on."""
    with np.load(Path(folder) / "problem.npz") as file:
        x, atoms = file["x"], file["atoms"]
    x = np.ascontiguousarray(x[: max(50, int(len(x) * share.get(name, 1)))])
    return x, atoms, x[:50].copy()


def keeper(folder, name):
    """Writes codes (sample, atom) down and says where."""

    def facts(codes):
        path = Path(folder) / f"{name}.npz"
        scipy.sparse.save_npz(path, scipy.sparse.csr_array(codes), compressed=False)
        return {"codes": str(path)}

    return facts
