"""What series of real files do: rows 15 to 22 of the list of quirks, each on a file written here."""

import warnings

import h5py
import numpy as np
import pytest
from nwb_parts import replace, rois, series, trials

from neurosparse import open_nwb, population
from neurosparse.errors import DataWarning, FileError, InputError, MissingError

FRAMES = np.arange(60.0).reshape(20, 3)
DATA = "processing/ophys/Fluorescence/RoiResponseSeries/data"


def test_row_15_conversion_and_offset_are_applied_and_recorded(write_nwb):
    stored = FRAMES.astype(np.int16)
    path = write_nwb(rois(stored, 3, conversion=0.5, offset=-1.0), trials([0.5]))
    with open_nwb(path) as recording:
        x = recording.calcium()
        cut = recording.calcium(align="trials", window=(0, 0.5))
        mean = recording.calcium(align="trials", window=(0, 0.5), reduce="mean")
        y = recording.nwbfile.processing["ophys"]["Fluorescence"]["RoiResponseSeries"].get_data_in_units()
    np.testing.assert_allclose(x, FRAMES * 0.5 - 1)
    np.testing.assert_allclose(x, y, err_msg="pynwb's own conversion")
    np.testing.assert_allclose(cut[0], FRAMES[5:10] * 0.5 - 1)
    np.testing.assert_allclose(mean[0], FRAMES[5:10].mean(0) * 0.5 - 1)
    chosen = population.provenance(x)["chosen"]
    assert (chosen["conversion"], chosen["offset"]) == (0.5, -1.0)


def test_row_16_time_is_float64_whatever_the_file_says_the_rate_in(write_nwb):
    """A rate stored as float32; at 7,200 s a float32 clock would have steps of half a millisecond."""
    path = write_nwb(rois(np.zeros((20, 3)), 3, rate=30.0, starting_time=7200.0))
    with h5py.File(path, "r+") as file:
        file["processing/ophys/Fluorescence/RoiResponseSeries/starting_time"].attrs["rate"] = np.float32(30.0)
    with open_nwb(path) as recording:
        x = recording.calcium()
    assert x["time"].dtype == np.float64
    np.testing.assert_allclose(x["time"], 7200 + np.arange(20) / 30, rtol=0, atol=1e-9)
    assert len(np.unique(x["time"].values.astype(np.float32))) == 20
    assert np.ptp(np.diff(x["time"].values.astype(np.float32))) > 3e-4, "and float32 would jitter"


def test_row_16_timestamps_in_float32_become_float64(write_nwb):
    path = write_nwb(rois(FRAMES, 3, timestamps=np.arange(20) / 10))
    replace(path, "processing/ophys/Fluorescence/RoiResponseSeries/timestamps", (np.arange(20) / 10).astype(np.float32))
    with open_nwb(path) as recording:
        x = recording.calcium()
    assert x["time"].dtype == np.float64
    np.testing.assert_allclose(x["time"], np.arange(20) / 10, atol=1e-6)


@pytest.mark.parametrize("clock", [{"rate": 10.0}, {"timestamps": np.arange(20) / 10}])
def test_row_17_transposed_values_are_recognised_and_said(write_nwb, clock):
    path = write_nwb(rois(FRAMES, 3, **clock), trials([0.5]))
    replace(path, DATA, FRAMES.T)
    with open_nwb(path) as recording:
        with pytest.warns(DataWarning, match=r"stored \(unit, time\) = \(3, 20\).* 3 units"):
            x = recording.calcium()
        with pytest.warns(DataWarning, match="transposed"):
            y = recording.calcium(window=(0.5, 1.0), units=[2, 0])
        with pytest.warns(DataWarning, match="transposed"):
            z = recording.calcium(align="trials", window=(0, 0.5))
        assert "20 frames x 3 ROIs" in repr(recording)
        assert "stored (ROI, time)" in recording.contents.set_index("kind").loc["rois (raw)", "notes"]
    np.testing.assert_array_equal(x, FRAMES)
    np.testing.assert_array_equal(y, FRAMES[5:10, [2, 0]])
    np.testing.assert_array_equal(z[0], FRAMES[5:10])
    assert population.provenance(x)["chosen"]["transposed"] is True


