"""Opening a file, or saying why not; what a recording says of itself; and how it closes."""

import gc
import os
import subprocess
import sys
import warnings

import h5py
import numpy as np
import pytest
from nwb_parts import rois, series, trials, units

import neurosparse
from neurosparse import open_nwb
from neurosparse.errors import DataWarning, FileError, InputError, NeurosparseError


def test_a_missing_path(tmp_path):
    with pytest.raises(FileError, match=r"there is no file .*gone.nwb. Check the path"):
        open_nwb(tmp_path / "gone.nwb")
    with pytest.raises(OSError, match="there is no file"):
        open_nwb(str(tmp_path / "gone.nwb"))


def test_what_is_no_path(tmp_path):
    with pytest.raises(InputError, match="needs the path or URL of an NWB file, or an open pynwb.NWBFile; got int"):
        open_nwb(3)
    with pytest.raises(FileError, match="is a folder and no Zarr store"):
        open_nwb(tmp_path)
    with pytest.raises(FileError, match=r"is no http or https URL, .* also at https://BUCKET.s3.amazonaws.com/KEY"):
        open_nwb("s3://dandiarchive/blobs/a.nwb")


def test_what_is_no_hdf5(tmp_path):
    page = tmp_path / "page.nwb"
    page.write_text("<html>not found</html>")
    with pytest.raises(FileError, match=r"is no HDF5 file \(22 bytes\)"):
        open_nwb(page)


