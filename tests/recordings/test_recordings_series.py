"""Any time series as a population: over time, or one vector a trial where its samples are the rows of a table."""

import h5py
import numpy as np
import pynwb
import pytest
from nwb_parts import series, trials

from neurosparse import open_nwb, population
from neurosparse.errors import DataWarning, FileError, InputError, MissingError

STARTS = np.array([0.0, 0.5, 1.0, 2.5])
VALUES = np.arange(12).reshape(4, 3).astype(np.uint8)


def test_one_sample_a_start_time_is_the_trials_vector(write_nwb):
    path = write_nwb(trials(STARTS, image=[4, 2, 4, 0]), series("spike_counts", VALUES, timestamps=STARTS))
    with open_nwb(path) as recording:
        x = recording.series("spike_counts", stimulus="image")
        named = recording.series("spike_counts", align="trials", stimulus="image", units=[2, 0])
        assert "one sample a row of intervals/trials" in repr(recording)
    assert x.dims == ("trial", "unit")
    np.testing.assert_array_equal(x, VALUES)
    np.testing.assert_array_equal(x["stimulus"], [4, 2, 4, 0])
    np.testing.assert_array_equal(x["start_time"], STARTS)
    np.testing.assert_array_equal(named, VALUES[:, [2, 0]])
    assert (x.attrs["kind"], x.attrs["quantity"], x.attrs["units"]) == ("spikes", "spike count", "1")
    assert population.provenance(x)["chosen"]["one_sample_a_row"] is True


def test_one_sample_inside_each_row_is_the_trials_vector_too(write_nwb):
    path = write_nwb(trials(STARTS, STARTS + 0.4), series("responses", VALUES, timestamps=STARTS + 0.2))
    with open_nwb(path) as recording:
        assert recording.series("responses").dims == ("trial", "unit")


def test_samples_outside_their_rows_are_over_time(write_nwb):
    path = write_nwb(trials(STARTS, STARTS + 0.4), series("responses", VALUES, timestamps=STARTS + 0.45))
    with open_nwb(path) as recording:
        x = recording.series("responses")
    assert x.dims == ("time", "unit")
    np.testing.assert_array_equal(x["time"], STARTS + 0.45)


def test_a_window_asks_for_time(write_nwb):
    path = write_nwb(trials(STARTS), series("responses", VALUES, timestamps=STARTS))
    with open_nwb(path) as recording:
        x = recording.series("responses", window=(0.4, 2.0))
    assert x.dims == ("time", "unit")
    np.testing.assert_array_equal(x, VALUES[1:3])


def test_two_tables_that_fit_need_a_name(write_nwb):
    def epochs(nwbfile):
        for start in STARTS:
            nwbfile.add_epoch(start, start + 1.0, ["a"])

    path = write_nwb(trials(STARTS), epochs, series("responses", VALUES, timestamps=STARTS))
    with open_nwb(path) as recording:
        with pytest.raises(InputError, match="2 interval tables: intervals/epochs, intervals/trials. Give align="):
            recording.series("responses")
        assert recording.series("responses", align="epochs").attrs["source"].endswith("acquisition/responses")
        assert "2 interval tables" in repr(recording)


def test_equal_start_times_win_over_containment(write_nwb):
    def epochs(nwbfile):
        for start in STARTS:
            nwbfile.add_epoch(start - 0.1, start + 1.0, ["a"])

    path = write_nwb(trials(STARTS), epochs, series("responses", VALUES, timestamps=STARTS))
    with open_nwb(path) as recording:
        x = recording.series("responses")
    assert population.provenance(x)["chosen"]["align"] == "intervals/trials"


