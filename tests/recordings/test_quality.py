"""A first look finds what was planted: rates, drift, duplicates, refractory lapses, reliability, Fano factors."""

import numpy as np
import pytest
from nwb_parts import rois, series, trials, units

from neurosparse import cli, open_nwb
from neurosparse.errors import MissingError
from neurosparse.recordings.quality import questions, told

SESSION = 400.0


def poisson(rate, seconds=SESSION, seed=0):
    rng = np.random.default_rng(seed)
    return np.sort(rng.uniform(0, seconds, rng.poisson(rate * seconds)))


@pytest.fixture(scope="module")
def trains():
    """Steady, silent, growing, a copy of the first with jitter and a third left out, and one with doubled spikes."""
    rng = np.random.default_rng(1)
    steady = poisson(8.0)
    copy = np.sort(rng.permutation(steady)[: len(steady) * 2 // 3] + rng.uniform(-2e-4, 2e-4, len(steady) * 2 // 3))
    growing = np.sort(SESSION * np.sqrt(rng.random(3000)))
    doubled = np.sort(np.concatenate([poisson(4.0, seed=2), steady[:1] + np.arange(0, 300, 3.0)]))
    doubled = np.sort(np.concatenate([doubled, doubled[::10] + 1e-3]))
    return [steady, np.array([]), growing, np.abs(copy), doubled]


def test_each_unit_in_numbers(write_nwb, trains):
    path = write_nwb(units(trains, ids=[3, 5, 7, 9, 11]), trials([0.0], [SESSION]))
    with open_nwb(path) as recording:
        q = recording.quality()
    assert q["unit_id"].values.tolist() == [3, 5, 7, 9, 11]
    np.testing.assert_array_equal(q["n_spikes"], [len(train) for train in trains])
    np.testing.assert_allclose(q["rate"], q["n_spikes"] / SESSION, rtol=1e-3)
    assert (q["rate"].attrs["units"], q.attrs["n_units"]) == ("Hz", 5)
    # a rate that grows from 0 to twice its mean
    assert float(q["drift"][2]) == pytest.approx(2.0, abs=0.15)
    assert q["drift_low"][2] > 1.5
    assert q["drift_low"][0] < 0 < q["drift_high"][0]
    assert np.isnan(q["drift"][1])
    assert q["duplicate_of"].values.tolist() == ["9", "", "", "3", ""]
    assert float(q["coincidence"][0]) == pytest.approx(1.0, abs=0.05)
    assert float(q["coincidence"][2]) < 0.02, "chance coincidences are taken away"
    naive = [np.mean(np.diff(train) < 1.5e-3) if len(train) > 1 else np.nan for train in trains]
    np.testing.assert_allclose(q["refractory"], naive)
    text = told(q)
    assert "1 of 5 units are silent" in text
    assert "2 of 5 units are duplicates of another" in text
    assert "need trials with a stimulus" in text


def test_drift_leaves_out_what_was_not_observed(write_nwb):
    """A unit seen in the first half alone is steady, not falling."""
    train = poisson(10.0, SESSION / 2, seed=3)
    seen = [[[0.0, SESSION / 2]], [[0.0, SESSION]]]
    with open_nwb(write_nwb(units([train, poisson(5.0)], obs=seen))) as recording:
        q = recording.quality()
    assert abs(float(q["drift"][0])) < 0.8
    assert float(q["rate"][0]) == pytest.approx(10.0, rel=0.1)
    with open_nwb(write_nwb(units([train, poisson(5.0)]), name="unstated.nwb")) as recording:
        assert float(recording.quality()["drift"][0]) < -1.5


@pytest.fixture(scope="module")
def responses():
    """60 stimuli x 10 repeats of Poisson counts in half a second: signal, no signal, a rate that stays as before."""
    rng = np.random.default_rng(4)
    starts = 1.0 + np.arange(600) * 1.5
    shown = rng.permutation(np.repeat(np.arange(60), 10))
    tuning = rng.gamma(2.0, 4.0, 60)
    trains = [[], [], []]
    for start, stimulus in zip(starts, shown, strict=True):
        for train, rate in zip(trains, (2 * tuning[stimulus], 16.0, 8.0), strict=True):
            train.append(start + rng.uniform(0, 0.5, rng.poisson(rate / 2)))
    for train, rate in zip(trains, (4.0, 4.0, 8.0), strict=True):
        train.extend(start - rng.uniform(0, 0.5, rng.poisson(rate / 2)) for start in starts)
    return [np.sort(np.concatenate(train)) for train in trains], starts, shown, tuning


def test_reliability_fano_and_responses_are_those_that_were_planted(write_nwb, responses):
    trains, starts, shown, tuning = responses
    path = write_nwb(units(trains), trials(starts, starts + 0.5, image=shown))
    with open_nwb(path) as recording:
        q = recording.quality(align="trials", window=(0.0, 0.5), stimulus="image")
        own = recording.quality(align="trials", stimulus="image")
    # counts have mean `tuning` and Poisson noise: reliability of an average of 10 is S / (S + N / 10)
    expected = tuning.var() / (tuning.var() + tuning.mean() / 10)
    assert float(q["reliability"][0]) == pytest.approx(expected, abs=0.04)
    assert q["reliability_low"][0] < expected < q["reliability_high"][0]
    assert abs(float(q["reliability"][1])) < 0.5
    assert q["reliability_low"][1] < 0
    np.testing.assert_allclose(q["fano"], 1.0, atol=0.12)
    assert q["responsive"].values.tolist() == [True, True, False]
    assert q.attrs["n_repeats"] == "10 to 10, median 10"
    assert "Noise ceilings: yes, 60 of 60 stimuli" in q.attrs["questions"]
    assert "dictionary of stimulus averages: no, 60 stimuli; 300 are needed" in q.attrs["questions"]
    assert "responsive" not in own, "a row's own extent has no baseline"
    np.testing.assert_allclose(own["reliability"], q["reliability"])


def test_the_interval_of_reliability_covers_the_truth():
    """Over stimuli drawn anew; 250 worlds gave .92 to .94 for true reliabilities of .5, 0 and .8."""
    from neurosparse.recordings.quality import reliabilities

    rng = np.random.default_rng(11)
    held = []
    for world in range(120):
        signal = rng.standard_normal((80, 2)) * [1, 0]
        labels = np.tile(np.arange(80), 4)
        values = signal[labels] + rng.standard_normal((320, 2)) * 2
        found = reliabilities(values, labels, world)
        truth = np.array([0.5, 0.0])
        held.append((found["reliability_low"] <= truth) & (truth <= found["reliability_high"]))
    assert (np.mean(held, axis=0) >= 0.9).all()


def test_a_series_is_looked_at_too(write_nwb):
    rng = np.random.default_rng(6)
    frames = rng.normal(5.0, 2.0, (1000, 3))
    frames[:100, 1] = np.nan
    vectors = rng.normal(0, 1, (40, 2)) + np.repeat(rng.normal(0, 3, (10, 2)), 4, axis=0)
    starts = np.arange(40) * 2.0
    path = write_nwb(
        rois(frames, 3), trials(starts, image=np.repeat(np.arange(10), 4)), series("codes", vectors, timestamps=starts)
    )
    with open_nwb(path) as recording:
        q = recording.quality(series="RoiResponseSeries")
        aligned = recording.quality(series="RoiResponseSeries", align="trials", window=(0.5, 1.5), stimulus="image")
        codes = recording.quality(series="codes", stimulus="image")
        with pytest.raises(MissingError, match="no units table"):
            recording.quality()
        assert recording.first_look() == ""
    np.testing.assert_allclose(q["mean"], np.nanmean(frames, axis=0))
    np.testing.assert_allclose(q["sd"], np.nanstd(frames, axis=0))
    np.testing.assert_allclose(q["nan_share"], [0, 0.1, 0])
    assert {"reliability", "responsive"} <= set(aligned)
    assert "fano" not in aligned
    assert not aligned["responsive"].any()
    assert float(codes["reliability"].min()) > 0.9


@pytest.mark.parametrize(
    ("facts", "reliability", "said"),
    [
        ({"n_stimuli": 640, "n_repeated": 640}, 0.76, "yes, about 21 atoms .* reliability 0.76"),
        ({"n_stimuli": 640, "n_repeated": 640}, 0.5, "in part, about 21 atoms"),
        ({"n_stimuli": 640, "n_repeated": 640}, 0.1, "averages: no, about 21 atoms .* reliability 0.10"),
        ({"n_stimuli": 60, "n_repeated": 2}, None, "ceilings: no, 2 of 60 stimuli have repeats .3 are needed"),
        ({"n_stimuli": 60, "n_repeated": 2}, None, "held out: with care, 60 stimuli .fewer than two a unit"),
        ({"n_stimuli": 30, "n_repeated": 2}, None, "held out: no, 30 stimuli .< 50"),
    ],
)
def test_what_n_supports(facts, reliability, said):
    import re

    variables = {} if reliability is None else {"reliability": np.full(50, reliability)}
    assert re.search(said, "\n".join(questions(facts, variables, 50)))


def test_inspect_ends_with_it(write_nwb, trains, capsys):
    path = write_nwb(units(trains), trials([1.0, 2.0, 3.0], image=[1, 2, 1]))
    assert cli.main(["inspect", str(path)]) == 0
    said = capsys.readouterr().out
    assert "quality of 5 units" in said
    assert "2 of 5 units are duplicates of another" in said