def test_row_17_square_values_are_refused_until_told(write_nwb):
    square = np.arange(9.0).reshape(3, 3)
    path = write_nwb(rois(square, 3))
    with open_nwb(path) as recording:
        with pytest.raises(InputError, match=r"shape \(3, 3\) .* time could be either axis"):
            recording.calcium()
        np.testing.assert_array_equal(recording.calcium(transposed=False), square)
        np.testing.assert_array_equal(recording.calcium(transposed=True), square.T)


def test_row_18_one_roi_may_be_stored_without_an_axis_of_its_own(write_nwb):
    with open_nwb(write_nwb(rois(FRAMES[:, 0], 1, ids=[7]), trials([0.5]))) as recording:
        x = recording.calcium()
        y = recording.calcium(align="trials", window=(0, 0.3))
    np.testing.assert_array_equal(x.values, FRAMES[:, :1])
    np.testing.assert_array_equal(y[0], FRAMES[5:8, :1])
    assert x["unit"].values.tolist() == [7]


def test_row_18_more_rois_than_columns_are_an_error_with_both_sizes(write_nwb):
    """Background components: clipping the columns, or the names, would label cells with others' ids."""
    path = write_nwb(rois(FRAMES, 3))
    replace(path, DATA, FRAMES[:, :2])
    with open_nwb(path) as recording:
        with pytest.raises(InputError, match=r"shape \(20, 2\), which fits neither .* the file states 3 units"):
            recording.calcium()
        forced = recording.calcium(transposed=False)
    np.testing.assert_array_equal(forced, FRAMES[:, :2])
    assert forced["unit_id"].values.tolist() == [0, 1], "no ROI's id"


@pytest.fixture
def several(write_nwb):
    """Three kinds in one container, as suite2p's older exports have it, and two planes of a fourth."""
    return write_nwb(
        rois(FRAMES, 3, name="Raw"),
        rois(FRAMES + 100, 3, name="Neuropil"),
        rois(FRAMES + 200, 3, name="Deconvolved"),
        rois(FRAMES + 300, 3, name="Dff_Z1", container="PlaneZ1", dff=True),
        rois(FRAMES + 400, 3, name="Dff_Z2", container="PlaneZ2", dff=True),
    )


def test_row_19_series_are_found_by_type_and_told_apart_by_name(several):
    with open_nwb(several) as recording:
        kinds = recording.contents.set_index("path")["kind"]
        with pytest.raises(InputError, match=r"5 ROI series: .*Deconvolved' \(deconvolved\).*series= or kind="):
            recording.calcium()
        with pytest.raises(InputError, match="2 ROI series of kind 'dF/F'.*Dff_Z1.*Dff_Z2"):
            recording.calcium(kind="dF/F")
        with pytest.raises(MissingError, match="no ROI series is of kind 'events'; there are .*Raw"):
            recording.calcium(kind="events")
        with pytest.raises(InputError, match="kind must be one of raw, neuropil, dF/F.*got 'spikes'"):
            recording.calcium(kind="spikes")
        with pytest.raises(MissingError, match="no ROI series 'plane7'"):
            recording.calcium("plane7")
        deconvolved = recording.calcium(kind="Deconvolved")
        plane = recording.calcium("PlaneZ2/Dff_Z2")
    assert kinds["processing/ophys/Fluorescence/Neuropil"] == "rois (neuropil)"
    assert kinds["processing/ophys/PlaneZ1/Dff_Z1"] == "rois (dF/F)"
    assert (float(deconvolved[0, 0]), deconvolved.attrs["quantity"]) == (200, "deconvolved activity")
    assert (float(plane[0, 0]), plane.attrs["quantity"], plane.attrs["units"]) == (400, "dF/F", "1")


TICKS = np.arange(20) / 10


def wave(times, n=3):
    """Columns linear in time, each with its own slope."""
    return np.asarray(times)[:, None] * (1 + np.arange(n))


@pytest.fixture
def planes(write_nwb):
    """Two planes scanned in turn, the second 50 ms late."""
    return write_nwb(
        rois(wave(TICKS), 3, name="plane0", container="DfOverF", dff=True, timestamps=TICKS),
        rois(wave(TICKS + 0.04), 3, name="plane1", container="DfOverF", dff=True, timestamps=TICKS + 0.04),
        trials([0.5, 1.0]),
    )


