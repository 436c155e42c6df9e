"""Neuropil, dF/F, deconvolution and bins of ROI series: closed forms, naive loops, and what must be refused."""

import pickle
import sys
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
from nwb_parts import rois, series, trials

from neurosparse import open_nwb, population
from neurosparse.errors import DataWarning, DependencyError, FileError, InputError, MissingError
from neurosparse.recordings.calcium import neuropil_of

RNG = np.random.default_rng(0)
F = 100 + RNG.normal(0, 5, (200, 3)) + 50 * (RNG.random((200, 3)) > 0.95)
AROUND = 20 + RNG.normal(0, 2, (200, 3))


@pytest.fixture
def plane(write_nwb):
    columns = {"iscell": [1, 0, 1]}
    return write_nwb(
        rois(F, 3, name="Raw", columns=columns), rois(AROUND, 3, name="Neuropil"), trials([2.0, 5.0, 12.05])
    )


def test_neuropil_is_taken_away_by_its_factor(plane):
    with open_nwb(plane) as recording:
        x = recording.calcium("Raw", neuropil=0.7)
        cells = recording.calcium(kind="raw", neuropil=("Neuropil", 0.5), cells_only=True)
        cut = recording.calcium("Raw", neuropil=0.7, align="trials", window=(0, 1))
        mean = recording.calcium("Raw", neuropil=0.7, align="trials", window=(0, 1), reduce="mean")
    np.testing.assert_allclose(x, F - 0.7 * AROUND)
    np.testing.assert_allclose(cells, (F - 0.5 * AROUND)[:, [0, 2]])
    np.testing.assert_allclose(cut[:2], [x.values[20:30], x.values[50:60]])
    np.testing.assert_allclose(mean, cut.mean("time"))
    assert (x.attrs["quantity"], x.attrs["units"]) == ("fluorescence, neuropil subtracted", "lumens")
    facts = population.provenance(x)["chosen"]["neuropil"]
    assert (facts["series"].rpartition("/")[2], facts["factor"]) == ("Neuropil", 0.7)


def test_neuropil_must_belong_to_the_series(write_nwb):
    path = write_nwb(rois(F, 3, name="Raw"), rois(AROUND[:100], 3, name="Neuropil"))
    with open_nwb(path) as recording:
        with pytest.raises(InputError, match=r"the clock and the units of .*Raw', .* \(200, 3\); got \(100, 3\)"):
            recording.calcium("Raw", neuropil=0.7)
        with pytest.raises(InputError, match="neuropil must be a factor above 0 and up to 1, such as 0.7; got 7"):
            recording.calcium("Raw", neuropil=7)
    with (
        open_nwb(write_nwb(rois(F, 3, name="Raw"), name="alone.nwb")) as recording,
        pytest.raises(MissingError, match="no ROI series is of kind 'neuropil'"),
    ):
        recording.calcium("Raw", neuropil=0.7)


def test_neuropil_of_several_planes_is_that_of_each_planes_own_rois(write_nwb):
    """Two planes of as many ROIs with the same ids, whose neuropil series stand in the other order."""
    late = {"timestamps": np.arange(200) / 10 + 0.04}
    path = write_nwb(
        rois(F, 3, name="Raw0", table="plane0"),
        rois(F[::-1], 3, name="Raw1", table="plane1", **late),
        rois(AROUND[::-1], 3, name="Neuropil_a", table="plane1", **late),
        rois(AROUND, 3, name="Neuropil_b", table="plane0"),
    )
    expected = np.concatenate([F - 0.7 * AROUND, (F - 0.7 * AROUND)[::-1]], axis=1)
    with open_nwb(path) as recording:
        x = recording.calcium(kind="raw", clock="nearest", neuropil=0.7)
        named = recording.calcium(["Raw0", "Raw1"], clock="nearest", neuropil=(["Neuropil_b", "Neuropil_a"], 0.7))
        alone = recording.calcium("Raw1", neuropil=0.7)
        with pytest.raises(InputError, match="names 1 series for 2 ROI series; it must name one for each"):
            recording.calcium(kind="raw", clock="nearest", neuropil=("Neuropil_a", 0.7))
    np.testing.assert_allclose(x, expected)
    np.testing.assert_array_equal(named, x)
    np.testing.assert_allclose(alone, expected[:, 3:])
    told = population.provenance(x)["chosen"]["neuropil"]
    assert [one["series"].rpartition("/")[2] for one in told] == ["Neuropil_b", "Neuropil_a"]


