"""NWB file to population, beside pynapple, elephant and h5py by hand.

W1: 500 units, 1 h, 5 Hz in the mean, 1,000 trials that overlap; W2: 5,000 ROIs x 54,000 frames at 30 Hz, 300 trials.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

from tests.benchmarks import make_peers
from tests.benchmarks.harness import Contender, Outcome, alternate
from tests.benchmarks.workloads import rois_file, units_file

W1 = {"n_units": 500, "seconds": 3600.0, "rate": 5.0, "n_trials": 1000}
W2 = {"n_rois": 5000, "n_frames": 54_000, "rate": 30.0, "n_trials": 300}
W3 = {"n_units": 500, "seconds": 3600.0, "rate": 13.9, "n_trials": 1000}
TINY_UNITS = {"n_units": 3, "seconds": 20.0, "rate": 5.0, "n_trials": 3}
TINY_ROIS = {"n_rois": 4, "n_frames": 600, "rate": 30.0, "n_trials": 2}
TASKS = ("counts", "trials", "frames", "inspect")

OURS, PLAIN = Contender("neurosparse", "ours.py"), Contender("h5py by hand", "plain.py")
PYNAPPLE = Contender("pynapple", "pynapple_.py", make_peers.python(), "pynapple")
ELEPHANT = Contender("elephant", "elephant_.py", make_peers.python(), "elephant")


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=TASKS, help="which of them (all)")
    parser.add_argument(
        "--size", type=float, default=1.0, help="share of the workloads' units and trials (%(default)s)"
    )
    default = Path(tempfile.gettempdir()) / "neurosparse-benchmarks"
    parser.add_argument("--data", type=Path, default=default, help="where the workloads lie (%(default)s)")


def run(options: argparse.Namespace) -> Outcome:
    rows = [row for task in options.tasks for row in _task(task, options)]
    settings = {"W1": W1, "W2": W2, "W3": W3, "runs": options.runs, "size": options.size, "threads": 1}
    peers = [one for one in (PYNAPPLE, ELEPHANT) if not one.missing()]
    for row in rows:
        if "facts" in row and "output_mb" in row["facts"]:
            row["output_mb"] = row["facts"]["output_mb"]
            row["trials_kept"] = row["facts"]["shape"][row["facts"]["trial_axis"]] if row["task"] != "counts" else ""
    return Outcome(settings, rows, {one.name: one.version() for one in peers})


def _task(task: str, options: argparse.Namespace) -> list[dict[str, Any]]:
    if task == "frames":
        files = {
            "path": rois_file(options.data, **_scaled(W2, options.size)),
            "tiny": rois_file(options.data, **TINY_ROIS),
        }
        contenders, arguments = [OURS, PLAIN, PYNAPPLE], {"window": [0.0, 4.0]}
    else:
        size = W3 if task == "inspect" else W1
        files = {
            "path": units_file(options.data, **_scaled(size, options.size)),
            "tiny": units_file(options.data, **TINY_UNITS),
        }
        contenders = {
            "counts": [OURS, PLAIN, ELEPHANT, PYNAPPLE],
            "trials": [OURS, PLAIN, PYNAPPLE],
            "inspect": [OURS, PLAIN],
        }[task]
        arguments = {"counts": {"bin_width": 0.01}, "trials": {"bin_width": 0.01, "window": [0.0, 2.0]}}.get(task, {})
    arguments = arguments | {name: str(path) for name, path in files.items()}
    return alternate(task, contenders, arguments, runs=options.runs)


def _scaled(size: dict[str, Any], share: float) -> dict[str, Any]:
    return size | {name: max(int(size[name] * share), 2) for name in ("n_units", "n_rois", "n_trials") if name in size}
