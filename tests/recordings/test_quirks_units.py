"""Quirks of units tables: what is absent, where they lie, who the units are, what else holds spikes."""

from __future__ import annotations

import warnings
from typing import Any

import h5py
import numpy as np
import pynwb
import pytest
from nwb_parts import replace, rois, series, trials, units

from neurosparse import open_nwb, population
from neurosparse.errors import DataWarning, InputError, MissingError
from neurosparse.recordings import LoadReport
from neurosparse.recordings.presets import as_query

COUNTS = {"align": "trials", "reduce": "sum"}


def table_of(name: str, trains: list[list[float]]) -> Any:
    """A units table in a processing module."""

    def build(nwbfile: pynwb.NWBFile) -> None:
        table = pynwb.misc.Units(name=name, description="d")
        for train in trains:
            table.add_unit(spike_times=train)
        module = nwbfile.processing.get("ecephys") or nwbfile.create_processing_module("ecephys", "e")
        module.add(table)

    return build


def electrodes(*locations: str, ids: list[int] | None = None) -> Any:
    def build(nwbfile: pynwb.NWBFile) -> None:
        group = nwbfile.create_electrode_group("shank", "d", "elsewhere", nwbfile.create_device("probe"))
        for i, location in enumerate(locations):
            nwbfile.add_electrode(location=location, group=group, id=i if ids is None else ids[i])

    return build


def crossings(name: str, times: list[float], at: list[int]) -> Any:
    """Threshold crossings of some electrodes."""

    def build(nwbfile: pynwb.NWBFile) -> None:
        region = nwbfile.create_electrode_table_region(at, "d")
        waveforms = np.zeros((len(times), len(at), 8))
        stored = pynwb.ecephys.SpikeEventSeries(name=name, data=waveforms, timestamps=times, electrodes=region)
        nwbfile.add_acquisition(stored)

    return build


def test_row_01_a_table_without_spike_times_says_what_it_holds_and_what_else_there_is(write_nwb):
    def cells(nwbfile: pynwb.NWBFile) -> None:
        for name in ("cell_id", "pos_x"):
            nwbfile.add_unit_column(name, name)
        nwbfile.add_unit(cell_id=3, pos_x=0.5)

    path = write_nwb(cells, series("rates", np.zeros((4, 2)), rate=1.0))
    message = (
        r"no units table of session.nwb has spike_times: 'units' has cell_id, pos_x. .*"
        r"acquisition/rates \(recording.series\)"
    )
    with open_nwb(path) as recording:
        with pytest.raises(MissingError, match=message):
            recording.spikes(bin_width=0.1)
        assert "has no spike_times" in recording.contents.set_index("path").loc["units", "notes"]
    with (
        open_nwb(write_nwb(series("rates", np.zeros((4, 2)), rate=1.0))) as recording,
        pytest.raises(MissingError, match=r"holds no units table. It holds acquisition/rates \(recording.series\)"),
    ):
        recording.spikes(bin_width=0.1)


def test_row_02_of_several_units_tables_the_one_with_spikes_is_taken_and_others_by_name(write_nwb):
    path = write_nwb(table_of("ground_truth_units", [[0.1], [0.2, 0.3]]), trials([0.0]))
    with open_nwb(path) as recording:
        np.testing.assert_array_equal(recording.spikes(**COUNTS), [[1, 2]])
    path = write_nwb(units([[0.1, 0.2]]), table_of("ground_truth_units", [[0.1], [0.2, 0.3]]), trials([0.0]))
    with open_nwb(path) as recording:
        np.testing.assert_array_equal(recording.spikes(**COUNTS, table="ground_truth_units"), [[1, 2]])
        np.testing.assert_array_equal(recording.spikes(**COUNTS, table="units"), [[2]])
        message = "2 units tables: processing/ecephys/ground_truth_units, units. Choose one by table="
        with pytest.raises(InputError, match=message):
            recording.spikes(**COUNTS)


