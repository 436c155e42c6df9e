"""Quirks of whole files: extensions that are missing, schemas that break, handles, identity, processes, Zarr."""

from __future__ import annotations

import multiprocessing
import pickle
import sys
from datetime import UTC, datetime
from functools import partial
from typing import Any

import h5py
import numpy as np
import pynwb
import pytest
from nwb_parts import replace, rois, series, trials, units

from neurosparse import open_nwb, population
from neurosparse.cli import main
from neurosparse.errors import DataWarning, DependencyError, FileError, InputError
from neurosparse.recordings import built, raw, report_of

COUNTS = {"align": "trials", "reduce": "sum"}


def foreign(path: Any, place: str, kind: str) -> None:
    """Make one thing of a file be of an extension that is nowhere, and take the schemas out of the file."""
    with h5py.File(path, "r+") as file:
        file[place].attrs["namespace"] = "ndx-nowhere"
        file[place].attrs["neurodata_type"] = kind
        del file["specifications"]


def everything(nwbfile: pynwb.NWBFile, ordered: bool = True) -> None:
    """What the raw reader must read as pynwb does: electrodes, groups, ragged and text columns, images, clocks."""
    device = nwbfile.create_device("probe")
    groups = [nwbfile.create_electrode_group(f"g{i}", "d", f"area {i}", device) for i in range(2)]
    for i in range(4):
        nwbfile.add_electrode(location=("V1", "V4")[i // 2], group=groups[i // 2])
    nwbfile.add_unit_column("quality", "q")
    for i, train in enumerate([[0.1, 0.2, 1.5], [], [1.1]]):
        nwbfile.add_unit(
            spike_times=train,
            electrodes=[[0, 1], [0, 1], [2, 3]][i],
            electrode_group=groups[i % 2],
            quality="ab"[i % 2],
            obs_intervals=[[0.0, 9.0]],
        )
    nwbfile.add_trial_column("label", "l")
    nwbfile.add_trial_column("licks", "l", index=True)
    nwbfile.add_trial_column("contrast", "c")
    for i, licks in enumerate([[0.1, 0.2], []]):
        nwbfile.add_trial(
            start_time=float(i), stop_time=i + 1.0, label=f"ä{i}", licks=licks, contrast=["null", "0.5"][i]
        )
    shown = [pynwb.image.GrayscaleImage(name=f"im{i}", data=np.full((2, 3), i)) for i in range(3)]
    in_order = pynwb.base.ImageReferences(name="order_of_images", data=[shown[i] for i in (2, 0, 1)])
    order = in_order if ordered else None
    images = pynwb.base.Images(
        name="pictures", images=shown, description="d", order_of_images=order if ordered else None
    )
    nwbfile.add_stimulus_template(images)
    index = pynwb.image.IndexSeries(
        name="order", data=np.array([1, 0], np.uint32), unit="N/A", indexed_images=images, timestamps=[0.25, 1.25]
    )
    nwbfile.add_stimulus(index)
    movie = pynwb.image.ImageSeries(
        name="movie", data=np.arange(24, dtype=np.uint8).reshape(4, 2, 3), unit="n.a.", format="raw", rate=2.0
    )
    nwbfile.add_stimulus_template(movie)
    traces = pynwb.TimeSeries(
        name="lfp",
        data=np.arange(8).reshape(4, 2),
        unit="V",
        conversion=0.5,
        offset=1.0,
        timestamps=[0.0, 0.1, 0.3, 0.4],
    )
    nwbfile.add_acquisition(traces)


@pytest.fixture
def twins(write_nwb: Any) -> tuple[Any, Any]:
    """A file, and the same with one thing of an extension that is nowhere."""
    signal = series("odd", np.arange(3.0), rate=1.0)
    dff = rois(
        np.arange(20.0).reshape(10, 2), 2, name="dff", container="DfOverF", dff=True, ids=[7, 9], starting_time=3.0
    )
    paths = [write_nwb(everything, dff, signal, name=f"{name}.nwb") for name in ("whole", "odd")]
    foreign(paths[1], "acquisition/odd", "OddSeries")
    return paths[0], paths[1]


def test_row_32_without_the_extension_the_populations_are_those_of_pynwb(twins):
    whole = open_nwb(twins[0])
    with pytest.warns(DataWarning, match="uses the NWB extension ndx-nowhere, .*pip install ndx-nowhere"):
        odd = open_nwb(twins[1])
    with whole, odd:
        assert odd.report.as_dict()["chosen"]["missing_extensions"] == ["ndx-nowhere"]
        assert odd.report.chosen["reader"] == f"h5py {h5py.__version__}"
        assert "ndx-nowhere" in repr(odd)
        with pytest.raises(DependencyError, match="pynwb cannot build this file: .*ndx-nowhere"):
            odd.nwbfile  # noqa: B018
        loads = (
            lambda one: one.spikes(bin_width=0.5),
            lambda one: one.spikes(**COUNTS, stimulus=["label", "contrast"]),
            lambda one: one.spikes(align="order", window=(0, 0.5), reduce="sum"),
            lambda one: one.calcium(),
            lambda one: one.series("lfp"),
            lambda one: one.series("odd"),
            lambda one: one.stimuli("pictures"),
            lambda one: one.stimuli("movie"),
        )
        for load in loads:
            expected, got = load(whole), load(odd)
            np.testing.assert_array_equal(got.values, expected.values)
            assert set(got.coords) == set(expected.coords)
            for name in expected.coords:
                np.testing.assert_array_equal(got[name].values, expected[name].values, err_msg=str(name))
            same = set(expected.attrs) - {"provenance", "source"}
            assert {key: got.attrs[key] for key in same} == {key: expected.attrs[key] for key in same}
        frames = [one.intervals() for one in (whole, odd)]
        assert [list(cell) for cell in frames[1]["licks"]] == [[0.1, 0.2], []]
        assert frames[0].columns.tolist() == frames[1].columns.tolist()
        tables = [one.contents.set_index("path") for one in (whole, odd)]
        assert tables[0].drop(columns="notes").equals(tables[1].drop(columns="notes"))
        said = population.provenance(odd.spikes(bin_width=0.5))["file"]
        assert "ndx-nowhere" in said["notes"][0]
        assert said["identifier"] == "test-file"


def test_row_32_a_units_table_of_an_unknown_type_is_one_all_the_same(write_nwb):
    path = write_nwb(units([[0.1, 0.2], [0.3]]), trials([0.0]))
    foreign(path, "units", "ExtraUnits")
    with pytest.warns(DataWarning, match="ndx-nowhere"), open_nwb(path) as recording:
        np.testing.assert_array_equal(recording.spikes(**COUNTS), [[2, 1]])


def test_row_32_nothing_to_read_without_the_extension(write_nwb):
    path = write_nwb()
    with h5py.File(path, "r+") as file:
        group = file.create_group("acquisition/thing")
        group.attrs.update({"namespace": "ndx-nowhere", "neurodata_type": "Thing", "object_id": "1"})
    with pytest.raises(
        DependencyError, match="ndx-nowhere, .* nothing can be read without it. .*pip install ndx-nowhere"
    ):
        open_nwb(path)
    with h5py.File(path, "r+"):
        pass  # the handle is released


def test_row_32_a_broken_copy_of_the_schema_in_the_file_is_passed_over(write_nwb):
    path = write_nwb(units([[0.1, 0.2]]), trials([0.0]))
    with h5py.File(path, "r+") as file:
        kept = file["specifications"].create_group("ndx-torn/0.1.0")
        kept["namespace"] = '{"namespaces": [{"name": "ndx-torn", "version"'
    with pytest.warns(DataWarning, match="the copy of the schema in session.nwb cannot be used .* pynwb's own"):
        recording = open_nwb(path)
    with recording:
        np.testing.assert_array_equal(recording.spikes(**COUNTS), [[2]])
        assert recording.report.chosen["reader"].startswith("pynwb")


def test_row_32_a_file_that_breaks_the_core_schema_is_no_missing_extension(write_nwb):
    path = write_nwb(units([[0.1]]))
    with h5py.File(path, "r+") as file:
        del file["units/id"]
        del file["identifier"]
    said = r"pynwb cannot read .*session.nwb: Could not construct NWBFile object .*'identifier'. The file may be"
    with pytest.raises(FileError, match=said) as kept:
        open_nwb(path)
    assert len(str(kept.value)) < len(str(path)) + 250, "hdmf's own words hold the whole table"


def test_row_33_a_file_of_nwb_2_0_opens_and_the_release_before_it_does_not(write_nwb, tmp_path):
    path = write_nwb(units([[0.1, 0.2]]), trials([0.0]))
    with h5py.File(path, "r+") as file:
        file.attrs["nwb_version"] = "2.0b"
    with open_nwb(path) as recording:
        assert recording.nwb_version == "2.0b"
        np.testing.assert_array_equal(recording.spikes(**COUNTS), [[2]])
    with h5py.File(path, "r+") as file:
        file.attrs["nwb_version"] = "NWB-1.0.6"
    with pytest.raises(FileError, match="is NWB 1.0.6, which is too old"):
        open_nwb(path)


def test_row_34_what_pynwb_finds_wrong_is_collected(write_nwb):
    clock = {"timestamps": np.arange(5.0)}
    path = write_nwb(
        units([[0.1]]), series("speed", np.arange(5.0), **clock), series("place", np.ones((5, 2)), **clock)
    )
    for name in ("speed", "place"):
        replace(path, f"acquisition/{name}/timestamps", np.arange(4.0))
    with open_nwb(path) as recording:
        row = recording.contents.set_index("path").loc["acquisition/speed"]
        assert "Length of data does not match length of timestamps" in row["notes"]
        assert "! TimeSeries 'speed': Length of data" in repr(recording)
        assert "! TimeSeries 'place': Length of data" in repr(recording), "of two columns, listed on its own"
        with pytest.raises(InputError, match="5 frames and 4 timestamps"):
            recording.series("speed")


def test_row_34_what_bears_on_the_file_as_a_whole_is_in_its_report_and_every_provenance(write_nwb):
    path = write_nwb(units([[0.1]]), series("speed", np.arange(5.0), rate=2.0))
    with h5py.File(path, "r+") as file:
        file["acquisition/speed/starting_time"].attrs["rate"] = 0.0
    with pytest.warns(DataWarning, match="pynwb says of session.nwb: Timeseries has a rate of 0.0 Hz"):
        recording = open_nwb(path)
    with recording:
        assert "rate of 0.0 Hz" in recording.report.as_dict()["warned"][0]
        x = recording.spikes(bin_width=1.0)
    assert "rate of 0.0 Hz" in population.provenance(x)["file"]["notes"][0]


def test_row_37_what_was_loaded_outlives_the_file_and_what_was_not_says_so(write_nwb):
    path = write_nwb(units([[0.1, 0.2]]), trials([0.0]), series("speed", np.arange(5.0), rate=2.0))
    with open_nwb(path) as recording:
        counts, speed = recording.spikes(**COUNTS), recording.series("speed")
    path.unlink()
    np.testing.assert_array_equal(counts, [[2]])
    np.testing.assert_array_equal(speed[:, 0], np.arange(5.0))
    with pytest.raises(FileError, match="session.nwb is closed. Open it again with open_nwb"):
        recording.series("speed")


@pytest.mark.parametrize(
    ("session", "identifier", "expected", "rule"),
    [
        ("s1", "id-1", "s1", "session_id"),
        (None, "id-1", "id-1", "identifier"),
        ("nan", "id-1", "id-1", "identifier"),
        ("  ", "N/A", "sub-nan_obj-1x2", "file name"),
        ("unknown", "none", "sub-nan_obj-1x2", "file name"),
    ],
)
def test_row_38_a_session_has_a_name_whatever_junk_the_file_holds(write_nwb, session, identifier, expected, rule):
    path = write_nwb(units([[0.1]]), name="sub-nan_obj-1x2.nwb", session_id=session)
    replace(path, "identifier", identifier)
    with open_nwb(path) as recording:
        x = recording.spikes(bin_width=1.0)
        assert recording.session == x.attrs["session"] == expected
        assert recording.report.chosen["session_from"] == rule
    file = population.provenance(x)["file"]
    assert (file["identifier"], file.get("session_id", ""), file["session_from"]) == (identifier, session or "", rule)


def test_row_38_times_that_count_from_another_moment_than_the_start_are_reported(write_nwb):
    reference = datetime(2024, 1, 1, 0, 1, 30, tzinfo=UTC)
    with open_nwb(write_nwb(units([[0.1]]), timestamps_reference_time=reference)) as recording:
        assert recording.report.assumed == [
            "times count from timestamps_reference_time, +90 s from the session's start."
        ]
        file = population.provenance(recording.spikes(bin_width=1.0))["file"]
    assert file["timestamps_reference_time"] == reference.isoformat()
    assert file["session_start_time"] == datetime(2024, 1, 1, tzinfo=UTC).isoformat()
    with open_nwb(write_nwb(units([[0.1]]))) as recording:
        assert recording.report.assumed == []


def counts_of(recording: Any) -> list[Any]:
    """What a worker makes of a recording that was sent to it."""
    with recording:
        return recording.spikes(**COUNTS).values.tolist()


def test_row_39_a_recording_is_sent_to_workers_by_its_path(write_nwb, monkeypatch, tmp_path):
    write_nwb(units([[0.1, 0.2], [0.9]]), trials([0.0]))
    monkeypatch.chdir(tmp_path)
    with open_nwb("session.nwb") as recording:
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir(tmp_path / "elsewhere")
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            sent = pool.map_async(counts_of, [recording, recording])
            assert sent.get(60) == [[[2, 1]], [[2, 1]]]  # a worker that cannot open it dies, and the pool waits
        assert counts_of(recording) == [[2, 1]], "the sender's own handle stays open"


def test_row_39_an_object_that_was_never_in_a_file_cannot_be_sent():
    nwbfile = pynwb.NWBFile("d", "only here", datetime(2024, 1, 1, tzinfo=UTC))
    with pytest.raises(InputError, match=r"'?only here \(in memory\)'? cannot be sent to another process"):
        pickle.dumps(open_nwb(nwbfile))


def test_a_pynwb_object_gives_what_its_file_gives_and_stays_open(twins):
    nwbfile = pynwb.NWBFile("d", "test-file", datetime(2024, 1, 1, tzinfo=UTC))
    everything(nwbfile)
    with pynwb.NWBHDF5IO(twins[0], "r") as io:
        read = io.read()
        for given in (nwbfile, read):
            with open_nwb(given) as recording, open_nwb(twins[0]) as whole:
                for load in (
                    lambda one: one.spikes(**COUNTS, stimulus="label"),
                    lambda one: one.series("lfp"),
                    lambda one: one.stimuli("pictures"),
                    lambda one: one.stimuli("movie"),
                ):
                    np.testing.assert_array_equal(load(recording), load(whole))
                shared = recording.contents["path"].tolist()
                assert set(shared) <= set(whole.contents["path"])
                assert {"units", "intervals/trials", "acquisition/lfp", "stimulus/templates/pictures"} <= set(shared)
            with pytest.raises(FileError, match="is closed"):
                recording.spikes(**COUNTS)
        assert read.units["spike_times"].target.data[0] == 0.1, "the user's file is not closed with the recording"
        assert pickle.loads(pickle.dumps(open_nwb(read))).session == "s1"


def test_the_two_readers_find_the_same_parts(twins):
    with pynwb.NWBHDF5IO(twins[0], "r") as io, h5py.File(twins[0]) as file:
        through_pynwb = built.parts(io.read(), built.place, [])
        directly = raw.parts(file)
    told = [[(part.path, part.group, part.type) for part in parts] for parts in (through_pynwb, directly)]
    assert told[0] == told[1]
    assert {group for _, group, _ in told[0]} == {
        "units",
        "rois",
        "series",
        "signals",
        "intervals",
        "presentations",
        "images",
    }


def test_row_23_images_in_a_linked_file_are_read_from_there(write_nwb, tmp_path):
    pixels = np.arange(24, dtype=np.uint8).reshape(4, 2, 3)
    with h5py.File(tmp_path / "pixels.h5", "w") as file:
        file["deep/stack"] = pixels

    def build(nwbfile: pynwb.NWBFile) -> None:
        stored = pynwb.image.ImageSeries(name="movie", data=pixels, unit="n.a.", format="raw", rate=2.0)
        nwbfile.add_stimulus_template(stored)

    path = write_nwb(build)
    with h5py.File(path, "r+") as file:
        attrs = dict(file["stimulus/templates/movie/data"].attrs)
        del file["stimulus/templates/movie/data"]
        file["stimulus/templates/movie/data"] = h5py.ExternalLink("pixels.h5", "deep/stack")
    with h5py.File(tmp_path / "pixels.h5", "r+") as file:
        file["deep/stack"].attrs.update(attrs)
    with open_nwb(path) as recording:
        x = recording.stimuli()
    np.testing.assert_array_equal(x[..., 0], pixels)
    np.testing.assert_array_equal(x[2, ..., 0], pixels[2])


def test_row_23_data_linked_from_another_series_and_placeholders_of_external_movies(write_nwb):
    def build(nwbfile: pynwb.NWBFile) -> None:
        first = pynwb.TimeSeries(name="first", data=np.arange(4.0), unit="m", timestamps=[0.0, 0.5, 1.5, 2.0])
        nwbfile.add_acquisition(first)
        nwbfile.add_acquisition(pynwb.TimeSeries(name="second", data=first, unit="m", timestamps=first))
        empty = pynwb.image.ImageSeries(name="movie", data=np.empty((0, 2, 3)), unit="n.a.", format="raw", rate=2.0)
        nwbfile.add_stimulus(empty)

    with open_nwb(write_nwb(build)) as recording:
        x = recording.series("second")
        notes = recording.contents.set_index("path")["notes"]
        with pytest.raises(InputError, match=r"'stimulus/presentation/movie' hold no pixels \(shape \(0, 2, 3\)\)"):
            recording.stimuli()
    np.testing.assert_array_equal(x[:, 0], np.arange(4.0))
    np.testing.assert_array_equal(x["time"], [0.0, 0.5, 1.5, 2.0])
    assert "holds no values" in notes["stimulus/presentation/movie"]


def test_row_36_a_zarr_store_gives_what_hdf5_gives(write_nwb, tmp_path):
    numcodecs, hdmf_zarr = pytest.importorskip("numcodecs"), pytest.importorskip("hdmf_zarr")

    # hdmf-zarr 0.13 cannot read the order of an Images container that it wrote
    path = write_nwb(partial(everything, ordered=False), rois(np.arange(20.0).reshape(10, 2), 2))

    store = tmp_path / "session.nwb.zarr"
    NWBZarrIO = hdmf_zarr.NWBZarrIO
    with pynwb.NWBHDF5IO(path, "r") as io, NWBZarrIO(str(store), mode="w", object_codec_class=numcodecs.JSON) as out:
        out.export(src_io=io, write_args={"link_data": False})
    with open_nwb(store) as recording, open_nwb(path) as whole:
        assert recording.contents["path"].tolist() == whole.contents["path"].tolist()
        for load in (
            lambda one: one.spikes(**COUNTS, stimulus="label"),
            lambda one: one.calcium(),
            lambda one: one.series("lfp"),
            lambda one: one.stimuli("pictures"),
            lambda one: one.stimuli("movie"),
        ):
            expected, got = load(whole), load(recording)
            np.testing.assert_array_equal(got, expected)
            # references are pickles in a Zarr store, and are left out
            assert set(expected.coords) - set(got.coords) <= {"electrode_group"}
            for name in got.coords:
                np.testing.assert_array_equal(got[name], expected[name])
        lazy = recording.stimuli("movie")
        assert "columns of references, such as electrode_group, are left out" in recording.report.assumed[0]
        assert counts_of(pickle.loads(pickle.dumps(recording))) == counts_of(whole)
    np.testing.assert_array_equal(lazy[1, ..., 0], np.arange(6, 12).reshape(2, 3))


def test_row_36_a_folder_with_a_mark_of_zarr_but_no_recording(tmp_path):
    pytest.importorskip("hdmf_zarr")
    store = tmp_path / "broken.nwb.zarr"
    store.mkdir()
    (store / ".zgroup").write_text('{"zarr_format": 2}')
    with pytest.raises(FileError, match="hdmf-zarr cannot read .*broken.nwb.zarr"):
        open_nwb(store)


@pytest.mark.parametrize("mark", [".zgroup", ".zmetadata", "zarr.json"])
def test_row_36_without_the_package_a_store_says_which_to_install(tmp_path, monkeypatch, mark):
    store = tmp_path / "session.nwb.zarr"
    store.mkdir()
    (store / mark).write_text("{}")
    monkeypatch.setitem(sys.modules, "hdmf_zarr", None)
    for where in (store, "https://nowhere.invalid/session.nwb.zarr"):
        with pytest.raises(DependencyError, match=r'needs the package hdmf-zarr.*pip install "neurosparse\[zarr\]"'):
            open_nwb(where)


def test_row_36_a_folder_without_such_a_mark_is_no_store(tmp_path):
    (tmp_path / "session.nwb.zarr").mkdir()
    (tmp_path / "session.nwb.zarr" / "session.nwb").write_bytes(b"")
    with pytest.raises(FileError, match=r"is a folder and no Zarr store; .*Give the path of an .nwb file"):
        open_nwb(tmp_path / "session.nwb.zarr")


def test_the_load_report_reads_as_a_dict_and_as_text(write_nwb, tmp_path):
    path = write_nwb(units([[0.1, np.nan], []]), trials([0.0, 1.0], image=[3, 4]))
    with open_nwb(path) as recording, pytest.warns(DataWarning, match="1 spike times of 1 units are NaN"):
        x = recording.spikes(**COUNTS, stimulus="image")
    with open_nwb(path) as recording:
        assert recording.report.as_dict()["found"] == {"units": 1, "intervals": 1}
        assert "reader: pynwb" in str(recording.report)
    report = report_of(x)
    told = report.as_dict()
    assert told["found"] == {"units": 1, "intervals": 1}
    assert told["chosen"]["stimulus"] == "image"
    assert any("1 spike times of 1 units are NaN" in text for text in told["warned"])
    for text in ("found\n  units: 1", "chosen\n", "  stimulus: image\n", "warned\n"):
        assert text in str(report)
    population.save(x, tmp_path / "x.nc")
    assert report_of(population.open(tmp_path / "x.nc")) == report


def test_inspect_prints_the_report_on_request(write_nwb, capsys):
    path = write_nwb(units([[0.1]]))
    assert main(["inspect", str(path)]) == 0
    plain = capsys.readouterr().out
    assert main(["inspect", "--report", str(path)]) == 0
    assert capsys.readouterr().out.endswith(plain)
    assert main(["inspect", "--report", str(path)]) == 0
    assert "found\n  units: 1\nchosen\n  reader: pynwb" in capsys.readouterr().out
    assert "reader" not in plain
