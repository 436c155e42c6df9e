"""Types of extensions that are read without them: binned spikes (row 14) and the events of ndx-events before 0.4."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import h5py
import numpy as np
import pynwb
import pytest
from nwb_parts import trials, units

from neurosparse import open_nwb, population
from neurosparse.errors import DataWarning, FileError, InputError, MissingError
from neurosparse.recordings import report_of

COUNTS = np.arange(2 * 3 * 4).reshape(2, 3, 4)  # (unit, event, bin)
EVENTS = [0.25, 5.0, 12.25]
TEXT = {"doc": "d", "dtype": "text"}
CODED = [
    {"name": "timestamps", "dtype": "float32", "shape": [None], "dims": ["n"], "doc": "d"},
    {
        "name": "data",
        "dtype": "uint8",
        "shape": [None],
        "dims": ["n"],
        "doc": "d",
        "attributes": [{"name": "labels", "shape": [None], "dims": ["k"], **TEXT}],
    },
]
# What files of these extensions keep of their schemas, as far as it is used here.
SCHEMAS: dict[str, list[dict[str, Any]]] = {
    "ndx-events": [
        {"neurodata_type_def": "Events", "neurodata_type_inc": "NWBDataInterface", "doc": "d", "datasets": CODED[:1]},
        {"neurodata_type_def": "LabeledEvents", "neurodata_type_inc": "Events", "doc": "d", "datasets": CODED[1:]},
        {"neurodata_type_def": "TTLs", "neurodata_type_inc": "LabeledEvents", "doc": "d"},
        {"neurodata_type_def": "AnnotatedEventsTable", "neurodata_type_inc": "DynamicTable", "doc": "d"},
    ],
    "ndx-binned-spikes": [
        {
            "neurodata_type_def": kind,
            "neurodata_type_inc": "NWBDataInterface",
            "doc": "d",
            "attributes": [
                {"name": name, "dtype": "float64", "required": False, "doc": "d"}
                for name in ("bin_width_in_ms", "event_to_bin_offset_in_ms", "start_time_in_ms")
            ],
            "datasets": [
                {"name": name, "dtype": dtype, "quantity": "?", "doc": "d", "shape": shape}
                for name, dtype, shape in (
                    ("data", "numeric", [None] * (2 if kind == "BinnedSpikes" else 3)),
                    ("event_timestamps", "float64", [None]),
                    ("condition_indices", "uint64", [None]),
                    ("condition_labels", "text", [None]),
                )
            ]
            + [{"name": "units_region", "neurodata_type_inc": "DynamicTableRegion", "quantity": "?", "doc": "d"}],
        }
        for kind in ("BinnedAlignedSpikes", "BinnedSpikes")
    ],
}


def put(file: h5py.File, place: str, namespace: str, kind: str, **facts: Any) -> h5py.Group:
    """A thing of an extension: numbers become attributes, lists datasets."""
    group = file.create_group(place)
    group.attrs.update({"namespace": namespace, "neurodata_type": kind, "object_id": place, "description": "d"})
    for name, value in facts.items():
        if np.ndim(value):
            group[name] = value
        else:
            group.attrs[name] = value
    return group


def binned(file: h5py.File, place: str, kind: str = "BinnedAlignedSpikes", rows: Any = (2, 0), **facts: Any) -> None:
    group = put(file, place, "ndx-binned-spikes", kind, **facts)
    if rows is not None:
        region = group.create_dataset("units_region", data=list(rows))
        region.attrs.update({"neurodata_type": "DynamicTableRegion", "namespace": "hdmf-common", "description": "d"})
        region.attrs.update({"table": file["units"].ref, "object_id": f"{place}/units_region"})


def coded(file: h5py.File, place: str, kind: str, codes: list[int], labels: list[str]) -> None:
    group = put(file, place, "ndx-events", kind, timestamps=[0.1, 0.2, 1.2], data=np.array(codes, np.uint8))
    group["data"].attrs["labels"] = labels


def annotated(file: h5py.File, place: str) -> None:
    """Two kinds of events, of three times and one; a column of a value an event, and one of lists of other lengths."""
    group = put(file, place, "ndx-events", "AnnotatedEventsTable")
    ragged = {
        "event_times": ([1.0, 2.0, 3.0, 0.5], [3, 4]),
        "side": (["l", "r", "l", "r"], [3, 4]),
        "notes": (["a", "b"], [0, 2]),
    }
    plain = {"id": [0, 1], "label": ["lick", "push"], "extra": [4, 5]}
    group.attrs["colnames"] = [*ragged, "label", "extra"]
    for name, (values, ends) in ragged.items():
        group[name], group[f"{name}_index"] = values, np.array(ends, np.uint8)
        group[f"{name}_index"].attrs.update({"target": group[name].ref, "description": "d"})
    for name, values in plain.items():
        group[name] = values
    for name, column in group.items():
        kind = "VectorIndex" if name.endswith("_index") else "ElementIdentifiers" if name == "id" else "VectorData"
        column.attrs.update({"neurodata_type": kind, "namespace": "hdmf-common", "object_id": f"{place}/{name}"})
        column.attrs["description"] = "d"


def keep_schemas(file: h5py.File, kept: bool) -> None:
    """Put the schemas into the file, as writers do by default, or let it hold none."""
    if not kept:
        del file["specifications"]
        return
    for name, groups in SCHEMAS.items():
        about = {"name": name, "version": "0.1.0", "doc": "d", "author": ["a"], "contact": ["c"]}
        about["schema"] = [{"namespace": "core"}, {"source": f"{name}.extensions"}]
        place = file["specifications"].create_group(f"{name}/0.1.0")
        place["namespace"] = json.dumps({"namespaces": [about]})
        place[f"{name}.extensions"] = json.dumps({"groups": groups})


def opened(path: Any) -> Any:
    """The recording of a file that pynwb cannot read without an extension."""
    with pytest.warns(DataWarning, match="ndx-binned-spikes"):
        return open_nwb(path)


@pytest.fixture(scope="module", params=[True, False], ids=["schemas kept", "h5py alone"])
def recording(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A file of two extensions; pynwb makes classes of schemas that are kept, and cannot read it without."""
    nwbfile = pynwb.NWBFile("a test", "test-file", datetime(2024, 1, 1, tzinfo=UTC), session_id="s1")
    for build in (units([[0.15], [0.3], [1.3, 1.4]], ids=[5, 6, 7], quality=["good", "noise", "good"]), trials([0.0])):
        build(nwbfile)
    path = tmp_path_factory.mktemp("extensions") / "session.nwb"
    with pynwb.NWBHDF5IO(path, "w") as io:
        io.write(nwbfile)
    with h5py.File(path, "r+") as file:
        facts = {"bin_width_in_ms": 10.0, "event_to_bin_offset_in_ms": -20.0, "event_timestamps": EVENTS}
        facts |= {"condition_indices": np.array([1, 0, 1], np.uint64), "condition_labels": ["face", "house"]}
        binned(file, "acquisition/psth", data=COUNTS, **facts)
        whole = {"data": COUNTS[:, 0] * 0.5, "bin_width_in_ms": 500.0, "start_time_in_ms": 1000.0}
        binned(file, "acquisition/whole", "BinnedSpikes", rows=None, **whole)
        put(file, "acquisition/licks", "ndx-events", "Events", timestamps=[0.5, 1.2])
        coded(file, "acquisition/rewards", "LabeledEvents", [0, 2, 9], ["none", "", "full"])
        coded(file, "acquisition/ttl", "TTLs", [1, 0, 1], ["off", "on"])
        annotated(file, "acquisition/annotated")
        keep_schemas(file, request.param)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", DataWarning)
        told = open_nwb(path)
    said = [str(one.message) for one in said]
    missing = "uses the NWB extensions ndx-events, ndx-binned-spikes, which are not installed"
    assert any(missing in text for text in said) != request.param
    assert told.report.chosen["reader"].startswith("pynwb" if request.param else "h5py")
    with told:
        yield told


