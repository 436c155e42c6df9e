"""Quirks of interval tables: any place, any order, ragged and typed columns, events, parameters kept as text."""

from __future__ import annotations

from typing import Any

import h5py
import numpy as np
import pynwb
import pytest
from hdmf.common import DynamicTable, VectorData
from nwb_parts import replace, rois, series, trials, units

from neurosparse import open_nwb, population
from neurosparse.errors import DataWarning, InputError, MissingError
from neurosparse.recordings import raw
from neurosparse.recordings.tables import parse_numbers

SPIKES = units([[0.1, 0.2, 1.5, 2.5, 3.5]])


def events(**columns: Any) -> Any:
    """The core events table of schema 2.11, in acquisition."""

    def build(nwbfile: pynwb.NWBFile) -> None:
        table = pynwb.event.EventsTable(name="licks", description="d")
        for name in columns:
            if name not in ("timestamp", "duration"):
                table.add_column(name=name, description="d")
        for i in range(len(columns["timestamp"])):
            table.add_event(**{name: values[i] for name, values in columns.items()})
        nwbfile.add_acquisition(table)

    return build


def test_row_24_tables_anywhere_are_found_and_listed(write_nwb):
    def places(nwbfile: pynwb.NWBFile) -> None:
        nwbfile.add_epoch(0.0, 2.0, ["a"])
        nwbfile.add_invalid_time_interval(start_time=0.5, stop_time=0.6)
        module = nwbfile.create_processing_module("behavior", "b")
        for name, add in (
            ("gratings_presentations", nwbfile.add_time_intervals),
            ("optotagging", nwbfile.add_stimulus),
            ("reaches", module.add),
        ):
            table = pynwb.epoch.TimeIntervals(name=name, description="d")
            table.add_row(start_time=1.0, stop_time=2.0)
            add(table)

    expected = {
        "intervals/epochs",
        "intervals/invalid_times",
        "intervals/gratings_presentations",
        "stimulus/presentation/optotagging",
        "processing/behavior/reaches",
    }
    with open_nwb(write_nwb(SPIKES, places)) as recording:
        table = recording.contents
        assert set(table["path"][table["kind"] == "intervals"]) == expected
        for path in expected - {"intervals/epochs", "intervals/invalid_times"}:
            np.testing.assert_array_equal(recording.spikes(align=path, reduce="sum"), [[1]])
            np.testing.assert_array_equal(recording.spikes(align=path.rpartition("/")[2], reduce="sum"), [[1]])
        with pytest.raises(MissingError) as error:
            recording.intervals("trials")
    assert all(path in str(error.value) for path in expected)


def test_row_24_any_table_with_starts_and_stops_is_one_of_intervals(write_nwb):
    """As writers that knew no TimeIntervals kept their bouts; with starts alone it is none."""

    def bouts(nwbfile: pynwb.NWBFile) -> None:
        module = nwbfile.create_processing_module("behavior", "b")
        for name, columns in (("bouts", ["start_time", "stop_time"]), ("onsets", ["start_time", "speed"])):
            module.add(
                DynamicTable(
                    name=name, description="d", columns=[VectorData(name=one, description="d") for one in columns]
                )
            )
        module["bouts"].add_row(start_time=0.0, stop_time=1.0)
        module["bouts"].add_row(start_time=1.0, stop_time=3.0)
        module["onsets"].add_row(start_time=0.0, speed=2.0)

    path = write_nwb(SPIKES, bouts)
    with h5py.File(path) as file:
        listed = [(part.path, part.group) for part in raw.parts(file)]
    assert listed == [("processing/behavior/bouts", "intervals"), ("units", "units")], "as h5py alone finds them"
    with open_nwb(path) as recording:
        kinds = recording.contents.set_index("path")["kind"]
        assert kinds.to_dict() == dict(listed)
        np.testing.assert_array_equal(recording.spikes(align="bouts", reduce="sum")[:, 0], [2, 2])
        assert recording.intervals("bouts")["stop_time"].tolist() == [1.0, 3.0]


