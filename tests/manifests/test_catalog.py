"""Datasets are listed, fetched, loaded and verified by name, from Python and from the commands."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import neurosparse
from neurosparse import catalog, population
from neurosparse.cli import main
from neurosparse.errors import DataWarning, FileError, InputError, MissingError
from neurosparse.files import packaged
from neurosparse.recordings.write import write_recording
from tests.manifests.conftest import Server

SPIKES = [np.array([0.05, 0.15, 0.17, 1.05]), np.array([1.01, 1.9]), np.array([])]
SERIES = pd.DataFrame({"start_time": [0.0, 1.0], "stop_time": [0.5, 2.0], "image": [1, 0]})


@pytest.fixture
def content(tmp_path: Path) -> bytes:
    """A session of three units and two trials, as bytes."""
    obs = [np.array([[0.0, 2.0]])] * 3
    path = write_recording(tmp_path / "written.nwb", spike_times=SPIKES, intervals=SERIES, obs_intervals=obs)
    return path.read_bytes()


@pytest.fixture
def dataset(server: Server, content: bytes, write_manifest: Callable[..., Path]) -> Callable[..., Path]:
    """A manifest of the session, served at /a, with the given facts."""
    server.answers["/a"] = lambda request: request.give(content)
    return lambda **facts: write_manifest(server.url("/a"), content, **facts)


def test_the_list_has_a_row_a_manifest_and_prints_a_line_each() -> None:
    table = neurosparse.datasets()
    assert table.index.tolist() == sorted(path.stem for path in packaged("data_manifests").glob("*.toml"))
    row = table.loc["dandi-000140-mc-maze-small"]
    assert (row["megabytes"], row["files"], row["here"], row["licence"]) == (29.2, 2, 0, "CC-BY-4.0")
    lines = repr(table).splitlines()
    assert len(lines) == len(table) + 2
    assert max(map(len, lines)) <= 120
    assert "..." not in repr(table)
    assert isinstance(table.iloc[:3], pd.DataFrame)
    assert "title" in repr(table.iloc[0])


def test_what_is_here_is_counted(data_home: Path) -> None:
    path = data_home / "dandi-000625-ca1-interneurons" / "sub-tg19" / "sub-tg19_ses-21322_behavior+ophys.nwb"
    path.parent.mkdir(parents=True)
    path.touch()
    here = neurosparse.datasets()["here"]
    assert here["dandi-000625-ca1-interneurons"] == 1
    assert here.sum() == 1


def test_load_gives_what_the_manifest_describes(dataset: Callable[..., Path], server: Server) -> None:
    path = dataset(load={"method": "spikes", "bin_width": 0.1}, expected={"units": 3})
    x = neurosparse.load(path, progress=False)
    assert x.dims == ("time", "unit")
    assert x.sizes == {"time": 20, "unit": 3}
    assert x.values[:2].tolist() == [[1, 0, 0], [2, 0, 0]]
    step = population.provenance(x)["steps"][-1]
    assert (step["step"], step["dataset"], step["licence"], step["citation"]) == (
        "load",
        "test-set",
        "CC0-1.0",
        "Nobody",
    )
    assert len(step["sha256"]) == 64
    population.check(x)
    neurosparse.load(path, progress=False)
    assert len(server.seen) == 1


def test_arguments_go_over_the_manifests(dataset: Callable[..., Path]) -> None:
    load = {"method": "spikes", "align": "trials", "window": [0.0, 0.2], "reduce": "sum", "stimulus": "image"}
    path = dataset(load=load)
    x = neurosparse.load(path, progress=False)
    assert x.dims == ("trial", "unit")
    assert x.values.tolist() == [[3, 0, 0], [1, 1, 0]]
    assert x["stimulus"].values.tolist() == [1, 0]
    x = neurosparse.load(path, "a.nwb", window=(0.0, 1.0), reduce=None, bin_width=0.5, progress=False)
    assert x.sizes == {"trial": 2, "time": 2, "unit": 3}
    assert x.values[:, :, 0].tolist() == [[3, 0], [1, 0]]


def test_the_one_activity_is_found_where_the_manifest_names_none(dataset: Callable[..., Path]) -> None:
    x = neurosparse.load(dataset(load={"bin_width": 1.0}), progress=False)
    assert x.values.tolist() == [[3, 0, 0], [1, 2, 0]]
    with pytest.raises(InputError, match="spikes needs bin_width"):
        neurosparse.load(dataset(), progress=False)
    assert neurosparse.load(dataset(), bin_width=2.0, progress=False).values.tolist() == [[4, 2, 0]]


@pytest.mark.parametrize(
    ("choices", "said"),
    [
        ({"method": "lfp"}, "method is 'lfp'; expected 'spikes', 'calcium', 'series'"),
        (
            {"method": "spikes", "binwidth": 1.0},
            r"recording.spikes does not take \['binwidth'\]; it takes \['bin_width', ",
        ),
    ],
)
def test_arguments_that_do_not_fit_are_named(choices: dict[str, Any], said: str, dataset: Callable[..., Path]) -> None:
    with pytest.raises(InputError, match=said):
        neurosparse.load(dataset(), progress=False, **choices)


@pytest.fixture
def two_series(tmp_path: Path, write_manifest: Callable[..., Path], data_home: Path) -> Callable[..., Path]:
    """A dataset, here already, whose file holds as many (time, unit) series as asked for, and no units."""
    import pynwb
    from pynwb.testing.mock.file import mock_NWBFile

    def write(n: int) -> Path:
        nwbfile = mock_NWBFile()
        for place in range(n):
            values = np.full((4, 3), float(place))
            nwbfile.add_acquisition(pynwb.TimeSeries(name=f"series_{place}", data=values, unit="V", rate=10.0))
        home = data_home / "test-set" / "sub-1"
        home.mkdir(parents=True, exist_ok=True)
        with pynwb.NWBHDF5IO(home / "a.nwb", "w") as io:
            io.write(nwbfile)
        return write_manifest(content=(home / "a.nwb").read_bytes(), load={"bin_width": 0.05})

    return write


def test_several_activities_are_listed_and_none_is_said(two_series: Callable[[int], Path]) -> None:
    one = neurosparse.load(two_series(1), progress=False)
    assert one.sizes == {"time": 4, "unit": 3}
    path = two_series(2)
    said = r"holds 2 candidates: acquisition/series_0, acquisition/series_1. Choose with method='series', name=NAME"
    with pytest.raises(InputError, match=said):
        neurosparse.load(path, progress=False)
    x = neurosparse.load(path, method="series", name="series_1", progress=False)
    assert (x.values == 1).all()
    with pytest.raises(FileError, match=r"a.nwb of test-set holds no activity. It holds:"):
        neurosparse.load(two_series(0), progress=False)


def test_a_count_that_is_not_as_expected_is_said(dataset: Callable[..., Path]) -> None:
    path = dataset(load={"method": "spikes", "align": "trials", "reduce": "sum"}, expected={"units": 4, "trials": 2})
    with pytest.warns(DataWarning, match="test-set has 3 units; its manifest expects 4. One of them is wrong"):
        neurosparse.load(path, progress=False)
    neurosparse.load(path, units=[0], progress=False)  # another choice than the manifest's, whose counts say nothing


def test_fetch_gives_a_verified_file(dataset: Callable[..., Path], content: bytes, data_home: Path) -> None:
    path = neurosparse.fetch(dataset(), progress=False)
    assert path == data_home / "test-set" / "sub-1" / "a.nwb"
    assert path.read_bytes() == content
    with pytest.raises(MissingError, match="has no asset 'b.nwb'"):
        neurosparse.fetch(dataset(), "b.nwb")


def test_verify_tells_intact_from_damaged_and_missing(dataset: Callable[..., Path]) -> None:
    path = dataset()
    assert catalog.verify(path)["state"].tolist() == ["missing"]
    file = neurosparse.fetch(path, progress=False)
    assert catalog.verify(path)["state"].tolist() == ["intact"]
    file.write_bytes(file.read_bytes()[:-1] + bytes([file.read_bytes()[-1] ^ 1]))
    found = catalog.verify(path)
    assert found.iloc[0].to_dict() == {
        "dataset": "test-set",
        "asset": "sub-1/a.nwb",
        "state": "damaged",
        "path": str(file),
    }
    everything = catalog.verify()
    assert (everything["state"] == "missing").all()
    assert everything["dataset"].nunique() == len(neurosparse.datasets())


def test_the_commands(
    dataset: Callable[..., Path], data_home: Path, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(dataset())
    assert main(["datasets"]) == 0
    assert "dandi-000006-alm" in capsys.readouterr().out
    assert main(["verify", path]) == 0
    assert capsys.readouterr().out == f"no file is in {data_home}\n1 pinned: 1 missing\n"
    assert main(["fetch", path]) == 0
    file = data_home / "test-set" / "sub-1" / "a.nwb"
    assert capsys.readouterr().out == f"{file}\n"
    assert main(["verify", path]) == 0
    assert capsys.readouterr().out == f"intact  {file}\n1 pinned: 1 intact\n"
    assert main(["fetch", path, "--asset", "b.nwb"]) == 1
    assert "neurosparse fetch: test-set has no asset 'b.nwb'" in capsys.readouterr().err
    file.write_bytes(b"")
    assert main(["verify", path]) == 1
    said = capsys.readouterr()
    assert f"damaged  {file}" in said.out
    assert "neurosparse verify: 1 of 1 files are damaged. Fetch them again:\n  neuro" in said.err
    assert f"neurosparse fetch {path} --asset sub-1/a.nwb\n" in said.err
    server.answers["/a"] = lambda request: request.refuse(404)
    with pytest.warns(DataWarning, match="fetched again"):
        assert main(["fetch", path]) == 1
    assert "the server answers 404" in capsys.readouterr().err
    assert main(["fetch", "no-such"]) == 1
    assert "there is no dataset 'no-such'" in capsys.readouterr().err


def test_a_reader_that_has_seen_enough_leaves_no_traceback():
    command = [sys.executable, "-c", "import sys; from neurosparse.cli import main; sys.exit(main(['datasets']))"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 1
