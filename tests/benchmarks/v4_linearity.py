"""V4 against layers of EfficientNet-lite0: held-out map, null, ceiling, nonlinear gap and verdict of each layer.

``python -m tests.benchmarks v4_linearity``; needs NEUROSPARSE_DATA_DIR. ``reference`` is the median r of the data
folder's table, whose penalty saw the test folds; ``within`` whether ours lies within .05 of it. Layers predict V4.
"""

from __future__ import annotations

import argparse
import os
import time
import warnings
from pathlib import Path

from neurosparse import linear_identifiability
from neurosparse.comparison import near_duplicate_stimuli
from neurosparse.errors import NeurosparseWarning
from neurosparse.study import Study, load_responses, network_populations
from tests.benchmarks.harness import Outcome

REFERENCE = {
    "_conv_stem": 0.26,
    "_blocks.2": 0.50,
    "_blocks.4": 0.52,
    "_blocks.7": 0.54,
    "_blocks.10": 0.57,
    "_blocks.14": 0.55,
    "_conv_head": 0.53,
}
SHOWN = ("median_r", "median_r_low", "median_r_high", "median_null_r", "pooled_p", "median_ceiling_r", "mean_R2")
SHOWN += ("nonlinear_R2", "nonlinear_gap", "nonlinear_gap_low", "nonlinear_gap_high", "quadratic_share")


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--layers", nargs="+", choices=REFERENCE, default=list(REFERENCE), help="which of them (all)")
    parser.add_argument("--network", action="store_true", help="a small network beside kernel ridge, minutes a layer")


def run(options: argparse.Namespace) -> Outcome:
    """One row a layer."""
    path = Path(os.environ["NEUROSPARSE_DATA_DIR"]) / "cowley_v4_210325.nwb"
    study = Study(str(path), stimulus="image_index", layers=list(options.layers))
    trials, images = load_responses(study)
    groups = near_duplicate_stimuli(images)
    rows = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NeurosparseWarning)
        for name, layer in network_populations(study, images).items():
            begin = time.process_time()
            found = linear_identifiability(
                layer,
                trials,
                groups=groups,
                n_permutations=99,
                n_bootstraps=400,
                directions=["x->y"],
                nonlinear=True if options.network else "kernels",
            ).isel(direction=0)
            row = {"task": name, "cpu_seconds": time.process_time() - begin, "n_predictors": layer.sizes["unit"]}
            row |= {key: float(found[key]) for key in SHOWN}
            row |= {"reference": REFERENCE[name], "within": abs(row["median_r"] - REFERENCE[name]) <= 0.05}
            measured, _, why = str(found["reasons"].values).partition("; ")
            row |= {"verdict": str(found["linearity"].values), "reasons": [measured], "why": why}
            rows.append(row)
            print(row, flush=True)
    return Outcome({"n_permutations": 99, "n_bootstraps": 400, "network": options.network}, rows)