def test_a_running_series_is_cut_to_trials(write_nwb):
    running = np.arange(100.0).reshape(50, 2)
    path = write_nwb(trials([1.0, 2.0]), series("lfp", running, rate=10.0))
    with open_nwb(path) as recording:
        x = recording.series("lfp", align="trials", window=(-0.2, 0.2))
        mean = recording.series("lfp", align="trials", window=(0, 0.5), reduce="mean")
    np.testing.assert_array_equal(x, [running[8:12], running[18:22]])
    np.testing.assert_allclose(mean, [running[10:15].mean(0), running[20:25].mean(0)])
    assert "kind" not in x.attrs
    assert x.attrs["units"] == "a.u."


def test_a_signal_is_a_population_of_one(write_nwb):
    path = write_nwb(series("speed", np.arange(5.0), rate=2.0))
    with open_nwb(path) as recording:
        x = recording.series("speed")
    np.testing.assert_array_equal(x.values, np.arange(5.0)[:, None])
    assert x["unit"].values.tolist() == ["speed"]
    np.testing.assert_array_equal(x["time"], np.arange(5) / 2)


@pytest.mark.parametrize("conversion", [2.0, 1.0])
def test_electrodes_give_their_areas(write_nwb, conversion):
    def build(nwbfile):
        group = nwbfile.create_electrode_group("g", "g", location="x", device=nwbfile.create_device("probe"))
        for location in ("V1", "V4", "IT"):
            nwbfile.add_electrode(group=group, location=location)
        region = nwbfile.create_electrode_table_region([2, 0], "two")
        data = np.arange(20.0).reshape(10, 2)
        nwbfile.add_acquisition(
            pynwb.ecephys.ElectricalSeries(
                name="lfp",
                data=data,
                electrodes=region,
                rate=5.0,
                channel_conversion=[1.0, 10.0],
                conversion=conversion,
            )
        )

    with open_nwb(write_nwb(build, trials([0.6]))) as recording:
        x = recording.series("lfp")
        window = recording.series("lfp", align="trials", window=(0, 0.2))
    assert x["area"].values.tolist() == ["IT", "V1"]
    np.testing.assert_array_equal(x["unit_id"], [2, 0])
    np.testing.assert_allclose(x[3], [6 * conversion, 70 * conversion])
    np.testing.assert_array_equal(window[0, 0], x[3])


def test_names_that_are_missing_or_shared_are_said(write_nwb):
    def build(nwbfile):
        for module in ("a", "b"):
            one = nwbfile.create_processing_module(module, module)
            one.add(pynwb.TimeSeries(name="x", data=np.zeros(3), unit="1", rate=1.0))

    with open_nwb(write_nwb(build)) as recording:
        with pytest.raises(MissingError, match="no series 'y' in session.nwb; there are: 'processing/a/x'"):
            recording.series("y")
        with pytest.raises(InputError, match="2 parts of session.nwb are called 'x': processing/a/x, processing/b/x"):
            recording.series("x")
        assert recording.series("b/x").shape == (3, 1)
        with pytest.raises(InputError, match="stimulus='image' needs align="):
            recording.series("b/x", stimulus="image")


def test_three_axes_are_refused(write_nwb):
    path = write_nwb(series("cube", np.zeros((4, 2, 2)), rate=1.0))
    message = r"one axis of time and one of units; its values have shape \(4, 2, 2\)"
    with open_nwb(path) as recording, pytest.raises(InputError, match=message):
        recording.series("cube")


def test_a_series_without_a_clock_is_refused(write_nwb):
    path = write_nwb(series("speed", np.arange(5.0), rate=2.0))
    with open_nwb(path) as recording:
        recording.series("speed")
    with h5py.File(path, "r+") as file:
        file["acquisition/speed/starting_time"].attrs["rate"] = 0.0
    with pytest.warns(DataWarning, match="pynwb says of session.nwb: Timeseries has a rate of 0.0 Hz"):
        recording = open_nwb(path)
    assert "! Timeseries has a rate of 0.0 Hz" in repr(recording)
    with recording, pytest.raises(FileError, match="neither timestamps nor a positive rate"):
        recording.series("speed")
