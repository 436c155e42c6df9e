"""neurosparse at sparse codes, on a CUDA device."""

from __future__ import annotations

import torch
from contenders.codes_shared import keeper, problem

from neurosparse.backend.inference import encode as ours


def encode(folder: str, penalty: float, share: dict[str, float]):
    x, atoms, few = (torch.from_numpy(values).cuda() for values in problem(folder, "neurosparse, CUDA", share))
    ours(few, atoms, penalty)

    def work():
        codes = ours(x, atoms, penalty, tol=1e-4).codes
        torch.cuda.synchronize()
        return codes

    keep = keeper(folder, "cuda")
    return work, lambda codes: keep(codes.cpu().numpy())
