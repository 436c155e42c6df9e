"""A written recording is valid NWB, reads back exactly, and is there whole or not at all."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import nwbinspector
import pandas as pd
import pynwb
import pytest

from neurosparse import simulation
from neurosparse.errors import FileError, InputError
from neurosparse.recordings import write
from neurosparse.recordings.write import write_recording

SPIKES = [np.array([0.25, 0.5, 3.0]), np.array([]), np.array([1.0])]
TRIALS = pd.DataFrame(
    {
        "start_time": [0.0, 1.0, 2.5],
        "stop_time": [0.5, 1.5, 3.5],
        "stimulus": [1, 0, 1],
        "contrast": [0.1, np.nan, 0.3],
        "correct": [True, False, True],
        "cue": ["left", "", "right"],
    }
)
UNITS = pd.DataFrame({"location": ["V1", "V4", "V4"], "depth": [1.5, 2.5, 3.5]}, index=[7, 3, 11])
IMAGES = np.random.default_rng(0).integers(0, 256, (6, 5, 4, 3), dtype=np.uint8)
Write = Callable[..., Path]


@pytest.fixture
def save(tmp_path: Path) -> Write:
    def call(name: str = "a.nwb", **changes: Any) -> Path:
        return write_recording(tmp_path / name, **{"spike_times": SPIKES} | changes)

    return call


def test_everything_reads_back_as_it_was_given(save: Write) -> None:
    seen = [np.array([[0.0, 1.0], [2.0, 4.0]])] * 3
    path = save(
        intervals=TRIALS,
        units=UNITS,
        images=IMAGES,
        obs_intervals=seen,
        session="s1",
        columns={"cue": "where the cue was"},
        resolution=1 / 30000,
    )
    with pynwb.NWBHDF5IO(path, "r") as io:
        file = io.read()
        for unit, times in enumerate(SPIKES):
            np.testing.assert_array_equal(file.units["spike_times"][unit], times)
            np.testing.assert_array_equal(file.units["obs_intervals"][unit], seen[unit])
        assert list(file.units.id[:]) == [7, 3, 11]
        assert file.units.resolution == 1 / 30000
        pd.testing.assert_frame_equal(
            file.units.to_dataframe()[["location", "depth"]], UNITS, check_names=False, check_dtype=False
        )
        pd.testing.assert_frame_equal(file.trials.to_dataframe(), TRIALS, check_names=False, check_dtype=False)
        assert file.trials["correct"].data.dtype == bool
        assert file.trials["cue"].description == "where the cue was"
        np.testing.assert_array_equal(file.stimulus_template["images"].data[:], IMAGES)
        assert file.session_id == "s1"


def test_grey_images_and_silence_alone_are_recordings_too(save: Write) -> None:
    path = save(spike_times=[[], []], images=IMAGES[..., 0])
    with pynwb.NWBHDF5IO(path, "r") as io:
        file = io.read()
        assert [len(file.units["spike_times"][unit]) for unit in (0, 1)] == [0, 0]
        assert file.trials is None
        np.testing.assert_array_equal(file.stimulus_template["images"].data[:], IMAGES[..., 0])


def test_nothing_critical_and_no_bad_practice_is_found_by_the_inspector(save: Write) -> None:
    path = save(intervals=TRIALS, units=UNITS, images=IMAGES, resolution=1 / 30000)
    assert not pynwb.validate(path=str(path))
    assert faults(path) == []
    # The inspector is awake: a neuron that spikes twice at once is found.
    assert "check_ascending_spike_times" in faults(save("twice.nwb", spike_times=[[1.5, 1.5]]))


def test_a_simulated_world_is_as_faultless(tmp_path: Path) -> None:
    world = simulation.sparse_world(8, 12, 30, n_repeats=2)
    assert faults(simulation.write_world(world, tmp_path / "world.nwb")) == []


def faults(path: Path) -> list[str]:
    """Checks of nwbinspector that found something critical, or a best practice violated."""
    found = nwbinspector.inspect_nwbfile(nwbfile_path=path)
    bad = nwbinspector.Importance.BEST_PRACTICE_VIOLATION.value
    return [one.check_function_name for one in found if one.importance.value >= bad]


def test_the_same_data_have_the_same_name_and_date_and_other_data_another(save: Write) -> None:
    def facts(path: Path) -> tuple[Any, ...]:
        with pynwb.NWBHDF5IO(path, "r") as io:
            file = io.read()
            return file.identifier, file.session_start_time, list(file.file_create_date)

    first, again = facts(save()), facts(save("b.nwb"))
    assert first == again
    changed = [
        facts(save("c.nwb", spike_times=[*SPIKES[:2], np.array([1.5])])),
        facts(save("d.nwb", intervals=TRIALS)),
        facts(save("e.nwb", images=IMAGES)),
        facts(save("f.nwb", session="s2")),
    ]
    assert len({first[0], *(one[0] for one in changed)}) == 5
    day = datetime(2024, 5, 1, 12, tzinfo=UTC)
    assert facts(save("g.nwb", start=day))[1:] == (day, [day])


def test_a_file_is_replaced_only_on_request(save: Write) -> None:
    path = save()
    old = path.read_bytes()
    with pytest.raises(FileError, match=r"a.nwb: it exists. .*overwrite=True"):
        save(session="new")
    assert path.read_bytes() == old
    save(session="new", overwrite=True)
    assert path.read_bytes() != old


def test_a_failure_half_way_leaves_the_old_file_whole(save: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save()
    old = path.read_bytes()

    def fail(io: pynwb.NWBHDF5IO, *_: Any) -> None:
        Path(io.source).write_bytes(b"half")
        raise RuntimeError("disk full")

    monkeypatch.setattr(write.NWBHDF5IO, "write", fail)
    for name in ("a.nwb", "new.nwb"):
        with pytest.raises(RuntimeError, match="disk full"):
            save(name, overwrite=True)
    assert path.read_bytes() == old
    assert [file.name for file in path.parent.iterdir()] == ["a.nwb"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"spike_times": []}, "needs one array a unit; got none. A silent unit is an empty array"),
        ({"spike_times": [[0.1], [[0.2, 0.3]]]}, r"spike_times\[1\] needs one dim \(spike,\); got shape \(1, 2\)"),
        ({"spike_times": [[0.1], [0.2, -3.0]]}, r"spike_times\[1\] needs finite .* got -3.0 at index 1 \(1 such\)"),
        ({"spike_times": [[np.nan, np.inf]]}, r"spike_times\[0\] needs finite .* got nan at index 0 \(2 such\)"),
        (
            {"spike_times": [[0.1, 0.3, 0.2]]},
            r"needs ascending times; index 2 \(0.2 s\) .* \(0.3 s\). Sort with np.sort",
        ),
        ({"units": UNITS[:2]}, "units needs one row for each of the 3 spike_times; got 2 rows"),
        ({"units": UNITS.rename(columns={"depth": "spike_times"})}, "column 'spike_times', a name that NWB reserves"),
        ({"units": UNITS.set_axis([1, 1, 2])}, "units needs unique whole numbers as its index"),
        ({"units": UNITS.set_axis(["a", "b", "c"])}, "first label 'a'. Keep other labels as a column"),
        (
            {"units": UNITS.assign(tags=[[1], [2], [3]])},
            r"units column 'tags' needs scalars .* \[1\] \(list\) in row 0",
        ),
        (
            {"intervals": TRIALS.drop(columns="stop_time")},
            "intervals needs rows and the columns start_time and stop_time",
        ),
        ({"intervals": TRIALS[:0]}, "got 0 rows of start_time, stop_time, stimulus"),
        ({"intervals": TRIALS.assign(stop_time=[1.0, 0.5, 9.0])}, r"row 1 has 1.0 to 0.5 \(1 such rows\)"),
        ({"intervals": TRIALS.assign(start_time=[0.0, 1.0, np.nan])}, "row 2 has nan to 3.5"),
        ({"intervals": TRIALS.assign(cue=["x", None, "y"])}, "intervals column 'cue' needs scalars .* in row 1"),
        ({"intervals": TRIALS.assign(licks=[np.arange(2)] * 3)}, r"intervals column 'licks' .* \(ndarray\) in row 0"),
        ({"intervals": TRIALS.rename(columns={"cue": "a/b"})}, "column named 'a/b'; a name is text without '/'"),
        ({"intervals": TRIALS.rename(columns={"cue": 3})}, "column named 3;"),
        ({"images": IMAGES / 255}, r"images needs uint8 .* got float64 of shape \(6, 5, 4, 3\)"),
        ({"images": IMAGES[0, 0]}, r"images needs uint8 .* got uint8 of shape \(4, 3\)"),
        ({"images": IMAGES[..., :2]}, r"channel of 1 or 3\); got uint8 of shape \(6, 5, 4, 2\)"),
        ({"images": IMAGES[:0]}, r"got uint8 of shape \(0, 5, 4, 3\)"),
        ({"obs_intervals": [np.zeros((1, 2))]}, "obs_intervals needs one array for each of 3 units; got 1"),
        (
            {"obs_intervals": [np.zeros((1, 2))] * 3},
            r"obs_intervals\[0\] needs dims \(interval, 2\) with start before stop",
        ),
        ({"obs_intervals": [np.arange(2.0)] * 3}, r"obs_intervals\[0\] .* got shape \(2,\)"),
    ],
)
def test_wrong_input_is_named_and_leaves_no_file(
    save: Write, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        save(**changes)
    assert not list(tmp_path.iterdir())