def test_row_14_binned_spikes_are_listed_and_come_with_their_events_units_and_conditions(recording):
    row = recording.contents.set_index("path").loc["acquisition/psth"]
    assert (row["kind"], row["shape"], row["rate"], row["count"]) == ("binned", (2, 3, 4), 100.0, 2)
    assert (row["start"], row["stop"]) == pytest.approx((0.23, 12.27))
    assert "binned spikes  ->  recording.spikes(table=)\n" in repr(recording)
    assert "2 units, 4 bins of 0.01 s around 3 events; 0.23 to 12.27 s" in repr(recording)
    x = recording.spikes(table="psth")
    counted = recording.spikes(bin_width=0.1)
    assert x.dims == ("trial", "time", "unit")
    np.testing.assert_array_equal(x, COUNTS.transpose(1, 2, 0))
    assert x.dtype == np.uint16
    np.testing.assert_allclose(x["time"], [-0.015, -0.005, 0.005, 0.015])
    np.testing.assert_array_equal(x["start_time"], EVENTS)
    assert x["stimulus"].values.tolist() == ["house", "face", "house"]
    assert (x["unit_id"].values.tolist(), x["quality"].values.tolist()) == ([7, 5], ["good", "good"])
    assert (x.attrs["kind"], x.attrs["quantity"], x.attrs["units"]) == ("spikes", "spike count", "1")
    assert x.attrs["bin_width"] == 0.01
    assert report_of(x).chosen["counted_by"] == "the file"
    assert report_of(x).found["binned"] == 2
    assert counted.sizes["unit"] == 3, "the units table goes before the counts"
    np.testing.assert_array_equal(population.average(x)["n_repeats"], [1, 2])