def test_neuropil_that_could_be_of_either_is_asked_for(write_nwb):
    """Two series around the same ROIs, and one plane with none."""
    parts = [rois(F, 3, name="Raw"), rois(AROUND, 3, name="Neuropil_a"), rois(AROUND, 3, name="Neuropil_b")]
    with open_nwb(write_nwb(*parts, rois(F, 3, name="Raw1", table="other"))) as recording:
        for name, count in (("Raw", 2), ("Raw1", 0)):
            with pytest.raises(InputError, match=f"{count} of 2 neuropil series stand on the ROIs of .*{name}'.*path"):
                recording.calcium(name, neuropil=0.7)


def test_planes_that_share_a_table_are_told_apart_by_their_rows():
    table = SimpleNamespace(path="cells", ids=np.arange(4))

    def on(path, rows):
        region = SimpleNamespace(target=table, values=lambda: np.array(rows))
        return SimpleNamespace(path=path, region=region, name=path, container="", container_type="")

    around = [on("Neuropil_a", [2, 3]), on("Neuropil_b", [0, 1])]
    assert neuropil_of(on("Raw", [0, 1]), around, 2) is around[1]


def naive_dff(f, percentile, half):
    """One frame and unit at a time."""
    made = np.full(f.shape, np.nan)
    for t in range(len(f)):
        for unit in range(f.shape[1]):
            window = f[max(t - half, 0) : t + half + 1, unit]
            base = np.percentile(window[~np.isnan(window)], percentile)
            if base > 0:
                made[t, unit] = (f[t, unit] - base) / base
    return made


def test_dff_is_that_of_a_naive_loop_in_every_shape(plane):
    with open_nwb(plane) as recording:
        x = recording.calcium("Raw", baseline=(8, 6.0))
        part = recording.calcium("Raw", baseline=(8, 6.0), window=(4.0, 9.0))
        cut = recording.calcium("Raw", baseline=(8, 6.0), align="trials", window=(0, 1))
        lazily = recording.calcium("Raw", baseline=(8, 6.0), chunks=17)
    expected = naive_dff(F, 8, 30)
    np.testing.assert_allclose(x, expected)
    np.testing.assert_allclose(part, expected[40:90])
    np.testing.assert_allclose(cut[:2], [expected[20:30], expected[50:60]])
    np.testing.assert_allclose(lazily.compute(), expected)
    assert (x.attrs["quantity"], x.attrs["units"]) == ("dF/F", "1")
    assert population.provenance(x)["chosen"]["baseline"]["percentile"] == 8


def test_dff_passes_over_nan_frames_and_is_nan_where_the_baseline_is_not_positive(write_nwb):
    f = F.copy()
    f[50:60, 0] = np.nan
    f[:, 1] -= 200
    with open_nwb(write_nwb(rois(f, 3, name="Raw"))) as recording:
        x = recording.calcium(baseline=(8, 6.0))
    np.testing.assert_allclose(x, naive_dff(f, 8, 30))
    assert np.isnan(x[50:60, 0]).all()
    assert not np.isnan(x[45:50, 0]).any()
    assert np.isnan(x[:, 1]).all()


def test_neuropil_goes_before_the_baseline(plane):
    with open_nwb(plane) as recording:
        x = recording.calcium("Raw", neuropil=0.7, baseline=(8, 6.0))
    np.testing.assert_allclose(x, naive_dff(F - 0.7 * AROUND, 8, 30))


