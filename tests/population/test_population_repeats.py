"""Averages, noise scaling, halves and reliability of populations with repeats."""

from __future__ import annotations

import numpy as np
import pytest

from neurosparse import population
from neurosparse.backend import resampling
from neurosparse.errors import DataWarning, EvidenceWarning, InputError


def planted(n_stimuli=80, repeats=4, n_units=6, noise=1.0, seed=0, **more):
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(n_stimuli), repeats)
    order = rng.permutation(len(labels))
    tuning = rng.normal(size=(n_stimuli, n_units))
    values = tuning[labels] + noise * rng.normal(size=(len(labels), n_units))
    names = np.array([f"s{i:03d}" for i in range(n_stimuli)])
    return population.from_arrays(values[order], dims=("trial", "unit"), stimulus=names[labels[order]], **more)


@pytest.fixture
def ragged():
    return population.from_arrays(
        np.array([[1.0, 10], [3, 30], [5, 50], [7, 70], [9, 90]]),
        dims=("trial", "unit"),
        stimulus=["b", "a", "b", "b", "a"],
        coords={
            "contrast": ("trial", [0.5, np.nan, 0.5, 0.5, np.nan]),
            "start_time": ("trial", np.arange(5.0)),
            "trust": ("trial", [1.0, 3.0, 1.0, 0.0, 1.0]),
            "area": ("unit", ["V1", None]),
        },
        quantity="spike count",
        units="1",
    )


def test_average_of_ragged_repeats(ragged):
    mean = population.average(ragged)
    assert mean.dims == ("stimulus", "unit")
    assert mean["stimulus"].values.tolist() == ["a", "b"]
    assert mean.values == pytest.approx(np.array([[6, 60], [13 / 3, 130 / 3]]))
    assert mean["n_repeats"].values.tolist() == [2, 3]
    assert mean["area"].values[0] == "V1"
    assert mean.attrs["quantity"] == "spike count"
    population.check(mean)


def test_average_keeps_constant_coords_and_records_the_others(ragged):
    mean = population.average(ragged)
    assert np.array_equal(mean["contrast"].values, [np.nan, 0.5], equal_nan=True)
    assert "start_time" not in mean.coords
    step = population.provenance(mean)["steps"][-1]
    assert step == {
        "step": "average",
        "by": "stimulus",
        "n_trials": 5,
        "n_stimuli": 2,
        "dropped_coords": ["start_time", "trust"],
    }


def test_average_by_another_coord_and_weighted(ragged):
    mean = population.average(ragged.assign_coords(image=("trial", [7, 7, 3, 3, 3])), by="image")
    assert mean["stimulus"].values.tolist() == [3, 7]
    assert mean.values[:, 0].tolist() == [7.0, 2.0]
    mean = population.average(ragged, weights="trust")
    assert mean.values[:, 0] == pytest.approx([(3 * 3 + 9) / 4, 3.0])
    assert mean["n_effective"].values == pytest.approx([16 / 10, 2.0])
    assert mean["n_repeats"].values.tolist() == [2, 3]


def test_average_of_time_resolved_trials_equals_the_average_of_each_bin():
    x = planted(5, 3, 4)
    cube = population.from_arrays(
        np.stack([x.values, 2 * x.values], axis=1), dims=("trial", "time", "unit"), bin_width=0.1, stimulus=x.stimulus
    )
    mean = population.average(cube)
    assert mean.dims == ("stimulus", "time", "unit")
    assert mean.values[:, 1] == pytest.approx(2 * population.average(x).values)
    assert mean["time"].equals(cube["time"])


def test_average_leaves_unobserved_values_out_and_says_so(ragged):
    values = ragged.where(ragged != 10)
    values[1, 1] = values[4, 1] = np.nan
    with pytest.warns(
        DataWarning, match=r"3 of 10 values are NaN, first at trial=0, unit=1; .* 1 of 4 averages are NaN"
    ):
        mean = population.average(values)
    assert np.array_equal(mean.values[:, 1], [np.nan, 60], equal_nan=True)
    assert mean.values[1, 0] == pytest.approx(13 / 3)


def test_average_does_not_care_for_the_order_of_trials():
    x = planted()
    shuffled = x.isel(trial=np.random.default_rng(1).permutation(x.sizes["trial"]))
    assert population.average(shuffled).values == pytest.approx(population.average(x).values)


