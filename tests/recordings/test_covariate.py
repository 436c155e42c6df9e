"""Behaviour on a population's clock: known functions of time come back at its samples, gaps and ends as NaN."""

import numpy as np
import pynwb
import pytest
import xarray as xr
from nwb_parts import series, trials, units

from neurosparse import open_nwb, population
from neurosparse.errors import DataWarning, FileError, InputError, MissingError

CLOCK = np.arange(0, 20, 0.05)
TRAINS = units([np.arange(0.05, 20, 0.1), [3.0]])


def ramp(name="speed", clock=CLOCK, **options):
    return series(name, 2 * clock + 1, timestamps=clock, **options)


@pytest.fixture
def session(write_nwb):
    return write_nwb(TRAINS, ramp(), trials([2.0, 5.0, 9.5], go_cue=[2.3, 5.4, 9.9]))


def test_a_line_is_interpolated_at_the_centres_of_bins(session):
    with open_nwb(session) as recording:
        x = recording.spikes(bin_width=0.03, window=(1.0, 4.0))
        y = recording.covariate("speed", like=x)
    assert y.dims == ("time",)
    np.testing.assert_allclose(y, 2 * x["time"].values + 1)
    assert (y.name, y.attrs["units"], y.attrs["source"]) == ("speed", "a.u.", "session.nwb:acquisition/speed")
    step = population.provenance(y)["steps"][-1]
    assert (step["path"], step["chosen"]["how"]) == ("acquisition/speed", "linear")


@pytest.mark.parametrize("align", ["trials", ("trials", "go_cue")])
def test_trials_have_their_own_times_whatever_they_are_aligned_to(session, align):
    with open_nwb(session) as recording:
        x = recording.spikes(bin_width=0.1, align=align, window=(-0.5, 1.0))
        y = recording.covariate("speed", like=x)
        whole = recording.covariate("speed", like=recording.spikes(align=align, window=(-0.5, 1.0), reduce="sum"))
    events = x["start_time" if align == "trials" else "go_cue"].values
    assert y.dims == ("trial", "time")
    np.testing.assert_allclose(y, 2 * (events[:, None] + x["time"].values) + 1)
    np.testing.assert_array_equal(y["go_cue"], x["go_cue"])
    samples = [np.mean([t for t in CLOCK if e - 0.5 - 1e-6 <= t < e + 1.0 - 1e-6]) for e in events]
    assert whole.dims == ("trial",)
    np.testing.assert_allclose(whole, 2 * np.array(samples) + 1)


def test_rows_of_their_own_extent_are_averaged_over_it(session):
    with open_nwb(session) as recording:
        y = recording.covariate("speed", like=recording.spikes(align="trials", reduce="sum"))
    np.testing.assert_allclose(y, 2 * (np.array([2.0, 5.0, 9.5]) + 0.475) + 1)


def test_how_mean_and_nearest(session):
    with open_nwb(session) as recording:
        x = recording.spikes(bin_width=0.5, window=(1.0, 4.0))
        mean = recording.covariate("speed", like=x, how="mean")
        nearest = recording.covariate("speed", like=x, how="nearest")
        fine = recording.spikes(bin_width=0.01, window=(1.0, 1.1))
        between = recording.covariate("speed", like=fine, how="mean")
    np.testing.assert_allclose(mean, 2 * (x["time"].values - 0.025) + 1, err_msg="ten samples, the first on the edge")
    np.testing.assert_allclose(nearest, 2 * x["time"].values + 1)
    inside = np.isclose(fine["time"].values, [1.005, *fine["time"].values[1:5], 1.055, *fine["time"].values[6:]])
    assert inside.all()
    np.testing.assert_allclose(between[1:5], 2 * fine["time"].values[1:5] + 1, err_msg="bins without a sample")
    np.testing.assert_allclose(between[[0, 5]], [3.0, 3.1])


def test_ends_and_gaps_are_nan_and_counted(write_nwb):
    kept = CLOCK[(CLOCK < 8) | (CLOCK > 11.99)]
    path = write_nwb(TRAINS, ramp(clock=kept[kept < 15]))
    with open_nwb(path) as recording:
        x = recording.spikes(bin_width=0.5)
        with pytest.warns(DataWarning, match="is NaN at 18 of 40 samples .* runs from 0 to 14.95 s, and gaps of more"):
            y = recording.covariate("speed", like=x)
        with pytest.warns(DataWarning, match="18 of 40"):
            mean = recording.covariate("speed", like=x, how="mean")
        with pytest.warns(DataWarning, match="10 of 40"):
            bridged = recording.covariate("speed", like=x, max_gap=5.0)
    centres = x["time"].values
    expected = ((centres > 8) & (centres < 12)) | (centres > 15)
    np.testing.assert_array_equal(np.isnan(y), expected)
    np.testing.assert_array_equal(np.isnan(mean), expected)
    np.testing.assert_allclose(bridged[:30], 2 * centres[:30] + 1)


@pytest.mark.parametrize(("how", "width"), [("linear", 0.02), ("mean", 0.5), ("nearest", 0.02)])
def test_an_angle_does_not_jump_where_it_turns(write_nwb, how, width):
    """Ten turns a session; the plain mean of 359 and 1 degrees is 180, on the other side."""
    path = write_nwb(TRAINS, series("angle", (360 * CLOCK / 2) % 360, timestamps=CLOCK))
    with open_nwb(path) as recording:
        x = recording.spikes(bin_width=width, window=(1.3, 15.3))
        y = recording.covariate("angle", like=x, how=how, period=360.0)
        plain = recording.covariate("angle", like=x, how=how)
    truth = (360 * x["time"].values / 2) % 360
    off = np.abs((y.values - truth + 180) % 360 - 180)
    assert off.max() < {"linear": 0.02, "mean": 4.6, "nearest": 4.6}[how]
    assert float(y.min()) >= 0
    assert float(y.max()) < 360
    if how != "nearest":
        assert np.abs((plain.values - truth + 180) % 360 - 180).max() > 20