def test_row_25_rows_stay_rows_whatever_they_do_to_each_other(write_nwb):
    starts, stops = [2.0, 0.0, 0.0, 0.1, 1.0, 1.0], [3.0, 3.0, 1.0, 0.15, 1.0, np.nan]
    go = [2.0, np.nan, 0.0, 0.1, np.nan, 1.0]
    with open_nwb(write_nwb(SPIKES, trials(starts, stops, go=go))) as recording:
        np.testing.assert_array_equal(recording.intervals()["start_time"], starts)
        np.testing.assert_array_equal(recording.intervals()["stop_time"], stops)
        x = recording.spikes(align="trials", window=(0, 1), reduce="sum")
        np.testing.assert_array_equal(x[:, 0], [1, 2, 2, 2, 1, 1])
        np.testing.assert_array_equal(x["trial"], np.arange(6))
        with pytest.warns(DataWarning, match="1 of 6 rows of 'intervals/trials' have no finite 'start_time'"):
            own = recording.spikes(align="trials", reduce="sum")
        np.testing.assert_array_equal(own[:, 0], [1, 4, 2, 1, 0])
        with pytest.warns(DataWarning, match="2 of 6 rows of 'intervals/trials' have no finite 'go' and are dropped"):
            gone = recording.spikes(align=("trials", "go"), window=(0, 1), reduce="sum")
    np.testing.assert_array_equal(gone["trial"], [0, 2, 3, 5])
    np.testing.assert_array_equal(gone[:, 0], [1, 2, 2, 1])
    assert any("2 of 6 rows" in text for text in population.provenance(gone)["warned"])


def test_row_26_ragged_and_reference_columns_are_reached_by_name_alone(write_nwb):
    def build(nwbfile: pynwb.NWBFile) -> None:
        signal = pynwb.TimeSeries(name="speed", data=np.arange(4.0), unit="m", rate=1.0)
        nwbfile.add_acquisition(signal)
        nwbfile.add_epoch(0.0, 1.0, ["sleep", "dark"], [signal])
        nwbfile.add_epoch(1.0, 3.0, [], [signal])

    with open_nwb(write_nwb(SPIKES, build)) as recording:
        frame = recording.intervals("epochs")
        x = recording.spikes(align="epochs", reduce="sum")
        np.testing.assert_array_equal(x[:, 0], [2, 2])
    assert [list(cell) for cell in frame["tags"]] == [["sleep", "dark"], []]
    assert "timeseries" in frame.columns
    assert not {"tags", "timeseries"} & set(x.coords)
    assert population.provenance(x)["chosen"]["epochs_columns_left_out"] == ["tags", "timeseries"]


def test_row_27_parameters_kept_as_text_are_numbers_where_all_are(write_nwb):
    path = write_nwb(
        SPIKES,
        trials(
            [0.0, 1.0, 2.0],
            phase=["null", "0.25", "1e-1"],
            size=["[250.0, 250.0]", "[250.0, 250.0]", "null"],
            code=["007", "12", "3"],
            nothing=["null", "", "null"],
            image_name=["1", "2", "3"],
            contrast=["0.8", "1", "-.5"],
        ),
    )
    with open_nwb(path) as recording:
        frame = recording.intervals()
        x = recording.spikes(align="trials", reduce="sum")
        assert frame["size"].tolist() == ["[250.0, 250.0]", "[250.0, 250.0]", "null"]
        assert frame["code"].tolist() == ["007", "12", "3"]
        assert population.select(x, "phase < 0.2")["trial"].values.tolist() == [2]
    np.testing.assert_array_equal(frame["phase"], [np.nan, 0.25, 0.1])
    np.testing.assert_array_equal(x["contrast"], [0.8, 1.0, -0.5])
    assert x["phase"].dtype == np.float64
    assert (x["nothing"].values.tolist(), x["image_name"].values.tolist()) == (["null", "", "null"], ["1", "2", "3"])
    assert population.provenance(x)["chosen"]["trials_columns_parsed"] == ["phase", "contrast"]