@pytest.mark.parametrize(
    ("change", "arguments", "message"),
    [
        (
            lambda x: x,
            {"by": "image"},
            r"no coord 'image' on the trials, which have \['contrast', 'start_time', 'stimulus', 'trial', 'trust'\]",
        ),
        (population.average, {}, r"repeats need single trials, dims \(trial, unit\); got \('stimulus', 'unit'\)"),
        (lambda x: x.rename(unit="neuron"), {}, "needs dims"),
        (lambda x: x.isel(trial=[]), {}, r"the population is empty: its shape is \(0, 2\)"),
        (lambda x: x.isel(unit=[]), {}, "the population is empty"),
        (
            lambda x: x.assign_coords(stimulus=("trial", ["a", None, "a", "b", "b"])),
            {},
            r"1 of 5 trials have no stimulus, first trial 1. Leave them out with population.select\(x, \"stimulus",
        ),
        (lambda x: x, {"weights": "nothing"}, "weights names 'nothing', which is no coord on the trials"),
        (lambda x: x, {"weights": [1, 1, 1]}, r"5 finite numbers of at least 0, one a trial; got shape \(3,\)"),
        (lambda x: x, {"weights": [-1, 1, 1, 1, 1]}, "with 1 that are negative or not finite"),
        (lambda x: x, {"weights": [0, 1, 0, 0, 1]}, "the weights of 1 stimuli are all 0, first 'b'"),
    ],
)
def test_average_refusals(ragged, change, arguments, message):
    with pytest.raises(InputError, match=message):
        population.average(change(ragged), **arguments)


def test_the_advice_on_missing_stimuli_works(ragged):
    x = ragged.assign_coords(stimulus=("trial", ["a", None, "a", "b", "b"]))
    assert population.average(population.select(x, "stimulus != None")).shape == (2, 2)


def test_one_trial_is_its_own_average(ragged):
    one = ragged.isel(trial=[0])
    mean = population.average(one)
    assert mean.values.tolist() == [[1.0, 10.0]]
    assert mean["start_time"].values.tolist() == [0.0]
    for function in (population.reliability, population.split_halves):
        with pytest.raises(InputError, match="none of the 1 labels has two repeats"):
            function(one)


def test_scaled_by_the_planted_noise():
    x = planted(300, 4, 3, noise=np.array([0.5, 1.0, 3.0]))
    scaled = population.scale_by_noise(x)
    assert scaled["noise_sd"].values == pytest.approx([0.5, 1.0, 3.0], rel=0.06)
    assert scaled.values == pytest.approx(population.average(x).values / scaled["noise_sd"].values)
    total_sd = x.std("trial", ddof=1).values
    assert abs(total_sd[0] / 0.5 - 1) > 1  # the sd over all trials, tuning included, is another thing
    assert scaled.attrs["units"] == "1"


def test_noise_is_pooled_with_ddof_1():
    x = planted(4, 2, 1)
    pairs = [x.values[x.stimulus.values == s, 0] for s in np.unique(x.stimulus)]
    wanted = np.sqrt(np.mean([(a - b) ** 2 / 2 for a, b in pairs]))
    assert population.scale_by_noise(x)["noise_sd"].values[0] == pytest.approx(wanted)


def test_silent_units_stay_zero_on_the_floor():
    x = planted(40, 4, 5)
    values = x.values.copy()
    values[:, 0] = 0.0
    values[:, 1] *= 1e-6
    x = x.copy(data=values).assign_attrs(quantity="rate")
    with pytest.warns(DataWarning, match=r"2 of 5 units have trial noise below a tenth of the median .* first 0; they"):
        scaled = population.scale_by_noise(x)
    assert (scaled.values[:, 0] == 0).all()
    assert np.abs(scaled.values[:, 1]).max() < 1e-4  # not blown up
    assert scaled.attrs["quantity"] == "rate / noise sd"
    assert population.provenance(scaled)["steps"][-1]["n_units_on_floor"] == 2


def test_all_silent_cannot_be_scaled_but_is_averaged():
    x = planted(10, 3, 2)
    silent = x.copy(data=np.zeros(x.shape))
    assert (population.average(silent).values == 0).all()
    with pytest.raises(InputError, match="none of the 2 units varies between the trials of a stimulus"):
        population.scale_by_noise(silent)
    with pytest.warns(EvidenceWarning, match="2 of 2 units have no ceiling"):
        assert population.reliability(silent)["reliability"].isnull().all()


def test_without_repeats_counts_take_poisson_noise_and_others_are_refused():
    counts = population.from_arrays([[4, 0], [6, 0], [5, 0]], dims=("trial", "unit"), stimulus=[0, 1, 2])
    with pytest.warns(
        EvidenceWarning, match="no stimulus has two trials: the noise of each unit is taken to be Poisson"
    ):
        scaled = population.scale_by_noise(counts)
    assert scaled["noise_sd"].values == pytest.approx(np.sqrt([5.375, 0.375]))
    with pytest.raises(InputError, match="no stimulus has two trials, and the values are not counts"):
        population.scale_by_noise(counts - 0.5)


def test_noise_scaling_with_unobserved_values_uses_what_there_is():
    x = planted(200, 4, 2)
    values = x.values.copy()
    values[np.random.default_rng(2).random(values.shape) < 0.2] = np.nan
    with pytest.warns(DataWarning, match="values are NaN"):
        scaled = population.scale_by_noise(x.copy(data=values))
    assert scaled["noise_sd"].values == pytest.approx([1.0, 1.0], rel=0.08)


