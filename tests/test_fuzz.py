"""A damaged file gives the original's populations or one of our errors; where nothing is checked, only what was hit."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.fuzz_worker import write_session

ROOT = Path(__file__).resolve().parent.parent
pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="each case is a fork with limits, which Windows has not"),
    pytest.mark.filterwarnings("ignore:The linked table for DynamicTableRegion:UserWarning"),
]


def run(*jobs: tuple[str, Path, int, int]) -> list[dict[str, Any]]:
    """Cases of (way, folder, first, last), in a process of their own."""
    words = [str(word) for job in jobs for word in job]
    command = [sys.executable, "-m", "tests.fuzz_worker", *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A file with checksums, to be damaged anywhere, and one without, to be damaged in its values."""
    made = {way: tmp_path_factory.mktemp(way) for way in ("anywhere", "values")}
    for way, folder in made.items():
        write_session(folder / "whole.nwb", checksums=way == "anywhere")
    return made


@pytest.fixture(scope="module")
def sample(folders: dict[str, Path]) -> list[dict[str, Any]]:
    """The undamaged file, a dozen damages anywhere, and one in the values of each dataset."""
    return run(("anywhere", folders["anywhere"], -1, 12), ("values", folders["values"], 0, 1))


def check(cases: list[dict[str, Any]]) -> Counter[str]:
    """Every case ended as it may; how many ended how.

    The original's populations, or one of our errors, never where h5py alone reads everything in the file as it was: a
    reader that refuses what is whole fails. A crash is libhdf5's own where h5py alone cannot read the file either.
    """
    for case in cases:
        crashed_inside = case["end"] == "crash" and case["in_hdf5"] and case["h5py"] in ("error", "crash")
        assert case["end"] in ("same", "error") or crashed_inside, case
        assert case["end"] != "error" or len(case["said"]) > 30, case
        assert case["end"] == "same" or case["h5py"] != "same", case
    assert {"same", "error"} <= {case["h5py"] for case in cases}, "some damage is none to h5py, some is too much for it"
    return Counter(case["end"] for case in cases)


def check_values(cases: list[dict[str, Any]], rounds: int) -> None:
    """Only populations made of the dataset that was hit differ, and those of values that are seen as they are do."""
    assert len({case["what"] for case in cases}) * rounds == len(cases)
    for case in cases:
        assert case["end"] in ("same", "differs", "error"), case
        assert set(case.get("differ", [])) <= users_of(case["what"]), case
    hit = [case for case in cases if case["what"].endswith(("traces/data", "wheel/data"))]
    assert hit
    assert all(case["end"] == "differs" for case in hit), "the byte that was changed is seen"


def test_a_sample_of_damages(sample: list[dict[str, Any]]) -> None:
    check([case for case in sample if case["way"] == "anywhere"])


def test_without_checksums_only_what_was_hit_may_differ(sample: list[dict[str, Any]]) -> None:
    check_values([case for case in sample if case["way"] == "values"], 1)


@pytest.mark.slow
def test_five_hundred_damages(folders: dict[str, Path]) -> None:
    parts = [run(("anywhere", folders["anywhere"], first, first + 50)) for first in range(0, 500, 50)]
    cases = [case for part in parts for case in part]
    ends = check(cases)
    print(dict(ends), Counter(f"{case['end']}, h5py {case['h5py']}" for case in cases))
    assert ends.total() == 500


@pytest.mark.slow
def test_twenty_damages_of_each_datasets_values(folders: dict[str, Path]) -> None:
    check_values(run(("values", folders["values"], 0, 20)), 20)


def users_of(dataset: str) -> set[str]:
    """The populations that are made of a dataset's values."""
    if dataset.startswith("units/"):
        return {"spikes", "trials"}
    if dataset.startswith("processing/"):
        return {"calcium"}
    users = {"trials"} if dataset.startswith("intervals/") else {"wheel"} if "wheel" in dataset else set()
    # Counts over the whole session span every clock of the file.
    return users | {"spikes"} if dataset.endswith(("time", "timestamps")) else users