def test_positions_have_components_and_their_conversion(write_nwb):
    def position(nwbfile):
        places = np.stack([CLOCK, -CLOCK], axis=1)
        one = pynwb.behavior.SpatialSeries(
            name="place", data=places, timestamps=CLOCK, reference_frame="room", conversion=0.01, unit="meters"
        )
        nwbfile.create_processing_module("behavior", "b").add(pynwb.behavior.Position(spatial_series=one))

    with open_nwb(write_nwb(TRAINS, position, trials([2.0, 5.0]))) as recording:
        x = recording.spikes(bin_width=0.1, align="trials", window=(0, 1))
        y = recording.covariate("place", like=x)
    assert y.dims == ("trial", "time", "component")
    assert y["component"].values.tolist() == ["x", "y"]
    at = np.array([2.0, 5.0])[:, None] + x["time"].values
    np.testing.assert_allclose(y.sel(component="x"), at * 0.01)
    np.testing.assert_allclose(y.sel(component="y"), -at * 0.01)
    near = population.restrict(x, covariate=y.sel(component="x"), above=0.03)
    assert near["trial"].values.tolist() == [1]


def test_restrict_takes_it_as_it_is(session):
    with open_nwb(session) as recording:
        x = recording.spikes(bin_width=0.5)
        kept = population.restrict(x, covariate=recording.covariate("speed", like=x), above=11.0, below=21.0)
        y = recording.spikes(bin_width=0.5, align="trials", window=(0.0, 2.0))
        partly = population.restrict(y, covariate=recording.covariate("speed", like=y), above=6.9, below=13.1)
    np.testing.assert_array_equal(kept["time"], np.arange(5.25, 10, 0.5))
    assert partly["trial"].values.tolist() == [0, 1]
    speed = 2 * (np.array([2.0, 5.0])[:, None] + y["time"].values) + 1
    outside = (speed < 6.9) | (speed > 13.1)
    np.testing.assert_array_equal(np.isnan(partly[:, :, 0]), outside)
    np.testing.assert_array_equal(partly.values[~outside], y[:2].values[~outside])
    facts = population.provenance(partly)["steps"]
    assert [facts[0]["bins_kept"], facts[1]["kept"], facts[1]["covariate"]] == [[4, 12], [2, 3], "speed"]
    assert partly.attrs["kind"] == "spikes"


def test_restrict_refuses_a_covariate_of_other_samples(session):
    with open_nwb(session) as recording:
        x = recording.spikes(bin_width=0.5, align="trials", window=(0.0, 2.0))
        y = recording.covariate("speed", like=x)
    with pytest.raises(InputError, match=r"different time labels. Bring it over first, as in recording.covariate"):
        population.restrict(x, covariate=y.assign_coords(time=y["time"] + 1), above=0)
    with pytest.raises(InputError, match="one value for each of the 3 trial samples"):
        population.restrict(x, covariate=y[:, :2], above=0)
    with pytest.warns(DataWarning, match="NaN in 2 of 12 trial x time samples"):
        population.restrict(x, covariate=xr.where((y["trial"] < 2) & (y["time"] < 0.3), np.nan, y), above=0)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"name": "pupil"}, MissingError, "no series 'pupil'.*acquisition/speed"),
        ({"how": "cubic"}, InputError, "how must be one of linear, nearest, mean; got 'cubic'"),
        ({"period": -1.0}, InputError, "period must be the length of one turn"),
    ],
)
def test_requests_that_cannot_be_met_say_why(session, options, error, message):
    with open_nwb(session) as recording:
        x = recording.spikes(bin_width=0.5)
        with pytest.raises(error, match=message):
            recording.covariate(**{"name": "speed", "like": x} | options)


def test_a_population_must_say_when_it_was(session):
    with open_nwb(session) as recording:
        x = recording.spikes(bin_width=0.5, align="trials", window=(0.0, 2.0), stimulus="go_cue")
        with pytest.raises(InputError, match="does not say when its trials were"):
            recording.covariate("speed", like=x.drop_vars("start_time"))
        with pytest.raises(InputError, match="a stimulus average lie at no one time"):
            recording.covariate("speed", like=population.average(x))
        total = recording.spikes(align="trials", reduce="sum")
        with pytest.raises(InputError, match="does not say when its trials ended"):
            recording.covariate("speed", like=total.drop_vars("stop_time"))
        with pytest.raises(InputError, match="averaged; got how='nearest'"):
            recording.covariate("speed", like=total, how="nearest")


def test_a_clock_that_runs_backwards_is_mended_on_request(write_nwb):
    clock = CLOCK.copy()
    clock[[10, 11]] = clock[[11, 10]]
    path = write_nwb(TRAINS, series("speed", 2 * clock + 1, timestamps=clock))
    with open_nwb(path) as recording:
        x = recording.spikes(bin_width=0.5, window=(0.0, 2.0))
        with pytest.raises(FileError, match="must rise .*repair=True"):
            recording.covariate("speed", like=x)
        with pytest.warns(DataWarning, match="is mended: .* ran backwards 1 times"):
            y = recording.covariate("speed", like=x, repair=True)
    np.testing.assert_allclose(y, 2 * x["time"].values + 1)