def test_noise_scaling_pools_over_time():
    x = planted(60, 3, 2)
    cube = population.from_arrays(
        np.stack([x.values, x.values], axis=1), dims=("trial", "time", "unit"), bin_width=1.0, stimulus=x.stimulus
    )
    assert population.scale_by_noise(cube)["noise_sd"].values == pytest.approx(
        population.scale_by_noise(x)["noise_sd"].values
    )


def test_halves_are_averages_of_disjoint_trials():
    x = planted(12, 5, 3, coords={"area": ("unit", ["a", "b", "c"])})
    mean = population.average(x)
    for first, second in population.split_halves(x, n_splits=8):
        n_first, n_second = first["n_repeats"], second["n_repeats"]
        assert ((n_first + n_second) == 5).all()
        assert set(n_first.values) <= {2, 3}
        assert ((first * n_first + second * n_second) / 5).values == pytest.approx(mean.values)
        assert not np.allclose(first, second)
        assert first["area"].equals(x["area"])
        population.check(first)


def test_halves_are_those_of_the_backend():
    x = planted(12, 4, 3)
    ours = population.split_halves(x, n_splits=3, random_state=7)
    backend = resampling.split_half_means(x.values, x.stimulus.values, 3, random_state=7)
    for (a, b), (c, d) in zip(ours, backend, strict=True):
        assert a.values == pytest.approx(c)
        assert b.values == pytest.approx(d)


def test_halves_of_time_resolved_trials():
    x = planted(6, 4, 2)
    cube = population.from_arrays(
        np.stack([x.values] * 3, axis=1), dims=("trial", "time", "unit"), bin_width=1.0, stimulus=x.stimulus
    )
    first, _ = next(population.split_halves(cube, n_splits=1))
    assert first.dims == ("stimulus", "time", "unit")
    assert (first.values == first.values[:, :1]).all()


def test_halves_refuse_at_the_call_and_drop_on_request():
    x = planted(6, 4, 2)
    values = x.values.copy()
    values[3, 1] = np.nan
    holed = x.copy(data=values)
    with pytest.raises(
        InputError, match="x has 1 NaN values in 1 of 24 samples, first at trial=3, unit=1. Pass nan='drop'"
    ):
        population.split_halves(holed)
    with pytest.warns(DataWarning, match="those samples are left out"):
        first, second = next(population.split_halves(holed, n_splits=1, nan="drop"))
    assert int((first["n_repeats"] + second["n_repeats"]).sum()) == 23
    with pytest.raises(InputError, match="n_splits must be a positive integer; got 0"):
        population.split_halves(x, n_splits=0)


def test_reliability_of_planted_units_and_of_noise():
    x = planted(400, 4, 30, noise=2.0)
    found = population.reliability(x, n_splits=50)
    truth = 1 / (1 + 4.0 / 4)
    assert float(found["reliability"].mean()) == pytest.approx(truth, abs=0.02)
    assert float(found["ceiling"].mean()) == pytest.approx(np.sqrt(truth), abs=0.02)
    assert float(found["signal_power"].mean()) == pytest.approx(1.0, abs=0.06)
    assert found.attrs["n_samples"] == 400
    assert found.attrs["n_units"] == 30
    shuffled = x.assign_coords(stimulus=("trial", np.random.default_rng(0).permutation(x.stimulus.values)))
    with pytest.warns(EvidenceWarning, match="of 30 units have no ceiling: their signal power"):
        nothing = population.reliability(shuffled, n_splits=20)
    assert abs(float(nothing["split_half_r"].mean())) < 0.02
    assert int(nothing["ceiling"].notnull().sum()) <= 5


def test_the_ceiling_is_what_the_true_tuning_reaches():
    rng = np.random.default_rng(3)
    tuning = rng.normal(size=(500, 40))
    labels = np.repeat(np.arange(500), 3)
    values = tuning[labels] + 1.5 * rng.normal(size=(1500, 40))
    x = population.from_arrays(values, dims=("trial", "unit"), stimulus=labels)
    reached = resampling.column_correlations(tuning, population.average(x).values)
    assert float(population.reliability(x, n_splits=30)["ceiling"].mean()) == pytest.approx(reached.mean(), abs=0.01)


def test_reliability_of_one_unit_labels_and_refusals():
    x = planted(40, 4, 1, coords={"area": ("unit", ["V4"])})
    found = population.reliability(x, n_splits=10)
    assert found.sizes == {"unit": 1}
    assert found["area"].values.tolist() == ["V4"]
    cube = population.from_arrays(x.values[:, None], dims=("trial", "time", "unit"), bin_width=1.0, stimulus=x.stimulus)
    with pytest.raises(InputError, match=r"reliability needs dims \(trial, unit\); got .* Reduce time first"):
        population.reliability(cube)


def test_reliability_warns_once_of_single_trials():
    x = planted(40, 4, 2)
    labels = x.stimulus.values.copy()
    labels[0] = "lone"
    with pytest.warns(DataWarning, match="1 of 41 labels have one repeat") as caught:
        population.reliability(x.assign_coords(stimulus=("trial", labels)), n_splits=5)
    assert len(caught) == 1
