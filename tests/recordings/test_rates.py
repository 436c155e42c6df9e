"""Rates: counts over bin widths, smoothed by kernels of known weights, and populations counted by dask."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nwb_parts import trials, units
from scipy import stats

from neurosparse import open_nwb, population
from neurosparse.errors import DataWarning, DependencyError, InputError
from neurosparse.recordings import lazy
from neurosparse.recordings.kernels import make_kernel, smooth


def test_a_rate_is_the_count_over_the_bin(write_nwb):
    with open_nwb(write_nwb(units([[0.1, 0.2, 1.7]]))) as recording:
        counts = recording.spikes(bin_width=0.5)
        rate = recording.spikes(bin_width=0.5, quantity="rate")
    np.testing.assert_array_equal(rate, counts / 0.5)
    assert (rate.attrs["quantity"], rate.attrs["units"], rate.dtype) == ("firing rate", "Hz", np.float32)


@pytest.mark.parametrize("name", ["gaussian", "boxcar", "half-gaussian", "exponential"])
def test_one_spike_draws_its_kernel(write_nwb, name):
    """The rate of one spike is the kernel's mass in each bin over the bin's width; causal ones start with its bin."""
    with open_nwb(write_nwb(units([[5.005]]), trials([0.0], [10.0]))) as recording:
        x = recording.spikes(bin_width=0.01, kernel=(name, 0.04))
    lag = np.round((x["time"].values - 5.005) / 0.01) * 0.01
    law = {
        "gaussian": (stats.norm(0, 0.04), -0.005),
        "boxcar": (stats.uniform(-0.02, 0.04), -0.005),
        "half-gaussian": (stats.halfnorm(0, 0.04), 0.0),
        "exponential": (stats.expon(0, 0.04), 0.0),
    }[name]
    mass = law[0].cdf(lag + law[1] + 0.01) - law[0].cdf(lag + law[1])
    np.testing.assert_allclose(x[:, 0], mass / 0.01, atol=0.01)
    assert float(x.sum()) * 0.01 == pytest.approx(1.0, abs=1e-5)
    before = float(x[:, 0].where(x["time"] < 5.0, drop=True).sum())
    assert (before == 0) == (name in ("half-gaussian", "exponential"))
    facts = population.provenance(x)["chosen"]
    assert (facts["kernel"], facts["kernel_seconds"]) == (name, 0.04)


def test_a_constant_rate_stays_constant_up_to_the_ends_and_beside_gaps(write_nwb):
    """Bins that were not observed weigh nothing: no dip at the ends of the session, nor beside a gap in it."""
    regular = np.arange(0.005, 10, 0.01)
    kept = regular[(regular < 4) | (regular > 5)]
    path = write_nwb(units([kept], obs=[[[0.0, 4.0], [5.0, 10.0]]]), trials([0.0, 3.5, 9.0]))
    with open_nwb(path) as recording:
        for name in ("gaussian", "half-gaussian"):
            with pytest.warns(DataWarning, match="100 of 1000 counts are NaN"):
                x = recording.spikes(bin_width=0.01, kernel=(name, 0.1), window=(0.0, 10.0))
            inside = (x["time"] > 4) & (x["time"] < 5)
            assert np.isnan(x[:, 0][inside]).all()
            np.testing.assert_allclose(x[:, 0][~inside], 100, rtol=1e-6)
        with pytest.warns(DataWarning, match="50 of 300 counts"):
            y = recording.spikes(bin_width=0.01, kernel=("gaussian", 0.1), align="trials", window=(0.0, 1.0))
    np.testing.assert_allclose(y.values[~np.isnan(y.values)], 100, rtol=1e-6)
    assert np.isnan(y[1, 50:]).all()


def test_spikes_around_the_window_are_read(write_nwb):
    """Smoothing within trials is smoothing the session and then cutting it."""
    rng = np.random.default_rng(1)
    path = write_nwb(units([np.sort(rng.uniform(0, 20, 400))]), trials([0.0, 5.0, 12.0], [20.0, 6.0, 13.0]))
    with open_nwb(path) as recording:
        session = recording.spikes(bin_width=0.1, kernel=("gaussian", 0.3))
        cut = recording.spikes(bin_width=0.1, kernel=("gaussian", 0.3), align="trials", window=(0.0, 1.0))
    for trial, start in enumerate((0.0, 5.0, 12.0)):
        first = round(start / 0.1)
        np.testing.assert_allclose(cut[trial], session[first : first + 10], rtol=1e-5)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31), st.sampled_from(["gaussian", "exponential", "boxcar", "half-gaussian"]), st.booleans())
def test_smoothing_is_the_weighted_mean_of_a_naive_loop(seed, name, fourier):
    rng = np.random.default_rng(seed)
    kernel = make_kernel((name, 0.3 if fourier else 0.05), 0.01)
    counts = rng.poisson(2.0, (2, 60 + kernel.before + kernel.after))
    hidden = rng.random(counts.shape) < 0.2
    expected = np.full((2, 60), np.nan)
    for trial in range(2):
        for k in range(60):
            if not hidden[trial, k + kernel.before]:
                window = slice(k, k + len(kernel.weights))
                weights = kernel.weights * ~hidden[trial, window]
                expected[trial, k] = (weights * counts[trial, window]).sum() / weights.sum()
    np.testing.assert_allclose(smooth(counts, hidden, kernel), expected, atol=1e-9)


@pytest.mark.parametrize("kernel", ["gaussian", ("gaussian",), ("gaussian", 0.0), ("gaussian", np.nan), ("cosine", 1)])
def test_a_kernel_is_a_name_and_seconds(write_nwb, kernel):
    message = r"kernel must be a name and seconds, such as \('gaussian', 0.05\), of gauss"
    with open_nwb(write_nwb(units([[0.1]]))) as recording, pytest.raises(InputError, match=message):
        recording.spikes(bin_width=0.1, kernel=kernel)


def test_what_is_of_bins_does_not_go_with_a_reduction(write_nwb):
    with open_nwb(write_nwb(units([[0.1]]), trials([0.0]))) as recording:
        with pytest.raises(InputError, match="quantity must be 'count' or 'rate'; got 'hz'"):
            recording.spikes(bin_width=0.1, quantity="hz")
        for option in ({"quantity": "rate"}, {"kernel": ("gaussian", 0.1)}, {"chunks": 2}):
            with pytest.raises(
                InputError, match="quantity, kernel and chunks are of bins; with reduce='sum' there are"
            ):
                recording.spikes(align="trials", reduce="sum", **option)


@pytest.fixture
def long(write_nwb):
    rng = np.random.default_rng(2)
    trains = [np.sort(rng.uniform(0, 30, n)) for n in (300, 0, 90)]
    obs = [[[0.0, 30.0]], [[0.0, 30.0]], [[0.0, 11.0], [13.0, 30.0]]]
    return write_nwb(units(trains, obs=obs), trials(np.sort(rng.uniform(0, 28, 12)), stimulus=np.arange(12) % 3))


@pytest.mark.parametrize("options", [{}, {"quantity": "rate"}, {"kernel": ("exponential", 0.2)}])
@pytest.mark.parametrize("request_", [{}, {"align": "trials", "window": (-0.5, 1.0)}])
@pytest.mark.filterwarnings("ignore::neurosparse.errors.DataWarning")
def test_blocks_are_the_whole(long, request_, options):
    """1/3 s is no whole number of samples, nor of anything: blocks keep to the edges of the whole."""
    dask = pytest.importorskip("dask")
    with open_nwb(long) as recording:
        whole = recording.spikes(bin_width=0.1, **request_, **options)
        lazily = recording.spikes(bin_width=0.1, chunks=5, **request_, **options)
    assert lazily.chunks[0][0] == 5
    assert lazily.dtype == whole.dtype
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(lazily.data)).compute(), whole.values)
    np.testing.assert_array_equal(lazily[3:9, ..., 1:].compute(), whole[3:9, ..., 1:])
    np.testing.assert_array_equal(lazily.isel(unit=[2, 0])[7].compute(), whole.isel(unit=[2, 0])[7])
    assert lazily.attrs == whole.attrs
    with dask.config.set(scheduler="threads"):
        np.testing.assert_allclose(lazily.mean().values, whole.mean().values, rtol=1e-5)


def test_chunks_are_a_number_or_auto(long, monkeypatch):
    with open_nwb(long) as recording:
        with pytest.raises(InputError, match="chunks must be 'auto' or a positive number"):
            recording.spikes(bin_width=0.1, chunks=0)
        with pytest.warns(DataWarning):
            assert recording.spikes(bin_width=0.1, chunks="auto").chunks == ((300,), (3,))
        monkeypatch.setattr(lazy, "BLOCK", 1200)
        with pytest.warns(DataWarning):
            assert recording.spikes(bin_width=0.1, chunks="auto").chunks == ((100, 100, 100), (3,))


def test_without_dask_chunks_say_what_to_install(long, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "dask.array", None)
    with open_nwb(long) as recording, pytest.raises(DependencyError, match="chunks= needs dask. Install"):
        recording.spikes(bin_width=0.1, chunks=5)
