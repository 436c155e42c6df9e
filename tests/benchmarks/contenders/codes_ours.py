"""neurosparse at sparse codes, on one CPU thread, dense codes as the peers give them."""

from __future__ import annotations

from contenders.codes_shared import keeper, problem

from neurosparse.backend.inference import encode as ours


def encode(folder: str, penalty: float, share: dict[str, float]):
    x, atoms, few = problem(folder, "neurosparse", share)
    ours(x[:1000], atoms, penalty, n_threads=1)
    ours(few, atoms, penalty, n_threads=1)
    return (lambda: ours(x, atoms, penalty, tol=1e-4, n_threads=1).codes), keeper(folder, "neurosparse")
