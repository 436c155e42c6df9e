"""ROI series of files written here: scaled, turned round, chosen and cut to trials as known beforehand."""

import h5py
import numpy as np
import pytest
from nwb_parts import replace, rois, trials

from neurosparse import open_nwb
from neurosparse.errors import DataWarning, InputError, MissingError
from neurosparse.recordings.calcium import classify
from neurosparse.recordings.frames import Frames, passing

FRAMES = np.arange(60.0).reshape(20, 3)


def test_a_series_is_time_by_unit_with_its_own_clock(write_nwb):
    path = write_nwb(rois(FRAMES, 3, ids=[10, 20, 30], rate=4.0, starting_time=2.0, columns={"size": [1.0, 2.0, 3.0]}))
    with open_nwb(path) as recording:
        x = recording.calcium()
    np.testing.assert_array_equal(x, FRAMES)
    np.testing.assert_array_equal(x["time"], 2.0 + np.arange(20) / 4)
    np.testing.assert_array_equal(x["unit_id"], [10, 20, 30])
    np.testing.assert_array_equal(x["size"], [1.0, 2.0, 3.0])
    assert x["area"].values.tolist() == ["V1"] * 3
    assert (x.attrs["kind"], x.attrs["quantity"], x.attrs["units"]) == ("calcium", "fluorescence", "lumens")
    assert x.attrs["bin_width"] == 0.25


def test_unscaled_float32_stays_float32(write_nwb):
    with open_nwb(write_nwb(rois(FRAMES.astype(np.float32), 3))) as recording:
        assert recording.calcium().dtype == np.float32


DATA = "processing/ophys/Fluorescence/RoiResponseSeries/data"


def test_values_that_fit_neither_way_are_refused(write_nwb):
    path = write_nwb(rois(FRAMES, 3))
    replace(path, DATA, FRAMES[:, :2])
    with open_nwb(path) as recording:
        with pytest.raises(InputError, match="fits neither .* the file states 3 units and a rate"):
            recording.calcium()
        assert recording.calcium(transposed=False).shape == (20, 2)


@pytest.mark.parametrize(
    ("name", "container", "type_", "kind"),
    [
        ("Deconvolved", "Fluorescence", "Fluorescence", "deconvolved"),
        ("Neuropil", "Fluorescence", "Fluorescence", "neuropil"),
        ("Fluorescence", "Deconvolved", "Fluorescence", "raw"),
        ("RoiResponseSeries", "Fluorescence", "Fluorescence", "raw"),
        ("RoiResponseSeries", "DfOverF", "DfOverF", "dF/F"),
        ("activity", "DfOverF", "DfOverF", "dF/F"),
        ("activity", "imaging_plane_1", "DfOverF", "dF/F"),
        ("activity", "responses", "Fluorescence", "unknown"),
        ("Dff_Z12", "x", "", "dF/F"),
        ("delta_f_over_f", "x", "", "dF/F"),
        ("dF_F", "x", "", "dF/F"),
        ("Fneu", "x", "", "neuropil"),
        ("neuropil_corrected", "x", "", "raw"),
        ("l0_events", "dff_events", "", "events"),
        ("spks", "Fluorescence", "", "deconvolved"),
        ("diffuse", "x", "", "unknown"),
    ],
)
def test_the_series_name_says_its_kind_before_the_container(name, container, type_, kind):
    assert classify(name, container, type_) == kind


def test_aligned_frames_are_those_of_the_bins(write_nwb):
    """Frames at 0, .1, ...: a window from .5 s holds the frame on its edge, one from .55 s begins with that at .6 s."""
    path = write_nwb(rois(FRAMES, 3), trials([0.5, 0.55, 1.2]))
    with open_nwb(path) as recording:
        x = recording.calcium(align="trials", window=(0.0, 0.3))
    assert x.dims == ("trial", "time", "unit")
    np.testing.assert_array_equal(x, FRAMES[np.array([[5, 6, 7], [6, 7, 8], [12, 13, 14]])])
    np.testing.assert_allclose(x["time"], [0.05, 0.15, 0.25])


