"""The commands: ``neurosparse inspect``, ``compare``, ``demo``, ``datasets``, ``fetch`` and ``verify``."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

from neurosparse import __version__
from neurosparse.errors import FileError, NeurosparseError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    arguments : sequence of str, optional
        The words after ``neurosparse``; those of the process by default.

    Returns
    -------
    int
        Exit status: 0, or 1 after an error that the message explains.
    """
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
        sys.stdout.flush()
    except NeurosparseError as error:
        print(f"neurosparse {options.command}: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # the reader has seen enough, as `head` has; Python's own flush at exit must not fail too
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="neurosparse", description="The same questions of recorded and artificial neurons."
    )
    parser.add_argument("--version", action="version", version=f"neurosparse {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    inspect = commands.add_parser("inspect", help="say what an NWB file holds")
    inspect.add_argument("file", metavar="FILE.nwb", help="a path or an http(s) URL")
    inspect.add_argument("--report", action="store_true", help="also say how the file was opened")
    inspect.set_defaults(run=_inspect)

    compare = commands.add_parser("compare", help="compare a recording with a network that sees its images")
    source = compare.add_mutually_exclusive_group(required=True)
    source.add_argument("recording", nargs="?", metavar="FILE.nwb", help="the recording, with the images it was shown")
    source.add_argument("--study", metavar="STUDY.toml", help="settings that an earlier comparison wrote")
    compare.add_argument("--out", required=True, metavar="FOLDER", help="where the results go")
    _add_choices(compare)
    compare.set_defaults(run=_compare)

    demo = commands.add_parser(
        "demo", help="simulate a recording, analyse it, and print what was found beside the truth"
    )
    demo.add_argument("--out", metavar="FOLDER", help="keep the recording, the table, the figure and the page here")
    demo.add_argument(
        "--seed", type=int, default=0, dest="random_state", help="seed of the world (default %(default)s)"
    )
    demo.set_defaults(run=_demo)
    _add_datasets(commands)
    return parser


def _add_datasets(commands: Any) -> None:
    datasets = commands.add_parser("datasets", help="list the public datasets that can be fetched by name")
    datasets.set_defaults(run=_datasets)

    fetch = commands.add_parser("fetch", help="download a file of a dataset and verify it")
    fetch.add_argument("dataset", metavar="ID", help="a dataset, or a manifest of your own (TOML)")
    fetch.add_argument("--asset", metavar="NAME", help="one of its files; the one that it is loaded from by default")
    fetch.set_defaults(run=_fetch)

    verify = commands.add_parser("verify", help="compare the files that are here with their manifests")
    verify.add_argument("dataset", nargs="?", metavar="ID", help="one dataset; all by default")
    verify.set_defaults(run=_verify)


def _add_choices(compare: argparse.ArgumentParser) -> None:
    """The options of a study. None stands for "not said", so that they can override a study's own settings."""
    found = "found where there is one candidate"
    compare.add_argument("--activity", metavar="NAME", help=f"units table or series; {found}")
    compare.add_argument("--intervals", metavar="NAME", help=f"interval table, a row a trial; {found}")
    compare.add_argument("--stimulus", metavar="COLUMN", help=f"its column that numbers the images; {found}")
    compare.add_argument("--images", metavar="NAME", help=f"the images; {found}")
    compare.add_argument(
        "--window", nargs=2, type=float, metavar=("START", "STOP"), help="seconds in which spikes count"
    )
    compare.add_argument("--network", metavar="NAME", help="network whose weights are installed (efficientnet-lite0)")
    compare.add_argument("--layers", nargs="+", metavar="LAYER", help="module paths of its layers")
    compare.add_argument("--pool", type=int, metavar="N", help="average-pool maps to N x N (4)")
    compare.add_argument("--random-networks", type=int, metavar="N", help="controls with random weights (5)")
    compare.add_argument("--pixel-size", type=int, metavar="N", help="side of the pixel control (28)")
    compare.add_argument("--atoms", type=int, dest="n_atoms", metavar="N", help="atoms of each dictionary")
    compare.add_argument("--permutations", type=int, dest="n_permutations", metavar="N", help="draws of the null (200)")
    compare.add_argument("--surrogates", type=int, dest="n_surrogates", metavar="N", help="Gaussian surrogates (19)")
    compare.add_argument("--seed", type=int, dest="random_state", metavar="N", help="seed of all randomness (0)")
    compare.add_argument("--device", metavar="NAME", help="auto, cpu or cuda")


def _inspect(options: argparse.Namespace) -> None:
    from neurosparse.recordings import open_nwb

    with open_nwb(options.file) as recording:
        if options.report:
            print(f"{recording.report}\n")
        print(recording)
        if look := recording.first_look():
            print(f"\n{look}")


def _compare(options: argparse.Namespace) -> None:
    from neurosparse.comparison import findings
    from neurosparse.study import Study, read_study, run_study

    study = read_study(options.study) if options.study else Study(options.recording)
    said: dict[str, Any] = {
        field.name: getattr(options, field.name)
        for field in fields(Study)
        if getattr(options, field.name, None) is not None
    }
    result = run_study(replace(study, **said), options.out, on_step=_Progress())
    print("\n".join(findings(result)))
    print(f"\nTable, figure, page and settings are in {options.out}.")


def _demo(options: argparse.Namespace) -> None:
    from neurosparse.demo import run_demo

    print(run_demo(options.out, random_state=options.random_state, on_step=_Progress()))


def _datasets(options: argparse.Namespace) -> None:
    from neurosparse.catalog import datasets

    print(datasets().drop(columns="title").reset_index().to_string(index=False))


def _fetch(options: argparse.Namespace) -> None:
    from neurosparse.catalog import fetch

    print(fetch(options.dataset, options.asset))


def _verify(options: argparse.Namespace) -> None:
    from neurosparse.catalog import verify
    from neurosparse.manifests import data_folder

    files = verify(options.dataset)
    here = files[files["state"] != "missing"]
    print("\n".join(f"{row.state}  {row.path}" for row in here.itertuples()) or f"no file is in {data_folder()}")
    print(f"{len(files)} pinned: {', '.join(f'{n} {state}' for state, n in files['state'].value_counts().items())}")
    damaged = here[here["state"] == "damaged"]
    if len(damaged):
        names = [f"{options.dataset or row.dataset} --asset {row.asset}" for row in damaged.itertuples()]
        again = "".join(f"\n  neurosparse fetch {name}" for name in names)
        raise FileError(f"{len(damaged)} of {len(here)} files are damaged. Fetch them again:{again}")


class _Progress:
    """Prints each stage as it begins, with the seconds since the first."""

    def __init__(self) -> None:
        self.began = time.monotonic()

    def __call__(self, stage: str) -> None:
        print(f"[{time.monotonic() - self.began:4.0f} s] {stage}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
