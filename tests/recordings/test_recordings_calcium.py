"""ROI series of files written here: scaled, turned round, chosen and cut to trials as known beforehand."""

import numpy as np
import pytest
from nwb_parts import replace, rois, trials

from neurosparse import open_nwb, population
from neurosparse.errors import DataWarning, FileError, InputError, MissingError
from neurosparse.recordings.calcium import classify

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


def test_conversion_and_offset_are_applied(write_nwb):
    stored = FRAMES.astype(np.int16)
    path = write_nwb(rois(stored, 3, conversion=0.5, offset=-1.0))
    with open_nwb(path) as recording:
        x = recording.calcium()
        y = recording.nwbfile.processing["ophys"]["Fluorescence"]["RoiResponseSeries"].get_data_in_units()
    np.testing.assert_allclose(x, FRAMES * 0.5 - 1)
    np.testing.assert_allclose(x, y, err_msg="pynwb's own conversion")
    assert population.provenance(x)["chosen"]["conversion"] == 0.5


def test_unscaled_float32_stays_float32(write_nwb):
    with open_nwb(write_nwb(rois(FRAMES.astype(np.float32), 3))) as recording:
        assert recording.calcium().dtype == np.float32


DATA = "processing/ophys/Fluorescence/RoiResponseSeries/data"


@pytest.mark.parametrize("clock", [{"rate": 10.0}, {"timestamps": np.arange(20) / 10}])
def test_transposed_values_are_recognised_and_said(write_nwb, clock):
    path = write_nwb(rois(FRAMES, 3, **clock))
    replace(path, DATA, FRAMES.T)
    with open_nwb(path) as recording:
        with pytest.warns(DataWarning, match=r"stored \(unit, time\) = \(3, 20\).* 3 units"):
            x = recording.calcium()
        with pytest.warns(DataWarning, match="transposed"):
            y = recording.calcium(window=(0.5, 1.0), units=[2, 0])
        assert "20 frames x 3 ROIs" in repr(recording)
        assert "stored (ROI, time)" in recording.contents.set_index("kind").loc["rois (raw)", "notes"]
    np.testing.assert_array_equal(x, FRAMES)
    np.testing.assert_array_equal(y, FRAMES[5:10, [2, 0]])


def test_square_values_are_refused_until_told(write_nwb):
    square = np.arange(9.0).reshape(3, 3)
    path = write_nwb(rois(square, 3))
    with open_nwb(path) as recording:
        with pytest.raises(InputError, match=r"shape \(3, 3\) .* time could be either axis"):
            recording.calcium()
        np.testing.assert_array_equal(recording.calcium(transposed=False), square)
        np.testing.assert_array_equal(recording.calcium(transposed=True), square.T)


def test_values_that_fit_neither_way_are_refused(write_nwb):
    path = write_nwb(rois(FRAMES, 3))
    replace(path, DATA, FRAMES[:, :2])
    with open_nwb(path) as recording:
        with pytest.raises(InputError, match="fits neither .* the file states 3 units and a rate"):
            recording.calcium()
        assert recording.calcium(transposed=False).shape == (20, 2)


def test_one_roi_may_be_stored_without_an_axis_of_its_own(write_nwb):
    with open_nwb(write_nwb(rois(FRAMES[:, 0], 1, ids=[7]))) as recording:
        x = recording.calcium()
    np.testing.assert_array_equal(x.values, FRAMES[:, :1])
    assert x["unit"].values.tolist() == [7]


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


@pytest.fixture
def several(write_nwb):
    """Three kinds in one container, as suite2p's older exports have it."""
    return write_nwb(
        rois(FRAMES, 3, name="Raw"),
        rois(FRAMES + 100, 3, name="Neuropil"),
        rois(FRAMES + 200, 3, name="Deconvolved"),
        rois(FRAMES + 300, 3, name="plane0", container="DfOverF", dff=True),
        rois(FRAMES + 400, 3, name="plane1", container="DfOverF", dff=True),
    )


def test_of_several_series_one_must_be_meant(several):
    with open_nwb(several) as recording:
        with pytest.raises(InputError, match=r"5 ROI series: .*Deconvolved' \(deconvolved\).*series= or kind="):
            recording.calcium()
        with pytest.raises(InputError, match="2 ROI series of kind 'dF/F'.*plane0.*plane1"):
            recording.calcium(kind="dF/F")
        with pytest.raises(MissingError, match="no ROI series is of kind 'events'; there are .*Raw"):
            recording.calcium(kind="events")
        with pytest.raises(InputError, match="kind must be one of raw, neuropil, dF/F.*got 'spikes'"):
            recording.calcium(kind="spikes")
        with pytest.raises(MissingError, match="no ROI series 'plane7'"):
            recording.calcium("plane7")