def test_windows_beyond_the_frames_are_nan_and_counted(write_nwb):
    path = write_nwb(rois(FRAMES.astype(np.float32), 3), trials([0.0, 1.0, 1.9]))
    with open_nwb(path) as recording:
        with pytest.warns(DataWarning, match="2 of 3 windows reach beyond the frames .* 3 bins are NaN"):
            x = recording.calcium(align="trials", window=(-0.2, 0.2))
        with pytest.warns(DataWarning, match="2 of 3 windows hold no frame .*rows are NaN"):
            mean = recording.calcium(align="trials", window=(-0.2, 0.2), reduce="mean")
    np.testing.assert_array_equal(np.isnan(x[:, :, 0]), [[1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1]])
    np.testing.assert_array_equal(x[0, 2:], FRAMES[:2])
    np.testing.assert_allclose(mean, [[np.nan] * 3, FRAMES[8:12].mean(0), [np.nan] * 3])
    assert x.dtype == np.float32


def test_reductions_are_over_the_frames_of_the_window(write_nwb):
    path = write_nwb(rois(FRAMES, 3), trials([0.3, 1.0], [0.8, 1.2]))
    with open_nwb(path) as recording:
        total = recording.calcium(align="trials", window=(0, 0.4), reduce="sum")
        mean = recording.calcium(align="trials", window=(0, 0.4), reduce="mean")
        rate = recording.calcium(align="trials", window=(0, 0.4), reduce="rate")
        own = recording.calcium(align="trials", reduce="mean")
    np.testing.assert_allclose(total, [FRAMES[3:7].sum(0), FRAMES[10:14].sum(0)])
    np.testing.assert_allclose(mean, total / 4)
    np.testing.assert_allclose(rate, total / 0.4)
    np.testing.assert_allclose(own, [FRAMES[3:8].mean(0), FRAMES[10:12].mean(0)])
    assert rate.attrs["units"] == "lumens s-1"


def test_slices_and_whole_reads_agree(write_nwb):
    """Many overlapping windows are cut from one read, few from slices of the file."""
    path = write_nwb(rois(FRAMES, 3, conversion=2.0), trials(np.linspace(0, 1.4, 30)))
    with open_nwb(path) as recording:
        many = recording.calcium(align="trials", window=(0, 0.5), units=[2, 1])
    few = write_nwb(rois(FRAMES, 3, conversion=2.0), trials(np.linspace(0, 1.4, 30)[[0, 29]]), name="few.nwb")
    with open_nwb(few) as recording:
        np.testing.assert_array_equal(
            many[[0, 29]], recording.calcium(align="trials", window=(0, 0.5), units=[2, 1]).values
        )


@pytest.mark.parametrize(
    ("stored", "asked", "expected"),
    [
        ({}, {}, FRAMES),
        ({}, {"units": [2, 1]}, FRAMES[:, [2, 1]]),
        ({"conversion": 2.0}, {}, 2 * FRAMES),
        ({"offset": 3.0}, {}, FRAMES + 3),
        ({"timestamps": np.append(np.arange(1, 20)[::-1] / 10, 0)}, {"repair": True}, FRAMES[::-1]),
    ],
    ids=["nothing", "chosen units", "conversion", "offset", "a mended clock"],
)
@pytest.mark.filterwarnings("ignore:.*clock of .* is mended")
def test_windows_are_right_whatever_stands_between_them_and_the_file(write_nwb, stored, asked, expected):
    pytest.importorskip("dask")
    with open_nwb(write_nwb(rois(FRAMES, 3, **stored), trials([0.5, 1.2]))) as recording:
        for chunks in ({}, {"chunks": 1}):
            x = recording.calcium(align="trials", window=(0, 0.3), **asked, **chunks)
            np.testing.assert_array_equal(x, expected[np.array([[5, 6, 7], [12, 13, 14]])])