def test_row_14_binned_spikes_are_reduced_and_chosen_from(recording):
    total = recording.spikes(table="psth", reduce="sum")
    mean = recording.spikes(table="psth", reduce="mean", bin_width=0.01)
    rate = recording.spikes(table="psth", reduce="rate")
    rates = recording.spikes(table="psth", quantity="rate")
    one = recording.spikes(table="psth", units=[5], stimulus="timestamp")
    good = recording.spikes(table="psth", units="good")
    np.testing.assert_array_equal(total, COUNTS.sum(2).T)
    assert total.dtype == np.uint16
    np.testing.assert_allclose(mean, COUNTS.mean(2).T)
    np.testing.assert_allclose(rate, COUNTS.sum(2).T / 0.04)
    np.testing.assert_allclose(rates, COUNTS.transpose(1, 2, 0) / 0.01)
    assert [x.attrs["units"] for x in (total, mean, rate, rates)] == ["1", "1", "Hz", "Hz"]
    np.testing.assert_array_equal(one[..., 0], COUNTS[1])
    assert one["stimulus"].values.tolist() == EVENTS
    assert good.sizes["unit"] == 2


def test_row_14_binned_spikes_over_the_session(recording):
    x = recording.spikes(table="whole")
    with pytest.raises(InputError, match="over the session: there are no trials for reduce= or stimulus="):
        recording.spikes(table="whole", reduce="sum")
    np.testing.assert_array_equal(x, COUNTS[:, 0].T * 0.5)
    np.testing.assert_allclose(x["time"], [1.25, 1.75, 2.25, 2.75])
    assert x["unit"].values.tolist() == [0, 1]
    assert any("units of 'acquisition/whole' are numbered" in text for text in report_of(x).assumed)


def test_row_14_what_needs_spike_times_is_refused(recording):
    with pytest.raises(InputError, match=r"counted already, in bins of 0.01 s: align, window, min_rate would need"):
        recording.spikes(table="psth", align="trials", window=(0, 1), min_rate=1.0)
    with pytest.raises(InputError, match="in bins of 0.01 s; got bin_width=0.02"):
        recording.spikes(table="psth", bin_width=0.02)
    with pytest.raises(InputError, match="quantity must be 'count' or 'rate'; got 'share'"):
        recording.spikes(table="psth", quantity="share")
    with pytest.raises(InputError, match="reduce must be one of sum, mean, rate; got 'max'"):
        recording.spikes(table="psth", reduce="max")
    with pytest.raises(MissingError, match="there is no units table 'psth'"):
        recording.quality(table="psth")