def test_row_20_planes_keep_their_own_clock_one_by_one(planes):
    with open_nwb(planes) as recording:
        first, second = recording.calcium("plane0"), recording.calcium("plane1")
    np.testing.assert_array_equal(first["time"], TICKS)
    np.testing.assert_array_equal(second["time"], TICKS + 0.04)


@pytest.mark.parametrize("how", ["linear", "nearest", "bin"])
def test_row_20_planes_are_brought_to_the_clock_of_the_first(planes, how):
    with open_nwb(planes) as recording:
        x = recording.calcium(["plane0", "plane1"], clock=how)
        same = recording.calcium(kind="dF/F", clock=how)
        cut = recording.calcium(["plane0", "plane1"], clock=how, align="trials", window=(0, 0.4))
    assert x.shape == (20, 6)
    np.testing.assert_array_equal(x["time"], TICKS)
    np.testing.assert_array_equal(x[:, :3], wave(TICKS))
    other = {"linear": wave(TICKS), "nearest": wave(TICKS + 0.04), "bin": wave(TICKS + 0.04)}[how]
    if how == "linear":
        assert np.isnan(x[0, 3:]).all(), "before the plane's first frame"
    np.testing.assert_allclose(x[1:, 3:], other[1:])
    np.testing.assert_allclose(cut, np.stack([x.values[5:9], x.values[10:14]]))
    np.testing.assert_array_equal(same, x)
    assert x["plane"].values.tolist() == ["plane0"] * 3 + ["plane1"] * 3
    np.testing.assert_allclose(x["time_offset"], [0, 0, 0, 0.04, 0.04, 0.04], atol=1e-12)
    assert x["unit"].values[3] == "plane1:0"
    np.testing.assert_array_equal(x["unit_id"], [0, 1, 2, 0, 1, 2])
    assert population.provenance(x)["chosen"]["clock"]["how"] == how
    assert x.attrs["source"].endswith("DfOverF/plane0 + processing/ophys/DfOverF/plane1")


def test_row_20_a_slow_plane_between_quick_ticks_and_the_other_way(write_nwb):
    """Bins of a slow clock average the quick plane's frames; a quick clock leaves bins of the slow plane empty."""
    slow, quick = np.arange(10) / 5, np.arange(40) / 20
    path = write_nwb(
        rois(wave(slow), 3, name="slow", timestamps=slow), rois(wave(quick), 3, name="quick", timestamps=quick)
    )
    with open_nwb(path) as recording:
        means = recording.calcium(["slow", "quick"], clock="bin")
        holes = recording.calcium(["quick", "slow"], clock="bin")
        nearest = recording.calcium(["quick", "slow"], clock="nearest")
    np.testing.assert_allclose(means[:, 3:], wave(slow + 0.075))
    np.testing.assert_array_equal(np.isnan(holes[:, 3]), np.arange(40) % 4 != 0)
    np.testing.assert_allclose(nearest[:37, 3:], wave(slow[np.array([0, 0, 0, *np.repeat(np.arange(1, 10), 4)])[:37]]))


def test_row_20_several_clocks_need_a_word(planes):
    with (
        open_nwb(planes) as recording,
        pytest.raises(
            InputError, match="2 ROI series have a clock each: clock= says .* nearest, linear, bin; got None"
        ),
    ):
        recording.calcium(["plane0", "plane1"])


def test_row_21_nan_frames_stay_in_every_shape(write_nwb):
    values = FRAMES.copy()
    values[4] = np.nan
    path = write_nwb(rois(values, 3), trials([0.2, 1.0]))
    with open_nwb(path) as recording:
        np.testing.assert_array_equal(recording.calcium(), values)
        cut = recording.calcium(align="trials", window=(0, 0.4))
        mean = recording.calcium(align="trials", window=(0, 0.4), reduce="mean")
        binned = recording.calcium(bin_width=0.2)
    np.testing.assert_array_equal(cut, [values[2:6], values[10:14]])
    np.testing.assert_array_equal(np.isnan(mean), [[True] * 3, [False] * 3])
    np.testing.assert_array_equal(np.isnan(binned[:, 0]), np.arange(10) == 2)
    np.testing.assert_allclose(binned[3], FRAMES[6:8].mean(0))