@pytest.mark.parametrize("chunk", [None, 4])
def test_blocks_of_a_few_frames_give_what_one_gives_and_read_each_frame_once(write_nwb, monkeypatch, chunk):
    """Windows that overlap, touch, share a frame or stand alone, out of order; frames stored whole or four a piece."""
    starts = np.array([0.9, 0.0, 0.05, 0.2, 0.4, 1.2, 0.1])
    path = write_nwb(rois(FRAMES, 3, conversion=2.0), trials(starts))
    if chunk:
        with h5py.File(path, "r+") as file:
            attrs = dict(file[DATA].attrs)
            del file[DATA]
            file.create_dataset(DATA, data=FRAMES, chunks=(chunk, 3)).attrs.update(attrs)
    reads = []
    read = Frames.read

    def counted(self, first, last):
        reads.extend(range(first, last))
        return read(self, first, last)

    first = np.ceil(starts * 10 - 1e-6).astype(int)
    windows = 2 * FRAMES[first[:, None] + np.arange(3)]
    with open_nwb(path) as recording:
        options = {"align": "trials", "window": (0, 0.3)}
        monkeypatch.setattr(passing, "BLOCK", 8 * 3 * 2)  # two frames
        monkeypatch.setattr(Frames, "read", counted)
        np.testing.assert_array_equal(recording.calcium(**options), windows)
        once = sorted(reads[1:])  # the first read is of one frame, for its dtype
        np.testing.assert_allclose(recording.calcium(**options, reduce="mean"), windows.mean(1))
    assert once == sorted({*(first[:, None] + np.arange(3)).ravel().tolist()})


@pytest.mark.parametrize(("imaging_rate", "warns"), [(None, True), (30.0, True), (1.0, False)])
def test_a_rate_of_one_that_the_plane_does_not_confirm_is_doubted(write_nwb, imaging_rate, warns, recwarn):
    path = write_nwb(rois(FRAMES, 3, rate=1.0, imaging_rate=imaging_rate, comments="1.0 = frame index"))
    with open_nwb(path) as recording:
        recording.calcium()
        assert ("likely the frame index" in repr(recording)) == warns
    said = [str(one.message) for one in recwarn]
    assert any("rate of exactly 1 Hz" in text and "'1.0 = frame index'" in text for text in said) == warns


def test_frames_and_timestamps_must_be_as_many(write_nwb):
    path = write_nwb(rois(FRAMES, 3, timestamps=np.arange(20) / 10))
    replace(path, DATA, FRAMES[:18])
    with open_nwb(path) as recording:
        with pytest.raises(InputError, match="states 3 units and 20 timestamps"):
            recording.calcium()
        with pytest.raises(InputError, match="18 frames and 20 timestamps"):
            recording.calcium(transposed=False)


@pytest.mark.parametrize(
    ("request_", "error", "message"),
    [
        ({"align": "trials", "window": (0, 0.01)}, InputError, "at least one frame .*0.1 s"),
        ({"window": (50, 60)}, InputError, "holds no frame"),
        ({"align": "trials"}, InputError, "needs window="),
        ({"units": [9]}, MissingError, "1 of 1 unit ids are not in"),
    ],
)
def test_requests_that_cannot_be_met_say_why(write_nwb, request_, error, message):
    with open_nwb(write_nwb(rois(FRAMES, 3), trials([0.5]))) as recording, pytest.raises(error, match=message):
        recording.calcium(**request_)


def test_a_file_without_rois_says_what_is_there(write_nwb):
    message = "no ROI series. There seem to be no neural data.*intervals/trials"
    with open_nwb(write_nwb(trials([0.0]))) as recording, pytest.raises(MissingError, match=message):
        recording.calcium()