def test_row_02_a_table_of_metadata_is_no_candidate(write_nwb):
    """As files that keep the sorted units in a module, and in /units no more than their clusters' numbers."""

    def clusters(nwbfile: pynwb.NWBFile) -> None:
        nwbfile.add_unit_column("cluster_id", "c")
        nwbfile.add_unit(cluster_id=3)

    with open_nwb(write_nwb(clusters, table_of("sorted", [[0.1], [0.2, 0.3]]), trials([0.0]))) as recording:
        np.testing.assert_array_equal(recording.spikes(**COUNTS), [[1, 2]])
        with pytest.raises(MissingError, match="'units' has 1 rows but no spike_times; its columns are cluster_id"):
            recording.spikes(**COUNTS, table="units")


def test_row_09_columns_that_are_not_asked_for_are_not_read(write_nwb):
    """Waveforms whose bytes are damaged fail as soon as anything reads them."""

    def build(nwbfile: pynwb.NWBFile) -> None:
        for train in ([0.1, 0.2], [0.3]):
            nwbfile.add_unit(spike_times=train, waveforms=np.ones((len(train), 1, 4)))

    path = write_nwb(build, trials([0.0]))
    with h5py.File(path, "r+") as file:
        values, attrs = file["units/waveforms"][:], dict(file["units/waveforms"].attrs)
        del file["units/waveforms"]
        kept = file["units"].create_dataset("waveforms", data=values, chunks=values.shape, fletcher32=True)
        kept.attrs.update(attrs)
        place = kept.id.get_chunk_info(0).byte_offset
    with open(path, "r+b") as raw:
        raw.seek(place)
        raw.write(b"\x55\x55")
    with h5py.File(path) as file, pytest.raises(OSError, match=r"filter|read"):
        file["units/waveforms"][:]
    with open_nwb(path) as recording:
        np.testing.assert_array_equal(recording.spikes(**COUNTS), [[2, 1]])
        assert "waveforms" in repr(recording)
        assert recording.contents.set_index("path").loc["units", "count"] == 2


def test_row_10_every_scalar_column_is_a_coord_verbatim_and_can_be_asked_for(write_nwb):
    columns = {
        "quality": ["good", "noise", "good"],
        "KSLabel": ["mua", "good", "good"],
        "presence_ratio": [0.99, 0.95, 0.5],
        "is_sua": [True, False, True],
    }
    path = write_nwb(units([[0.1], [0.2], [0.3]], ids=[4, 5, 6], **columns), trials([0.0]))
    with open_nwb(path) as recording:
        x = recording.spikes(**COUNTS)
        for name, values in columns.items():
            assert x[name].values.tolist() == values
        chosen = recording.spikes(**COUNTS, units="quality == 'good' and presence_ratio > 0.9")
        assert chosen["unit_id"].values.tolist() == [4]
        with pytest.raises(MissingError, match=r"isi_violations.*KSLabel.*presence_ratio"):
            recording.spikes(**COUNTS, units="isi_violations < 0.5")


def chosen_by(path: Any, preset: str) -> tuple[list[int], dict[str, Any]]:
    with open_nwb(path) as recording:
        x = recording.spikes(**COUNTS, units=preset)
    return x["unit_id"].values.tolist(), population.provenance(x)["chosen"]


def test_row_10_good_units_by_whatever_column_calls_them_so(write_nwb):
    columns = {"is_sua": [True, True, False], "KSLabel": ["mua", "good", "good"], "quality": ["good", "noise", "good"]}
    path = write_nwb(units([[0.1], [0.2], [0.3]], ids=[4, 5, 6], **columns), trials([0.0]))
    found, chosen = chosen_by(path, "good")
    assert found == [4, 6]
    assert (chosen["units_preset"], chosen["units"], chosen["n_units"]) == ("good", "quality == 'good'", [2, 3])


