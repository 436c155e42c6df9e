"""FISTA on the Gram matrix in eager torch, all rows of a batch until the last has converged: what papers' code does."""

from __future__ import annotations

import numpy as np
import torch
from contenders.codes_shared import keeper, problem


def encode(folder: str, penalty: float, share: dict[str, float]):
    x, atoms, few = (torch.from_numpy(values) for values in problem(folder, "FISTA", share))
    gram = atoms @ atoms.T
    step = 1 / torch.linalg.eigvalsh(gram)[-1] / 1.0001
    fista(few, atoms, gram, step, penalty)

    def work():
        return torch.cat([fista(part, atoms, gram, step, penalty) for part in x.split(1024)]).numpy()

    return work, keeper(folder, "fista")


def fista(x, atoms, gram, step, penalty):
    along = x @ atoms.T
    z = lead = torch.zeros_like(along)
    age = 1.0
    for k in range(5000):
        new = torch.relu(lead + step * (along - lead @ gram - penalty))
        older = (1 + np.sqrt(1 + 4 * age * age)) / 2
        lead = new + (age - 1) / older * (new - z)
        z, age = new, older
        if k % 20 == 19 and gap(x, atoms, z, penalty) <= 1e-4:
            break
    return z


def gap(x, atoms, z, penalty):
    residual = x - z @ atoms
    scale = 1 / ((residual @ atoms.T).amax(1) / penalty).clamp(min=1)
    left = residual.square().sum(1)
    dual = scale * (residual * x).sum(1) - 0.5 * scale.square() * left
    return float(((0.5 * left + penalty * z.sum(1) - dual) / (0.5 * x.square().sum(1))).max())