@pytest.mark.parametrize("baseline", [8, (8,), (8, 0.1), (101, 60), (8, np.nan), ("low", 60)])
def test_a_baseline_is_a_percentile_and_seconds(plane, baseline):
    with (
        open_nwb(plane) as recording,
        pytest.raises(InputError, match=r"baseline must be a percentile and seconds .*8, 60"),
    ):
        recording.calcium("Raw", baseline=baseline)


def calcium_trace(spikes, decay):
    """Each spike decays by exp(-1 / decay) a frame."""
    trace = np.zeros(len(spikes))
    for t, spike in enumerate(spikes):
        trace[t] = trace[t - 1] * np.exp(-1 / decay) * (t > 0) + spike
    return trace


def test_deconvolution_finds_the_spikes_of_a_simulated_trace(write_nwb):
    pytest.importorskip("oasis")
    rng = np.random.default_rng(3)
    spikes = (rng.random((2000, 2)) < 0.02).astype(float)
    clean = np.stack([calcium_trace(one, 20) for one in spikes.T], axis=1)
    path = write_nwb(rois(clean + rng.normal(0, 0.1, clean.shape), 2, name="Raw", rate=30.0), trials([5.0, 20.0]))
    with open_nwb(path) as recording:
        raw = recording.calcium()
        x = recording.calcium(deconvolve="oasis")
        given = recording.calcium(deconvolve=("oasis", 20 / 30))
        cut = recording.calcium(deconvolve="oasis", align="trials", window=(0, 1))
        with pytest.raises(MissingError, match="or infer it with deconvolve='oasis'"):
            recording.calcium(kind="deconvolved")
    near = np.stack([np.convolve(one, np.ones(3), "same") for one in spikes.T], axis=1)
    for found in (x, given):
        r = [np.corrcoef(np.convolve(found[:, unit], np.ones(3), "same"), near[:, unit])[0, 1] for unit in range(2)]
        assert min(r) > 0.9
        np.testing.assert_allclose(found.sum("time"), spikes.sum(0), rtol=0.25)  # the l1 penalty shrinks events
    r_raw = [np.corrcoef(np.convolve(raw[:, unit], np.ones(3), "same"), near[:, unit])[0, 1] for unit in range(2)]
    assert max(r_raw) < 0.6, "the fluorescence itself does not follow them"
    assert float(x.min()) >= 0
    np.testing.assert_array_equal(cut[0], x.values[150:180])
    assert x.attrs["quantity"] == "deconvolved activity"
    assert population.provenance(given)["chosen"]["deconvolve"]["decay"] == 20 / 30


def test_without_the_library_nothing_is_deconvolved(plane, monkeypatch):
    monkeypatch.setitem(sys.modules, "oasis.functions", None)
    message = r"needs the package oasis-deconv, and nothing else .*neurosparse\[calcium"
    with open_nwb(plane) as recording, pytest.raises(DependencyError, match=message):
        recording.calcium("Raw", deconvolve="oasis")


def test_what_cannot_be_deconvolved_is_refused(write_nwb):
    pytest.importorskip("oasis")
    f = F.copy()
    f[50, 0] = np.nan
    gap = np.arange(200) / 10
    gap[100:] += 1
    with open_nwb(write_nwb(rois(f, 3, name="Raw"), rois(F, 3, name="Gap", timestamps=gap))) as recording:
        with pytest.raises(InputError, match="1 of 3 units of .*Raw' hold NaN"):
            recording.calcium("Raw", deconvolve="oasis")
        with pytest.raises(InputError, match="a clock without gaps; that of .*Gap' has 1"):
            recording.calcium("Gap", deconvolve="oasis")
        for asked in ("caiman", ("oasis", -1.0)):
            with pytest.raises(InputError, match=r"deconvolve must be 'oasis' or \('oasis', decay in seconds\)"):
                recording.calcium("Raw", deconvolve=asked)