@pytest.mark.parametrize(
    ("columns", "query"),
    [
        ("is_good is_sua KSLabel quality", "quality == 'good'"),
        ("is_good is_sua KSLabel", "KSLabel == 'good'"),
        ("is_good is_sua", "is_sua == True"),
        ("depth is_good", "is_good == True"),
        ("good quality", "good"),
    ],
)
def test_row_10_a_curators_word_goes_before_the_sorters_and_a_column_before_a_preset(columns, query):
    assert as_query("good", columns.split(), "units", LoadReport()) == query


@pytest.mark.parametrize("ratio", ["isi_violations", "isi_violations_ratio"])
def test_row_10_the_bounds_of_allensdk(write_nwb, ratio):
    """Each unit but the first fails by one measure alone, or has none."""
    columns = {
        "amplitude_cutoff": [0.1, 0.11, 0.0, 0.0, np.nan],
        "presence_ratio": [0.95, 1.0, 0.94, 1.0, 1.0],
        ratio: [0.5, 0.0, 0.0, 0.51, 0.0],
    }
    path = write_nwb(units([[0.1]] * 5, **columns), trials([0.0]))
    found, chosen = chosen_by(path, "allen")
    assert found == [0]
    assert chosen["units"] == f"amplitude_cutoff <= 0.1 and presence_ratio >= 0.95 and {ratio} <= 0.5"
    assert chosen["n_units"] == [1, 5]


def test_row_10_good_rois_too(write_nwb):
    path = write_nwb(rois(np.zeros((4, 3)), 3, columns={"quality": ["good", "noise", "good"]}))
    with open_nwb(path) as recording:
        x = recording.calcium(units="good")
    assert x["quality"].values.tolist() == ["good", "good"]
    chosen = population.provenance(x)["chosen"]
    assert (chosen["units_preset"], chosen["units"], chosen["n_units"]) == ("good", "quality == 'good'", [2, 3])


def test_row_10_a_preset_without_its_columns_says_which_there_are(write_nwb):
    path = write_nwb(units([[0.1]], amplitude_cutoff=[0.0], presence_ratio=[1.0], isi_violation=[0.0]), trials([0.0]))
    with pytest.raises(
        MissingError, match="units='allen' needs a column isi_violations or isi_violations_ratio; .* isi_violation"
    ):
        chosen_by(path, "allen")
    with pytest.raises(MissingError, match="units='good' needs a column quality or KSLabel or is_sua or is_good; 'un"):
        chosen_by(path, "good")


def test_row_11_peak_channels_are_ids_of_electrodes_not_rows(write_nwb):
    path = write_nwb(
        electrodes("V1", "CA1", "TH", ids=[850, 900, 2]), units([[0.1], [0.2], [0.3]], peak_channel_id=[900, 2, 850])
    )
    with open_nwb(path) as recording:
        x = recording.spikes(bin_width=1.0)
    assert x["area"].values.tolist() == ["CA1", "TH", "V1"]
    assert population.provenance(x)["chosen"]["area_source"] == "peak_channel_id"
    assert x["peak_channel_id"].values.tolist() == [900, 2, 850]


def test_row_11_what_names_no_area_is_passed_over_and_a_better_one_can_be_laid_over(write_nwb):
    path = write_nwb(electrodes("unknown", "n/a"), units([[0.1], [0.2]], peak_channel_id=[0, 1], region=["V1", "V2"]))
    with open_nwb(path) as recording:
        x = recording.spikes(bin_width=1.0)
    assert x["area"].values.tolist() == ["V1", "V2"]
    assert population.provenance(x)["chosen"]["area_source"] == "region"
    mapped = x.assign_coords(area=("unit", ["LM", "LM"]))
    assert population.select(mapped, "area == 'LM'").sizes["unit"] == 2