def test_row_21_dropped_frames_are_nan_and_a_jittering_clock_loses_none(write_nwb):
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


def test_row_21_clocks_that_run_backwards_repeat_or_miss_times_are_refused_or_mended(write_nwb):
    stamps = np.arange(20) / 10
    stamps[7], stamps[8], stamps[12], stamps[15] = stamps[8], stamps[7], np.nan, stamps[14]
    path = write_nwb(rois(FRAMES, 3, timestamps=stamps), trials([0.5]))
    with open_nwb(path) as recording:
        with pytest.raises(FileError, match=r"timestamps of .* must rise .*2 of 20 do not. Give repair=True"):
            recording.calcium()
        with pytest.warns(
            DataWarning, match="mended: 1 of 20 frames have no time .* 1 repeat a time .* backwards 1 times"
        ):
            x = recording.calcium(repair=True)
        with pytest.warns(DataWarning, match="mended"):
            cut = recording.calcium(repair=True, align="trials", window=(0, 0.5), units=[1])
        with pytest.warns(DataWarning, match="mended"):
            lazily = recording.calcium(repair=True, chunks=4)
    order = [0, 1, 2, 3, 4, 5, 6, 8, 7, 9, 10, 11, 13, 14, 16, 17, 18, 19]
    np.testing.assert_allclose(x["time"], np.delete(np.arange(20), [12, 15]) / 10)
    np.testing.assert_array_equal(x, FRAMES[order])
    np.testing.assert_array_equal(cut[0, :, 0], FRAMES[[5, 6, 8, 7, 9], 1])
    np.testing.assert_array_equal(lazily.compute(), FRAMES[order])


def test_row_21_a_repeated_time_alone_is_refused_and_mended_too(write_nwb):
    stamps = np.arange(20) / 10
    stamps[6] = stamps[5]
    path = write_nwb(rois(FRAMES, 3, timestamps=stamps), series("speed", FRAMES[:, :2], timestamps=stamps))
    with open_nwb(path) as recording:
        for load in (recording.calcium, lambda **options: recording.series("speed", **options)):
            with pytest.raises(FileError, match="must rise; 1 of 20 equal the one before. Give repair=True"):
                load()
            with pytest.warns(DataWarning, match="1 repeat a time"):
                assert load(repair=True).sizes["time"] == 19


def test_row_21_a_clock_in_order_is_left_as_it_is(write_nwb):
    path = write_nwb(rois(FRAMES, 3, timestamps=np.arange(20) / 10), series("speed", FRAMES[:, :2], rate=10.0))
    with open_nwb(path) as recording, warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(recording.calcium(repair=True), FRAMES)
        np.testing.assert_array_equal(recording.series("speed", repair=True), FRAMES[:, :2])


@pytest.mark.parametrize(
    "columns",
    [
        {"iscell": [[1.0, 0.9], [0.0, 0.7], [1.0, 0.4]]},
        {"iscell": [True, False, True]},
        {"iscell": [0.9, 0.2, 0.7]},
        {"accepted": [1, 0, 1]},
        {"rejected": [0, 1, 0]},
    ],
    ids=["two columns", "bool", "probability", "accepted", "rejected"],
)
def test_row_22_cells_only_keeps_the_marked_rois_and_says_how_many(write_nwb, columns):
    with open_nwb(write_nwb(rois(FRAMES, 3, columns=columns))) as recording:
        x = recording.calcium(cells_only=True)
        everything = recording.calcium()
    np.testing.assert_array_equal(x, FRAMES[:, [0, 2]])
    assert population.provenance(x)["chosen"]["cells_only"] == [2, 3]
    assert everything.sizes["unit"] == 3
    if np.ndim(next(iter(columns.values()))) == 2:
        np.testing.assert_array_equal(everything["iscell"], [True, False, True])
        np.testing.assert_allclose(everything["iscell_probability"], [0.9, 0.7, 0.4])


def test_row_22_cells_only_needs_a_mark_and_a_cell(write_nwb):
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
