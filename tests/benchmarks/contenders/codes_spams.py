"""SPAMS at sparse codes: least angle regression, exact to float32; it makes the Gram matrix itself."""

from __future__ import annotations

import numpy as np
import spams
from contenders.codes_shared import keeper, problem


def encode(folder: str, penalty: float, share: dict[str, float]):
    x, atoms, few = (np.asfortranarray(values.T) for values in problem(folder, "SPAMS", share))
    options = {"D": atoms, "lambda1": penalty, "mode": 2, "pos": True, "numThreads": 1}
    spams.lasso(few, **options)
    keep = keeper(folder, "spams")
    return (lambda: spams.lasso(x, **options)), lambda codes: keep(codes.T)