def test_row_12_ids_that_repeat_or_are_text_get_labels_that_are_unique(write_nwb):
    path = write_nwb(units([[0.1], [0.2, 0.3], [0.4]], ids=[7, 7, 8]))
    with open_nwb(path) as recording, pytest.warns(UserWarning, match="1 of 3 ids of 'units' are repeats"):
        x = recording.spikes(bin_width=1.0)
    assert x["unit"].values.tolist() == ["7", "7-2", "8"]
    assert x["unit_id"].values.tolist() == [7, 7, 8]
    x.attrs["session"], y = "a", x.copy()
    y.attrs["session"] = "b"
    both = population.concat([x, y])
    assert both["unit"].values.tolist() == ["a:7", "a:7-2", "a:8", "b:7", "b:7-2", "b:8"]


@pytest.mark.parametrize(
    ("ids", "labels"),
    [
        (["a1", "b2", "a1"], ["a1", "b2", "a1-2"]),
        (["7", "7-2", "7"], ["0:7", "1:7-2", "2:7-2"]),
        (["x", "y", "z"], ["x", "y", "z"]),
    ],
    ids=["repeats", "an id like a label of ours", "unique"],
)
def test_row_12_ids_of_text(write_nwb, ids, labels):
    """pynwb writes and reads whole numbers alone; where others have put names, h5py reads the file."""
    path = write_nwb(units([[0.1], [0.2, 0.3], [0.4]]), trials([0.0]))
    replace(path, "units/id", ids)
    with pytest.warns(DataWarning, match="pynwb cannot build session.nwb: row ids of a table are text. .* h5py alone"):
        recording = open_nwb(path)
    with recording, warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", DataWarning)
        x = recording.spikes(**COUNTS)
        assert recording.spikes(**COUNTS, units=[ids[1]])["unit"].values.tolist() == [labels[1]]
    assert x["unit"].values.tolist() == labels
    assert x["unit_id"].values.tolist() == ids
    assert any("repeats" in str(one.message) for one in said) == (len(set(ids)) < len(ids))


def test_row_13_held_out_units_are_a_coord_and_files_of_other_units_are_not_joined_in_silence(write_nwb):
    trains = [[0.1], [0.2], [0.3]]
    train = write_nwb(units(trains, heldout=[False, False, True]), trials([0.0]), name="train.nwb", session_id="train")
    test = write_nwb(units(trains[:2], heldout=[False, False]), trials([0.0]), name="test.nwb", session_id="test")
    with open_nwb(train) as recording:
        whole = recording.spikes(**COUNTS)
        kept = recording.spikes(**COUNTS, units="heldout == False")
    with open_nwb(test) as recording:
        other = recording.spikes(**COUNTS)
    assert whole["heldout"].values.tolist() == [False, False, True]
    assert kept.sizes["unit"] == other.sizes["unit"] == 2
    joined = population.concat([whole, other])  # side by side, never one under the other
    assert joined["unit"].values.tolist() == ["train:0", "train:1", "train:2", "test:0", "test:1"]


def test_row_14_threshold_crossings_are_told_apart_and_counted_when_asked_for(write_nwb):
    path = write_nwb(electrodes("V1", "V4"), crossings("multi", [0.1, 0.4, 1.5], [1]), trials([0.0, 1.0]))
    with open_nwb(path) as recording:
        row = recording.contents.set_index("path").loc["acquisition/multi"]
        assert (row["kind"], row["count"]) == ("crossings", 3)
        assert "not sorted: spikes(table=...) counts them as one unit" in row["notes"]
        with pytest.raises(
            MissingError, match=r"no units table. It holds acquisition/multi \(recording.spikes\(table=\)\)"
        ):
            recording.spikes(**COUNTS)
        x = recording.spikes(**COUNTS, table="multi")
        q = recording.quality(table="multi", align="trials")
    np.testing.assert_array_equal(x, [[2], [1]])
    assert (q["n_spikes"].values.tolist(), q["unit"].values.tolist()) == ([3], ["multi"])
    assert q.attrs["source"] == "session.nwb:acquisition/multi"
    assert (x["unit"].values.tolist(), x["area"].values.tolist()) == (["multi"], ["V4"])
