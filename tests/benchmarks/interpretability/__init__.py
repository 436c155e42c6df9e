"""What the interpretability scores rank, how fast they are, and what they find in networks and recordings.

``python -m tests.benchmarks interpretability --rows worlds nulls``; the JSON is named after the rows.
``head-direction``, ``v4`` and ``v4-images`` need the recordings folder (NEUROSPARSE_DATA_DIR); nothing is fetched.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from tests.benchmarks import harness

ROWS = {
    "worlds": "planted worlds: truth above mixtures above rotations above shuffled, mean over worlds",
    "nulls": "worlds without meaning: share of p-values below a level",
    "pairs": "monosemanticity beside the double loop",
    "seconds": "CPU seconds of each score",
    "head-direction": "ADN and CA1 by the head's angle",
    "patches": "a network's channels and sparse features on patches of natural pictures",
    "v4-images": "the same on the images shown to V4",
    "v4": "V4 units and sparse features at two halves of the repeats",
}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Which rows, and their sizes."""
    parser.add_argument("--rows", nargs="+", default=["pairs"], choices=list(ROWS), metavar="ROW")
    parser.add_argument("--worlds", type=int, default=50, help="planted worlds (%(default)s)")
    parser.add_argument("--first-seed", type=int, default=0, help="of the planted worlds (%(default)s)")
    parser.add_argument("--draws", type=int, default=1000, help="worlds without meaning (%(default)s)")
    parser.add_argument(
        "--networks", type=int, default=5, help="of random weights, of patches and v4-images (%(default)s)"
    )
    parser.add_argument("--stimuli", type=int, default=10_000, help="of seconds (%(default)s)")
    parser.add_argument("--profiles", type=int, default=1000, help="of seconds (%(default)s)")
    parser.add_argument("--scores", nargs="+", help="of seconds; all by default")
    parser.add_argument("--device", default="cpu", help="of seconds (%(default)s)")


def run(options: argparse.Namespace) -> harness.Outcome:
    """The rows asked for, one after another."""
    found: list[dict[str, Any]] = []
    for name in options.rows:
        found += _one(name, options)
    options.name = "_".join(["interpretability", *options.rows]).replace("-", "_")
    if any("representation" in row for row in found):
        from tests.benchmarks.interpretability import figure

        Path(options.out).mkdir(parents=True, exist_ok=True)
        print(f"drawn in {figure.draw(found, 'mis', Path(options.out) / f'{options.name}.png')}")
    settings = {
        name: getattr(options, name)
        for name in ("worlds", "first_seed", "draws", "networks", "stimuli", "profiles", "device")
    }
    return harness.Outcome({"rows": options.rows, **settings}, found)


def _one(name: str, options: argparse.Namespace) -> list[dict[str, Any]]:
    if name in ("worlds", "nulls"):
        from tests.benchmarks.interpretability import worlds

        if name == "worlds":
            return worlds.ranks(options.worlds, options.first_seed)
        return worlds.levels(options.draws)
    if name in ("pairs", "seconds"):
        from tests.benchmarks.interpretability import loop

        if name == "pairs":
            return loop.pairs()
        return loop.seconds(options.stimuli, options.profiles, options.scores, options.device)
    if name == "head-direction":
        from tests.benchmarks.interpretability import head_direction

        return head_direction.run()
    if name == "v4":
        from tests.benchmarks.interpretability import v4

        return v4.run()
    from tests.benchmarks.interpretability import pictures

    return pictures.natural(options.networks) if name == "patches" else pictures.v4_images(options.networks)