def test_hdf5_that_is_not_nwb(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["spikes"] = np.arange(3)
    with pytest.raises(FileError, match="HDF5 file but not NWB: it states no nwb_version. At its root: spikes"):
        open_nwb(tmp_path / "x.h5")


def test_nwb_1_is_too_old(tmp_path):
    with h5py.File(tmp_path / "old.nwb", "w") as file:
        file["nwb_version"] = np.bytes_(b"NWB-1.0.6")
    with pytest.raises(FileError, match=r"is NWB 1.0.6, which is too old: neurosparse reads NWB 2 and later. Get"):
        open_nwb(tmp_path / "old.nwb")


def test_a_file_cut_short(write_nwb, tmp_path):
    whole = write_nwb(units([[0.1]])).read_bytes()
    (tmp_path / "cut.nwb").write_bytes(whole[: len(whole) // 2])
    said = rf"cut.nwb is cut short: {len(whole) // 2:,} of {len(whole):,} bytes are there. Fetch it again"
    with pytest.raises(FileError, match=said):
        open_nwb(tmp_path / "cut.nwb")


def test_nwb_that_pynwb_cannot_build(tmp_path):
    with h5py.File(tmp_path / "bare.nwb", "w") as file:
        file.attrs["nwb_version"] = "2.7.0"
        file.attrs["namespace"] = "core"
        file.attrs["neurodata_type"] = "NWBFile"
    with pytest.raises(FileError, match="pynwb cannot read .*bare.nwb: .+ The file may be damaged") as kept:
        open_nwb(tmp_path / "bare.nwb")
    with h5py.File(tmp_path / "bare.nwb", "r+"):
        assert kept.value.__cause__ is not None, "the handle is released though the error still lives"


def test_the_repr_says_what_is_there(write_nwb):
    path = write_nwb(
        units([[0.1, 0.2], []], quality=["good", "bad"]),
        trials([0.0, 1.0, 2.0], image=[1, 2, 3]),
        series("speed", np.zeros(40), rate=20.0),
        series("heading", np.zeros(40), rate=20.0),
        rois(np.zeros((20, 3)), 3, name="Neuropil"),
    )
    with open_nwb(path) as recording:
        said = repr(recording)
        table = recording.contents
    for text in (
        "Recording session.nwb  (NWB 2.",
        "session s1; subject not stated; 2024-01-01 00:00",
        "units  ->  recording.spikes(...)\n  units\n      2 units, 2 spikes; areas: not stated\n      columns quality",
        "neuropil; 20 frames x 3 ROIs; 10 Hz, 0 to 1.9 s; lumens",
        "acquisition/heading, speed\n      40 samples; 20 Hz, 0 to 1.95 s; a.u.",
        "3 rows, 0 to 3 s\n      columns start_time, stop_time, image",
    ):
        assert text in said
    assert list(table.columns) == ["path", "kind", "shape", "rate", "count", "start", "stop", "units", "notes"]
    row = table.set_index("path").loc["processing/ophys/Fluorescence/Neuropil"]
    assert (row["kind"], row["shape"], row["rate"], row["count"], row["stop"]) == (
        "rois (neuropil)",
        (20, 3),
        10,
        20,
        1.9,
    )
    row = table.set_index("path").loc["intervals/trials"]
    assert (row["count"], row["start"], row["stop"], row["units"]) == (3, 0.0, 3.0, "s")


def test_an_empty_file_says_so(write_nwb):
    with open_nwb(write_nwb()) as recording:
        assert "nothing that can be loaded" in repr(recording)
        assert len(recording.contents) == 0


def test_long_lists_are_cut_and_counted(write_nwb):
    many = [series(f"s{i:02}", np.zeros((5, i + 1)), rate=1.0) for i in range(15)]
    with open_nwb(write_nwb(*many)) as recording:
        assert "... and 3 more: recording.contents lists all" in repr(recording)
        assert len(recording.contents) == 15


def test_a_closed_recording_says_so_and_its_populations_live(write_nwb):
    with open_nwb(write_nwb(units([[0.1]]), trials([0.0]))) as recording:
        x = recording.spikes(bin_width=0.5)
    assert int(x.sum()) == 1
    assert repr(recording) == "<Recording session.nwb, closed>"
    for use in (lambda: recording.spikes(bin_width=1.0), lambda: recording.contents, lambda: recording.nwbfile):
        with pytest.raises(FileError, match="session.nwb is closed. Open it again"):
            use()
    recording.close()  # twice does no harm


def test_the_handle_is_released_even_when_forgotten(write_nwb):
    path = write_nwb(units([[0.1]]))
    with open_nwb(path), pytest.raises(OSError, match="lock|open"), h5py.File(path, "r+"):
        pass
    recording = open_nwb(path)
    del recording
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        gc.collect()
    with h5py.File(path, "r+"):
        pass


def test_the_handle_is_released_after_an_error(write_nwb):
    path = write_nwb(units([[0.1]]))
    with pytest.raises(InputError), open_nwb(path) as recording:
        recording.spikes()
    with h5py.File(path, "r+"):
        pass


def test_the_session_falls_back_on_the_identifier(write_nwb):
    for session, expected in (("s1", "s1"), (None, "test-file")):
        with open_nwb(write_nwb(units([[0.1]]), session_id=session)) as recording:
            assert recording.session == expected
            assert recording.spikes(bin_width=1.0).attrs["session"] == expected


def test_warnings_point_at_the_users_line(write_nwb):
    path = write_nwb(units([[0.1, np.nan]]))
    with open_nwb(path) as recording, pytest.warns(neurosparse.errors.DataWarning) as caught:
        recording.spikes(bin_width=1.0)
    assert os.path.basename(caught[0].filename) == os.path.basename(__file__)


def test_importing_the_room_loads_no_pynwb():
    code = (
        "import sys, neurosparse, neurosparse.recordings; "
        "assert not {'pynwb', 'h5py', 'torch'} & set(sys.modules); "
        "neurosparse.recordings.open_nwb; assert 'pynwb' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_unknown_names_of_the_room():
    with pytest.raises(AttributeError, match="no attribute 'spikes_'"):
        neurosparse.recordings.spikes_  # noqa: B018
    assert issubclass(FileError, NeurosparseError)


@pytest.mark.parametrize("extension", [False, True], ids=["pynwb", "h5py alone"])
def test_recordings_of_one_file_do_not_disturb_each_other(write_nwb, extension):
    """Handles of one process share what HDF5 holds of a dataset; spike times are chunked, as pynwb writes them."""
    path = write_nwb(units([[0.1, 0.2], [0.3]]))
    if extension:
        with h5py.File(path, "r+") as file:
            file["units"].attrs["namespace"] = "ndx-nowhere"
            del file["specifications"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        first, second = open_nwb(path), open_nwb(path)
    counts = [one.spikes(bin_width=1.0).values.tolist() for one in (first, second, first)]
    first.close()
    assert [*counts, second.spikes(bin_width=1.0).values.tolist()] == [[[2, 1]]] * 4
    second.close()
