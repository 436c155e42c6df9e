"""Monosemanticity without pairs beside the double loop over pairs, and CPU seconds of every score."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit

from neurosparse import interpretability_scores
from neurosparse.backend.psychophysics import Similarity, cosine_similarity, monosemanticity
from neurosparse.interpretability.about import ABOUT
from neurosparse.population import from_arrays

Floats = np.ndarray


def by_pairs(activity: Any, matrix: Any) -> Any:
    """The definition: two loops over samples, similarities looked up; activity from 0 to 1."""
    above = below = 0.0
    for i in range(len(activity)):
        for j in range(i):
            weight = activity[i] * activity[j]
            above += weight * matrix[i][j]
            below += weight
    return above / below


def pairs(n: int = 5000, n_profiles: int = 10) -> list[dict[str, Any]]:
    """A profile by the loop, interpreted and compiled, its matrix of similarities given; ten without it."""
    rng = np.random.default_rng(0)
    values, rows = rng.exponential(size=(n, n_profiles)), cosine_similarity(rng.standard_normal((n, 32))).rows
    matrix, activity = rows @ rows.T, (values[:, 0] - values[:, 0].min()) / np.ptp(values[:, 0])
    compiled = njit(by_pairs)
    compiled(activity[:9], matrix[:9, :9].copy())
    monosemanticity(values, Similarity(rows=rows))
    listed, lists = activity.tolist(), matrix.tolist()
    loop, expected = _timed(lambda: by_pairs(listed, lists), 1)
    quick, _ = _timed(lambda: compiled(activity, matrix), 5)
    ours, found = _timed(lambda: monosemanticity(values, Similarity(rows=rows)), 20)
    return [
        {
            "task": "pairs",
            "n": n,
            "loop_cpu_s": loop,
            "compiled_loop_cpu_s": quick,
            "ours_cpu_s_a_profile": ours / n_profiles,
            "ratio": loop / ours * n_profiles,
            "ratio_to_compiled": quick / ours * n_profiles,
            "relative_difference": abs(float(found[0]) - expected) / abs(expected),
        }
    ]


def _timed(call: Callable[[], Any], runs: int) -> tuple[float, Any]:
    begin = time.process_time()
    for _ in range(runs):
        found = call()
    return (time.process_time() - begin) / runs, found


def seconds(n: int, n_profiles: int, names: list[str] | None = None, device: str = "cpu") -> list[dict[str, Any]]:
    """CPU seconds of each score, with 19 permutations and 50 bootstrap samples, 32 features and 20 classes."""
    rng = np.random.default_rng(0)
    values = np.zeros((n, n_profiles))
    for column in range(n_profiles):  # a twentieth of the stimuli active, without a second array of this size
        active = rng.choice(n, n // 20, replace=False)
        values[active, column] = rng.exponential(1, len(active))
    x = from_arrays(values, dims=("stimulus", "unit"))
    judge = from_arrays(values[:, :32] + 0.5 * rng.standard_normal((n, 32)), dims=("stimulus", "unit"))
    angle, labels = rng.uniform(0, 2 * np.pi, n), values[:, :20].argmax(axis=1)
    given = {"stimulus_similarity": judge, "labels": labels, "covariate": angle, "period": 2 * np.pi}
    wanted = names or [name for name in ABOUT if name != "reliability"]
    found = []
    for name in wanted:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            begin, clock = time.process_time(), time.perf_counter()
            interpretability_scores(x, scores=name, n_permutations=19, n_bootstraps=50, device=device, **given)
        row = {"task": "seconds", "score": name, "stimuli": n, "profiles": n_profiles}
        row |= {"cpu_s": time.process_time() - begin, "wall_s": time.perf_counter() - clock}
        found.append(row)
        print(row, flush=True)
    return found
