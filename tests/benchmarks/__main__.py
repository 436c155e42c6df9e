"""Run one benchmark: ``python -m tests.benchmarks recordings --runs 5``.

A benchmark is a sibling module with ``run(options) -> harness.Outcome``, and ``add_options(parser)`` if it has options
of its own. To add one, write the module and name it in `BENCHMARKS`.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

from tests.benchmarks import harness

BENCHMARKS = {
    "fitting": "how long a fit takes on a GPU, beside the CPU and the published loop",
    "identifiability": "similarity and held-out maps of two codes, beside numpy and scikit-learn",
    "inference": "sparse codes of a given dictionary, beside SPAMS, scikit-learn, FISTA and sporco",
    "interpretability": "what the scores rank, how fast they are, networks, V4 and head-direction cells",
    "planted_v4": "size and verdict where a known dictionary, or a Gaussian, has V4's noise, repeats and pictures",
    "recordings": "NWB to population: counts, trial-aligned tensors, opening, beside pynapple, elephant and h5py",
    "recoverability": "what is foretold of a fit, beside what a fit finds, in 40 cells of size and noise",
    "noise_injection": "a linear signal in V4's own noise: level, power, bias, coverage; repeats left out",
    "recovery": "dictionaries learned from samples of a planted one, beside the oracle and chance",
    "recovery_curve": "recovery against samples an atom, beside SPAMS, an autoencoder, the oracle and chance",
    "recovery_noise": "the same under noise, rare features and Poisson counts, beside SPAMS, NMF and an autoencoder",
    "v4_linearity": "V4 against layers of EfficientNet-lite0: null, ceiling, nonlinear gap and verdict of each",
}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description="Times beside the peers.")
    names = parser.add_subparsers(dest="name", required=True, metavar="NAME")
    for name, about in BENCHMARKS.items():
        one = names.add_parser(name, help=about, description=about)
        one.add_argument("--runs", type=int, default=5, metavar="N", help="alternating runs (%(default)s)")
        one.add_argument("--out", default=str(harness.RESULTS), metavar="FOLDER", help="where the JSON goes")
        module = importlib.import_module(f"tests.benchmarks.{name}")
        if hasattr(module, "add_options"):
            module.add_options(one)
        one.set_defaults(run=module.run)
    options = parser.parse_args(arguments)
    outcome = options.run(options)
    print(outcome.table())
    print(f"\nwritten to {harness.save(options.name, outcome, options.out)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
