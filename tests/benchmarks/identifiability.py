"""Similarity and held-out maps of two codes of 10,000 samples x 500 units, beside numpy and scikit-learn.

"by hand" are the Gram forms in a few lines of numpy: what the arithmetic itself costs. "over samples" is the way of
netrep, which no package index holds: kernels of all samples for CKA, whitened codes of all samples for shapes. Column
``value`` says what came of it: ours of cka is the debiased one, scikit-learn's cca has ten components, and its ridge
one penalty for all targets.
"""

from __future__ import annotations

import argparse

from tests.benchmarks.harness import Contender, Outcome, alternate

OURS = Contender("neurosparse", "similarity_ours.py")
NUMPY = Contender("numpy by hand", "similarity_numpy.py")
SAMPLES = Contender("numpy over samples", "similarity_samples.py")
SKLEARN = Contender("scikit-learn", "similarity_sklearn.py")
TASKS = {
    "cka": [OURS, NUMPY, SAMPLES],
    "cca": [OURS, NUMPY, SKLEARN],
    "shape": [OURS, SAMPLES],
    "ridge": [OURS, NUMPY, SKLEARN],
}


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS), help="which of them (all)")
    parser.add_argument("--samples", type=int, default=10_000, metavar="N", help="%(default)s")
    parser.add_argument("--units", type=int, default=500, metavar="P", help="%(default)s")


def run(options: argparse.Namespace) -> Outcome:
    size = {"n": options.samples, "p": options.units}
    rows = [row for task in options.tasks for row in alternate(task, TASKS[task], size, runs=options.runs)]
    for row in rows:
        row["value"] = row.get("facts", {}).get("value", "")
    return Outcome({**size, "runs": options.runs, "threads": 1}, rows)
