"""Interval tables as DataFrames: every row, every column, text as text."""

import numpy as np
import pynwb
import pytest
from nwb_parts import replace, trials, units

from neurosparse import open_nwb, population
from neurosparse.errors import InputError, MissingError


def test_every_column_comes_back(write_nwb):
    path = write_nwb(
        trials([2.0, 0.0, 1.0], [2.0, 5.0, 1.5], image=[3, 1, 2], label=["a", "b", "c"], ok=[1.0, 0.0, 1.0])
    )
    with open_nwb(path) as recording:
        frame = recording.intervals("trials")
        np.testing.assert_array_equal(recording.intervals("intervals/trials"), frame)
    assert list(frame.columns) == ["start_time", "stop_time", "image", "label", "ok"]
    np.testing.assert_array_equal(frame["start_time"], [2.0, 0.0, 1.0])  # unsorted, nested and empty rows stay
    assert frame["label"].tolist() == ["a", "b", "c"]
    assert frame["image"].dtype == np.int64
    assert frame.index.name == "id"


def test_ragged_cells_hold_arrays(write_nwb):
    def build(nwbfile):
        nwbfile.add_epoch(0.0, 1.0, ["sleep", "dark"])
        nwbfile.add_epoch(1.0, 2.0, ["wake"])

    with open_nwb(write_nwb(build)) as recording:
        frame = recording.intervals("epochs")
    assert [list(cell) for cell in frame["tags"]] == [["sleep", "dark"], ["wake"]]


def test_bytes_are_text(write_nwb):
    path = write_nwb(units([[0.1]]), trials([0.0, 1.0], label=["a", "b"]))
    replace(path, "intervals/trials/label", np.array([b"gr\xc3\xa4y", b"b"], dtype="S8"))
    with open_nwb(path) as recording:
        assert recording.intervals()["label"].tolist() == ["gräy", "b"]
        x = recording.spikes(align="trials", reduce="sum", stimulus="label")
    assert x["stimulus"].values.tolist() == ["gräy", "b"]


def test_a_table_anywhere_is_found_by_name_or_path(write_nwb):
    def build(nwbfile):
        table = pynwb.epoch.TimeIntervals(name="licks", description="d")
        table.add_row(start_time=1.0, stop_time=2.0)
        nwbfile.create_processing_module("behavior", "b").add(table)

    with open_nwb(write_nwb(build)) as recording:
        assert recording.intervals("licks")["start_time"].tolist() == [1.0]
        assert recording.intervals("processing/behavior/licks").shape == (1, 2)
        with pytest.raises(MissingError, match="no interval table 'trials' .*'processing/behavior/licks'"):
            recording.intervals()


def test_a_column_called_stimulus_serves_unless_another_is_named(write_nwb):
    path = write_nwb(units([[0.1]]), trials([0.0, 1.0], stimulus=["x", "y"], image=[7, 8]))
    with open_nwb(path) as recording:
        own = recording.spikes(align="trials", reduce="sum")
        other = recording.spikes(align="trials", reduce="sum", stimulus="image")
        named = recording.spikes(align="trials", reduce="sum", stimulus="stimulus")
    assert own["stimulus"].values.tolist() == ["x", "y"]
    assert named["stimulus"].values.tolist() == ["x", "y"]
    assert set(named.coords) == set(own.coords)
    assert other["stimulus"].values.tolist() == [7, 8]
    assert other["trials_stimulus"].values.tolist() == ["x", "y"]


def test_ragged_columns_are_no_coords_and_reported(write_nwb):
    def build(nwbfile):
        nwbfile.add_trial_column("licks", "times", index=True)
        nwbfile.add_trial(start_time=0.0, stop_time=1.0, licks=[0.1, 0.2])
        nwbfile.add_trial(start_time=1.0, stop_time=2.0, licks=[1.1])

    with open_nwb(write_nwb(units([[0.1]]), build)) as recording:
        x = recording.spikes(align="trials", reduce="sum")
        with pytest.raises(InputError, match="'licks' .* must hold one value a row to name the stimulus"):
            recording.spikes(align="trials", reduce="sum", stimulus="licks")
        with pytest.raises(InputError, match="'licks' .* it holds lists"):
            recording.spikes(align=("trials", "licks"), window=(0, 1), reduce="sum")
        assert [list(cell) for cell in recording.intervals()["licks"]] == [[0.1, 0.2], [1.1]]
    assert "licks" not in x.coords
    assert population.provenance(x)["chosen"]["trials_columns_left_out"] == ["licks"]


def test_rows_that_stop_before_they_start_need_a_window(write_nwb):
    path = write_nwb(units([[0.1]]), trials([0.0, 0.5], [1.0, 0.2]))
    with open_nwb(path) as recording:
        with pytest.raises(InputError, match="1 of 2 rows of 'intervals/trials' stop before they start"):
            recording.spikes(align="trials", reduce="sum")
        np.testing.assert_array_equal(recording.spikes(align="trials", window=(0, 0.5), reduce="sum")[:, 0], [1, 0])


def test_no_row_to_align_to(write_nwb):
    path = write_nwb(units([[0.1]]), trials([0.0, 1.0], go=[np.nan, np.nan]))
    with open_nwb(path) as recording, pytest.raises(InputError, match="no row .* has a finite 'go' .*2 rows"):
        recording.spikes(align=("trials", "go"), window=(0, 1), reduce="sum")