def test_row_14_counts_alone_are_taken_unasked_and_several_are_listed(write_nwb):
    path = write_nwb()
    facts = {"data": COUNTS, "bin_width_in_milliseconds": 10.0, "timestamps": EVENTS}
    with h5py.File(path, "r+") as file:
        binned(file, "acquisition/old", rows=None, milliseconds_from_event_to_first_bin=30.0, **facts)
    with opened(path) as recording:
        x = recording.spikes()
    np.testing.assert_array_equal(x, COUNTS.transpose(1, 2, 0))
    np.testing.assert_allclose(x["time"], [0.035, 0.045, 0.055, 0.065])
    assert "stimulus" not in x.coords
    with h5py.File(path, "r+") as file:
        binned(file, "acquisition/other", rows=None, **facts)
    with opened(path) as recording:
        message = "2 binned-spikes tables: acquisition/old, acquisition/other. Choose one by table="
        with pytest.raises(InputError, match=message):
            recording.spikes()


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        (
            {"bin_width_in_ms": 10.0, "event_timestamps": EVENTS[:2]},
            r"must be \(unit, event, bin\) with 2 events; got shape",
        ),
        ({"bin_width_in_ms": 10.0}, r"must be \(unit, bin\); got shape \(2, 3, 4\)"),
        ({"event_timestamps": EVENTS}, "must state the width of its bins, bin_width_in_ms or .*; got nan"),
        ({"bin_width_in_ms": 0.0, "event_timestamps": EVENTS}, "must state the width of its bins, .*; got 0"),
    ],
)
def test_row_14_counts_that_break_their_schema_are_refused_and_the_rest_of_the_file_opens(write_nwb, facts, message):
    path = write_nwb(units([[0.1]]))
    with h5py.File(path, "r+") as file:
        binned(file, "acquisition/psth", rows=None, data=COUNTS, **facts)
    with opened(path) as recording:
        assert "acquisition/psth" in repr(recording)
        assert recording.spikes(bin_width=1.0).sizes["unit"] == 1
        with pytest.raises(FileError, match=message):
            recording.spikes(table="psth")


def test_older_events_align_by_their_time_stamps(recording):
    kinds = recording.contents.set_index("path")["kind"]
    assert (kinds[["acquisition/licks", "acquisition/rewards", "acquisition/annotated"]] == "events").all()
    licks = recording.spikes(align="licks", window=(0, 0.5), reduce="sum")
    rewards = recording.spikes(align="rewards", window=(0, 0.1), reduce="sum", stimulus="label")
    frame = recording.intervals("ttl")
    np.testing.assert_array_equal(licks, [[0, 0, 0], [0, 0, 2]])
    np.testing.assert_array_equal(licks["start_time"], [0.5, 1.2])
    np.testing.assert_array_equal(rewards, [[1, 0, 0], [0, 0, 0], [0, 0, 0]])
    assert rewards["stimulus"].values.tolist() == ["none", "full", ""]
    assert rewards["data"].values.tolist() == [0, 2, 9]
    assert frame["label"].tolist() == ["on", "off", "on"]


def test_older_events_of_several_kinds_are_one_a_row(recording):
    x = recording.spikes(align="annotated", window=(-0.5, 0.5), reduce="sum")
    frame = recording.intervals("annotated")
    np.testing.assert_array_equal(frame["timestamp"], [1.0, 2.0, 3.0, 0.5])
    assert frame["label"].tolist() == ["lick", "lick", "lick", "push"]
    assert frame["extra"].tolist() == [4, 4, 4, 5]
    assert frame["side"].tolist() == ["l", "r", "l", "r"]
    assert [list(cell) for cell in frame["notes"]] == [[], [], [], ["a", "b"]]
    np.testing.assert_array_equal(x, [[0, 0, 2], [0, 0, 0], [0, 0, 0], [1, 1, 0]])
    assert population.select(x, "label == 'push'")["start_time"].values.tolist() == [0.5]
    assert "notes" not in x.coords