@pytest.mark.parametrize("text", ["", ".", "e5", "1e", "0x1", "inf", "1 2", "1,5", "--1", "00.5"])
def test_row_27_what_is_no_plain_number_stays_text(text):
    values = np.array(["1.5", text])
    parsed = parse_numbers(values)
    if text == "":
        np.testing.assert_array_equal(parsed, [1.5, np.nan])
    else:
        assert parsed is values


def test_row_28_flags_stay_integers_and_bytes_become_text(write_nwb):
    path = write_nwb(SPIKES, trials([0.0, 1.0], is_good=[1, 0], response=["hit", "miss"]))
    replace(path, "intervals/trials/response", np.array([b"HitL", b"NoLickR\xc3\xa9"], dtype="S12"))
    with open_nwb(path) as recording:
        x = recording.spikes(align="trials", reduce="sum")
    assert x["is_good"].dtype == np.int64
    assert x["is_good"].values.tolist() == [1, 0]
    assert x["response"].values.tolist() == ["HitL", "NoLickRé"]
    assert population.select(x, "is_good == 1").sizes["trial"] == 1


def test_row_31_the_core_events_table_aligns_by_its_time_stamps(write_nwb):
    table = events(timestamp=[2.0, 0.0, 1.0], duration=[0.5, np.nan, 1.0], side=["l", "r", "l"])
    dff = rois(np.arange(80.0).reshape(40, 2), 2)
    with open_nwb(write_nwb(SPIKES, dff, table)) as recording:
        row = recording.contents.set_index("path").loc["acquisition/licks"]
        assert (row["kind"], row["count"], row["start"], row["stop"]) == ("events", 3, 0.0, 2.0)
        frame = recording.intervals("licks")
        x = recording.spikes(align="licks", window=(0, 1), reduce="sum", stimulus="side")
        traces = recording.calcium(align=("licks", "timestamp"), window=(0, 0.2))
        with pytest.warns(DataWarning, match="1 of 3 rows of 'acquisition/licks' have no finite 'timestamp'"):
            own = recording.spikes(align="licks", reduce="sum")
    assert frame.columns.tolist() == ["timestamp", "side", "duration"]
    np.testing.assert_array_equal(x[:, 0], [1, 2, 1])
    np.testing.assert_array_equal(x["start_time"], [2.0, 0.0, 1.0])
    np.testing.assert_array_equal(x["timestamp"], x["start_time"])
    np.testing.assert_array_equal(x["stop_time"], [2.5, np.nan, 2.0])
    assert x["stimulus"].values.tolist() == ["l", "r", "l"]
    np.testing.assert_array_equal(own["trial"], [0, 2])
    np.testing.assert_array_equal(own[:, 0], [0, 1])  # 2.5 is left out, 1.5 is in
    assert traces.shape == (3, 2, 2)


def test_row_31_any_table_of_time_stamps_is_a_table_of_events(write_nwb):
    """As ndx-events writes them: a DynamicTable of another type, with a column `timestamp`."""

    def build(nwbfile: pynwb.NWBFile) -> None:
        stamps = VectorData(name="timestamp", description="d", data=[1.0, 0.0])
        kinds = VectorData(name="kind", description="d", data=["a", "b"])
        module = nwbfile.create_processing_module("events", "e")
        module.add(DynamicTable(name="ttl", description="d", columns=[stamps, kinds]))

    with open_nwb(write_nwb(SPIKES, build)) as recording:
        x = recording.spikes(align="ttl", window=(0, 1), reduce="sum")
        with pytest.raises(InputError, match="'processing/events/ttl' have no extent of their own.*Give window="):
            recording.spikes(align="ttl", reduce="sum")
    np.testing.assert_array_equal(x[:, 0], [1, 2])
    assert x["kind"].values.tolist() == ["a", "b"]
    assert "stop_time" not in x.coords


def test_a_series_with_a_sample_a_row_is_not_taken_for_events(write_nwb):
    rates = series("rates", np.arange(6.0).reshape(3, 2), timestamps=[0.0, 1.0, 2.0])
    with open_nwb(write_nwb(rates, trials([0.0, 1.0, 2.0]), events(timestamp=[0.0, 1.0, 2.0]))) as recording:
        assert recording.series("rates").dims == ("trial", "unit")