def test_kind_and_name_choose(several):
    with open_nwb(several) as recording:
        deconvolved = recording.calcium(kind="Deconvolved")
        plane = recording.calcium("DfOverF/plane1")
    assert float(deconvolved[0, 0]) == 200
    assert deconvolved.attrs["quantity"] == "deconvolved activity"
    assert float(plane[0, 0]) == 400
    assert (plane.attrs["quantity"], plane.attrs["units"]) == ("dF/F", "1")


@pytest.mark.parametrize(
    "columns",
    [
        {"iscell": [[1.0, 0.9], [0.0, 0.7], [1.0, 0.4]]},
        {"iscell": [True, False, True]},
        {"accepted": [1, 0, 1]},
        {"rejected": [0, 1, 0]},
    ],
)
def test_cells_only_keeps_the_marked_rois(write_nwb, columns):
    with open_nwb(write_nwb(rois(FRAMES, 3, columns=columns))) as recording:
        x = recording.calcium(cells_only=True)
        everything = recording.calcium()
    np.testing.assert_array_equal(x, FRAMES[:, [0, 2]])
    assert population.provenance(x)["chosen"]["cells_only"] == [2, 3]
    assert everything.sizes["unit"] == 3
    if np.ndim(next(iter(columns.values()))) == 2:
        np.testing.assert_array_equal(everything["iscell"], [True, False, True])
        np.testing.assert_allclose(everything["iscell_probability"], [0.9, 0.7, 0.4])


def test_cells_only_needs_a_mark_and_a_cell(write_nwb):
    with (
        open_nwb(write_nwb(rois(FRAMES, 3, columns={"snr": [1.0, 2.0, 3.0]}))) as recording,
        pytest.raises(MissingError, match="iscell, accepted or rejected .*snr"),
    ):
        recording.calcium(cells_only=True)
    with (
        open_nwb(write_nwb(rois(FRAMES, 3, columns={"iscell": [0, 0, 0]}))) as recording,
        pytest.raises(InputError, match="no ROI .* is marked as a cell"),
    ):
        recording.calcium(cells_only=True)


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


def test_a_jittering_clock_loses_no_frame_and_a_gap_is_nan(write_nwb):
    rng = np.random.default_rng(0)
    clock = np.arange(40) / 10 + rng.uniform(-0.02, 0.02, 40)
    kept = np.delete(np.arange(40), [20, 21])
    frames = np.arange(40.0)[:, None] * np.ones((1, 3))
    starts = np.linspace(0.1, 1.2, 30)
    path = write_nwb(rois(frames[kept], 3, timestamps=clock[kept]), trials([*starts, 1.85, 1.95]))
    with open_nwb(path) as recording:
        with pytest.warns(DataWarning, match="2 of 32 windows .* across a gap in them: 4 bins are NaN"):
            x = recording.calcium(align="trials", window=(0, 0.6))
        with pytest.warns(DataWarning, match="2 of 32 windows"):
            mean = recording.calcium(align="trials", window=(0, 0.6), reduce="mean")
    whole = x.values[:30, :, 0]
    assert not np.isnan(whole).any()
    np.testing.assert_array_equal(np.diff(whole, axis=1), 1.0)
    np.testing.assert_array_equal(x.values[30, :, 0], [19, np.nan, np.nan, 22, 23, 24])
    np.testing.assert_array_equal(np.isnan(x.values[31, :, 0]), [True, True, False, False, False, False])
    assert np.isnan(mean.values[30:]).all()
    assert not np.isnan(mean.values[:30]).any()


def test_nan_frames_stay(write_nwb):
    values = FRAMES.copy()
    values[4] = np.nan
    with open_nwb(write_nwb(rois(values, 3))) as recording:
        np.testing.assert_array_equal(recording.calcium(), values)


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


@pytest.mark.parametrize(("imaging_rate", "warns"), [(None, True), (30.0, True), (1.0, False)])
def test_a_rate_of_one_that_the_plane_does_not_confirm_is_doubted(write_nwb, imaging_rate, warns, recwarn):
    path = write_nwb(rois(FRAMES, 3, rate=1.0, imaging_rate=imaging_rate, comments="1.0 = frame index"))
    with open_nwb(path) as recording:
        recording.calcium()
        assert ("likely the frame index" in repr(recording)) == warns
    said = [str(one.message) for one in recwarn]
    assert any("rate of exactly 1 Hz" in text and "'1.0 = frame index'" in text for text in said) == warns


def test_clocks_that_run_backwards_are_refused(write_nwb):
    stamps = np.arange(20) / 10
    stamps[7] = 0.1
    path = write_nwb(rois(FRAMES, 3, timestamps=stamps))
    with open_nwb(path) as recording, pytest.raises(FileError, match=r"timestamps of .* must rise .*1 of 20 do not"):
        recording.calcium()


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