def test_bins_are_means_of_their_frames(plane):
    """Trial 2 begins between two frames: its first bin holds the frames from 12.1 s on."""
    with open_nwb(plane) as recording:
        x = recording.calcium("Raw", bin_width=0.5)
        window = recording.calcium("Raw", bin_width=0.5, window=(2.0, 4.0))
        cut = recording.calcium("Raw", bin_width=0.5, align="trials", window=(-0.5, 1.0))
        lazily = recording.calcium("Raw", bin_width=0.5, align="trials", window=(-0.5, 1.0), chunks=2)
        flat = recording.calcium("Raw", bin_width=0.5, chunks=7)
    expected = F.reshape(40, 5, 3).mean(1)
    np.testing.assert_allclose(x, expected)
    np.testing.assert_allclose(x["time"], np.arange(40) * 0.5 + 0.25)
    assert x.attrs["bin_width"] == 0.5
    np.testing.assert_allclose(window, expected[4:8])
    np.testing.assert_allclose(cut[:2], [expected[3:6], expected[9:12]])
    np.testing.assert_allclose(cut[2, 0], F[116:121].mean(0))
    np.testing.assert_array_equal(lazily.compute(), cut)
    np.testing.assert_array_equal(flat.compute(), x)


def test_bins_without_frames_are_nan_and_narrow_ones_refused(plane):
    with open_nwb(plane) as recording:
        with pytest.warns(DataWarning, match="2 of 4 bins hold no frame"):
            x = recording.calcium("Raw", bin_width=0.5, window=(19.0, 21.0))
        with pytest.raises(InputError, match="bin_width must be at least a frame of .*Raw', 0.1 s; got 0.03 s"):
            recording.calcium("Raw", bin_width=0.03)
        with pytest.raises(InputError, match="bin_width is of bins; with reduce='mean' there are none"):
            recording.calcium("Raw", bin_width=0.5, align="trials", window=(0, 1), reduce="mean")
    np.testing.assert_array_equal(np.isnan(x[:, 0]), [False, False, True, True])


@pytest.mark.filterwarnings("ignore::neurosparse.errors.DataWarning")
@pytest.mark.parametrize("chunks", [None, (7, 2)])
@pytest.mark.parametrize(
    "options", [{}, {"align": "trials", "window": (-0.3, 1.0)}, {"align": "trials", "window": (0, 1), "reduce": "sum"}]
)
def test_blocks_are_the_whole_and_outlive_the_recording(write_nwb, tmp_path, options, chunks):
    pytest.importorskip("dask")
    path = write_nwb(rois(F, 3, conversion=2.0), trials([0.1, 5.0, 5.2, 9.0, 18.7]), series("lfp", F, rate=10.0))
    if chunks:
        name = "processing/ophys/Fluorescence/RoiResponseSeries/data"
        with h5py.File(path, "r+") as file:
            attrs = dict(file[name].attrs)
            del file[name]
            file.create_dataset(name, data=F, chunks=chunks, compression="gzip").attrs.update(attrs)
    with open_nwb(path) as recording:
        whole = recording.calcium(units=[2, 0], **options)
        lazily = recording.calcium(units=[2, 0], chunks=2, **options)
        lfp = recording.series("lfp", chunks=2, **options), recording.series("lfp", **options)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(lazily.data)).compute(), whole.values)
    np.testing.assert_array_equal(lazily[1:4, ..., :1].compute(), whole[1:4, ..., :1])
    np.testing.assert_array_equal(lfp[0].compute(), lfp[1])
    assert lazily.dtype == whole.dtype
    assert lazily.chunks[0][0] == 2
    path.rename(tmp_path / "moved.nwb")
    with pytest.raises(FileError, match="cannot read .*RoiResponseSeries/data of .*Was the file moved"):
        lazily.compute()
