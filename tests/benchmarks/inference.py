"""Non-negative sparse codes of a given dictionary, rows S1 to S3 of the plan, beside the peers on one thread.

The law: k active atoms of N, chosen evenly, amplitudes U(0, 1), atoms on the unit sphere, no noise; penalty 0.1;
float32. Every contender's codes are checked by our own certificate: the relative duality gap must not exceed 1e-4, to
which each peer's tolerance is set. scikit-learn's `Lasso` lets it be set and is held against the goal; its
`sparse_encode` does not, and goes further. Peers that are slow get the first rows only; what is compared is rows a
second, Gram matrix and all. ``--cuda`` adds the same solver on a GPU (S4).
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse

from neurosparse.backend.inference import duality_gap
from tests.benchmarks import make_peers
from tests.benchmarks.harness import Contender, Outcome, alternate

PENALTY = 0.1
TASKS = {
    "S1": {"n_units": 64, "n_atoms": 256, "n_active": 5, "n_samples": 50_000, "goal": (2, 20)},
    "S2": {"n_units": 256, "n_atoms": 2048, "n_active": 16, "n_samples": 10_000, "goal": (3, 40)},
    "S3": {"n_units": 768, "n_atoms": 4096, "n_active": 32, "n_samples": 5_000, "goal": (3, 50)},
}
# Shares of the rows, by contender, so that no run takes minutes.
SHARE = {"SPAMS": 0.4, "scikit-learn": 0.03, "scikit-learn sparse_encode": 0.03, "FISTA": 0.05, "sporco": 0.02}
OURS = Contender("neurosparse", "codes_ours.py")
CUDA = Contender("neurosparse, CUDA", "codes_cuda.py")
PEERS = [
    Contender("SPAMS", "codes_spams.py", make_peers.python(), "spams"),
    Contender("scikit-learn", "codes_sklearn.py"),
    Contender("scikit-learn sparse_encode", "codes_sklearn_encode.py"),
    Contender("FISTA", "codes_fista.py"),
    Contender("sporco", "codes_sporco.py", make_peers.python(), "sporco"),
]


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--tasks", nargs="+", choices=list(TASKS), default=list(TASKS), help="which of them (all)")
    names = [one.name for one in PEERS]
    parser.add_argument("--peers", nargs="*", choices=names, default=names, help="which of them (all)")
    parser.add_argument("--cuda", action="store_true", help="the GPU too")
    parser.add_argument("--seed", type=int, default=0)


def run(options: argparse.Namespace) -> Outcome:
    contenders = [OURS, *([CUDA] if options.cuda else []), *(one for one in PEERS if one.name in options.peers)]
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for task in options.tasks:
            rows += _task(task, contenders, Path(folder), options)
    peers = {one.name: one.version() for one in contenders if one.needs and not one.missing()}
    settings = {"tasks": TASKS, "penalty": PENALTY, "share_of_rows": SHARE, "seed": options.seed, "threads": 1}
    return Outcome(settings, rows, peers)


def draw(n_units: int, n_atoms: int, n_active: int, n_samples: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Samples and atoms of the law."""
    rng = np.random.default_rng(seed)
    atoms = rng.standard_normal((n_atoms, n_units))
    atoms /= np.linalg.norm(atoms, axis=1, keepdims=True)
    chosen = np.array([rng.choice(n_atoms, n_active, replace=False) for _ in range(n_samples)])
    amplitudes = rng.uniform(size=chosen.shape)
    z = scipy.sparse.csr_array(
        (amplitudes.ravel(), chosen.ravel(), np.arange(n_samples + 1) * n_active), shape=(n_samples, n_atoms)
    )
    return (z @ atoms).astype(np.float32), atoms.astype(np.float32)


def _task(task: str, contenders: list[Contender], folder: Path, options: argparse.Namespace) -> list[dict[str, Any]]:
    size = {name: value for name, value in TASKS[task].items() if name != "goal"}
    x, atoms = draw(**size, seed=options.seed)  # type: ignore[arg-type]
    np.savez(folder / "problem.npz", x=x, atoms=atoms)
    arguments = {"folder": str(folder), "penalty": PENALTY, "share": SHARE}
    rows = alternate("encode", contenders, arguments, runs=options.runs)
    for row in rows:
        row["task"] = task
        if "runs" not in row:
            continue
        z = scipy.sparse.load_npz(row["facts"]["codes"]).toarray()
        gap = np.concatenate(
            [
                duality_gap(x[: len(z)][i : i + 500].astype(float), atoms.astype(float), z[i : i + 500], PENALTY)
                for i in range(0, len(z), 500)
            ]
        )
        for run in (row, *row["runs"]):  # a path of this machine
            del run["facts"]
        row |= {"gap_max": float(gap.max()), "n_rows": len(z), "n_active": float((z != 0).sum(1).mean())}
        for name, unit in (("rows_per_s", "seconds"), ("rows_per_cpu_s", "cpu_seconds")):
            row[name] = len(z) / statistics.median(run[unit] for run in row["runs"])
    for row in rows[1:]:  # `ratio` of the harness is of seconds; contenders differ in rows here
        if "runs" in row:
            row["ratio"] = rows[0]["rows_per_s"] / row["rows_per_s"]
            row["cpu_ratio"] = rows[0]["rows_per_cpu_s"] / row["rows_per_cpu_s"]
    for row in rows:
        row.pop("user_ratio", None)
        row["goal"] = dict(zip(("SPAMS", "scikit-learn"), TASKS[task]["goal"], strict=True)).get(row["contender"], "")
    return rows
