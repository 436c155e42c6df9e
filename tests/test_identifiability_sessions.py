"""Time series of several sessions: whole ones held out, gaps where time runs on, and nulls that keep them apart."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from scipy.signal import lfilter

from neurosparse import population
from neurosparse.errors import EvidenceWarning, InputError
from neurosparse.identifiability import linear_identifiability, representational_similarity
from neurosparse.identifiability.sessions import split_sessions
from neurosparse.identifiability.splits import breaks

QUICK = {"n_bootstraps": 0, "panel": False, "directions": ["x->y"]}


def recorded(lengths, rng, *, decay=0.9, offset=2.0, pause=100.0, linked=0.0):
    """Two sides of smooth activity, `linked` of the second from the first, each session with an offset of its own."""
    time = np.concatenate([np.arange(n) * 0.1 + i * (100.0 + pause) for i, n in enumerate(lengths)])
    session = np.repeat([f"day {i}" for i in range(len(lengths))], lengths)

    def side():
        parts = [lfilter([1], [1, -decay], rng.standard_normal((n + 100, 3)), axis=0)[100:] for n in lengths]
        return np.concatenate([part + offset * rng.standard_normal(3) for part in parts])

    x = side()
    y = linked * x + side()
    return [
        population.from_arrays(one, dims=("time", "unit"), time=time, bin_width=0.1).assign_coords(
            day=("time", session)
        )
        for one in (x, y)
    ]


def split_of(lengths, *, n_folds=3, pause=100.0, n_permutations=19, decay=0.9):
    x, y = recorded(lengths, np.random.default_rng(0), pause=pause, decay=decay)
    codes = np.repeat(np.arange(len(lengths)), lengths)
    return codes, split_sessions(
        x.values, y.values, x["time"].values, codes, n_folds=n_folds, n_permutations=n_permutations, seeds=np.arange(6)
    )


def test_whole_sessions_are_held_out():
    codes, split = split_of([200, 250, 300, 200])
    tested = np.concatenate([test for _, test in split.folds])
    assert sorted(tested.tolist()) == list(range(950))
    for (train, test), inner in zip(split.folds, split.inner, strict=True):
        assert not set(codes[train]) & set(codes[test])
        assert len(train) + len(test) == 950  # days apart: no gap is needed
        for own, other in inner:
            assert not set(codes[train[own]]) & set(codes[train[other]])
    alone = split_of([300, 300], n_folds=2)[1]
    for (train, _), inner in zip(alone.folds, alone.inner, strict=True):  # one session left: blocks of it
        assert all(len(own) < len(train) - len(other) for own, other in inner)


def test_a_gap_is_left_where_time_runs_on_across_a_border():
    time = np.arange(600) * 0.1
    rng = np.random.default_rng(0)
    x, y = (lfilter([1], [1, -0.9], rng.standard_normal((600, 2)), axis=0) for _ in range(2))
    codes = np.repeat(np.arange(6), 100)
    options = {"n_folds": 3, "n_permutations": 0, "seeds": np.arange(6)}
    split = split_sessions(x, y, time, codes, **options)
    gap = split.attrs["gap"]
    assert gap > 5
    for train, test in split.folds:
        assert np.abs(train[:, None] - test).min() == gap + 1
    assert np.flatnonzero(breaks(np.array([0.0, 1, 2, 5, 6, 0, 1]))).tolist() == [2, 4]  # a jump, and a new start
    broken = np.where(np.arange(600) < 300, time, time + 50)
    train, test = next(one for one in split_sessions(x, y, broken, codes, **options).folds if 300 in one[1])
    assert (299 in train) or codes[299] in codes[test]


def test_shifts_stay_within_stretches_and_exchanges_within_equal_lengths():
    codes, split = split_of([400, 600, 500], decay=0.0)
    assert split.attrs["null"].startswith("circular shifts within each stretch of time")
    np.testing.assert_array_equal(codes[split.orders], np.tile(codes, (19, 1)))
    assert (np.sort(split.orders, axis=1) == np.arange(1500)).all()
    least = 3 * split.attrs["gap"]
    moved = np.abs(split.orders - np.arange(1500))
    assert moved.min() >= least
    assert len(np.unique(split.orders[:, 0])) > 10
    x, y = recorded([400, 600, 500], np.random.default_rng(0), decay=0.0)
    options = {"n_folds": 3, "n_permutations": 19, "seeds": np.arange(6)}
    split = split_sessions(x.values, y.values, np.arange(1500) * 0.1, codes, **options)  # time runs on
    np.testing.assert_array_equal(codes[split.orders], np.tile(codes, (19, 1)))
    codes, split = split_of([100, 100, 100, 100, 150])
    assert split.attrs["null"].startswith("whole groups of equal length change places")
    assert (split.orders[:, 400:] == np.arange(400, 550)).all()
    assert (split.orders[:, :400] % 100 == np.arange(400) % 100).all()
    assert len(np.unique(split.orders[:, 0])) == 4


def test_no_null_where_neither_is_calibrated():
    split = split_of([100, 110, 120])[1]
    assert split.orders is None
    assert "the shortest of 3 stretches of time without a break is n / tau =" in split.undecidable
    assert split.attrs["null"] == f"none: {split.undecidable}"
    assert "a shift within it needs 50; and groups of equal length can change places in fewer" in split.undecidable
    x, y = recorded([100, 110, 120], np.random.default_rng(0))
    with pytest.warns(EvidenceWarning, match="no p-value: the shortest of 3 stretches"):
        found = linear_identifiability(x, y, groups="day", n_folds=3, **QUICK)
    assert str(found["verdict"].values[0]) == "undecidable"


def test_sessions_are_resampled_in_blocks_of_two_autocorrelation_times():
    codes, split = split_of([200, 250, 300], pause=0.0)
    for block in np.unique(split.groups):
        rows = np.flatnonzero(split.groups == block)
        assert len(rows) <= np.ceil(2 * split.attrs["autocorrelation_time"])
        assert len(set(codes[rows])) == 1
        assert np.ptp(rows) == len(rows) - 1
    assert np.abs([split.nuisance[codes == code].mean() for code in range(3)]).max() < 1e-9


def test_offsets_between_sessions_are_no_autocorrelation():
    quiet, loud = (
        linear_identifiability(
            *recorded([300] * 4, np.random.default_rng(0), offset=offset),
            groups="day",
            n_folds=4,
            n_permutations=0,
            **QUICK,
        ).attrs["autocorrelation_time"]
        for offset in (0.0, 50.0)
    )
    assert quiet == pytest.approx(loud)


def test_what_holds_in_every_session_is_found_and_what_holds_in_one_is_not():
    x, y = recorded([300] * 4, np.random.default_rng(1), decay=0.2, offset=0.0, linked=1.0)
    options = {"groups": "day", "n_folds": 4, "n_permutations": 99, **QUICK}
    found = linear_identifiability(x, y, **options)
    assert float(found["median_R2"][0]) == pytest.approx(0.5, abs=0.1)
    assert str(found["verdict"].values[0]) == "above chance"
    assert "4 folds of whole groups of time" in found.attrs["split"]
    assert set(np.unique(found["fold"].values[:300])) == {int(found["fold"][0])}
    codes = np.repeat(np.arange(4), 300)
    turned = y.copy(data=np.stack([(1 - 2 * (codes % 2)) * column for column in y.values.T], axis=1))
    assert float(linear_identifiability(x, turned, **options)["median_R2"][0]) < 0
    similar = representational_similarity(x, y, groups="day", n_permutations=19, interval=False)
    assert str(similar["verdict"].values) == "above chance"


def test_too_few_or_too_short_sessions_are_told():
    x, y = recorded([200, 200], np.random.default_rng(0))
    with pytest.raises(InputError, match="5 folds need at least 5 groups; got 2"):
        linear_identifiability(x, y, groups="day", n_permutations=0, **QUICK)
    labels = np.where(np.arange(400) < 3, "start", "rest")
    with pytest.raises(InputError, match="sessions or epochs, of at least 4 samples each; one of 2 has 3"):
        linear_identifiability(x, y, groups=labels, n_folds=2, n_permutations=0, **QUICK)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("lengths", "decay"), [([300] * 5, 0.9), ([1300, 1400, 1500, 1300, 1350], 0.9), ([200] * 8, 0)]
)
@pytest.mark.filterwarnings("ignore::neurosparse.errors.EvidenceWarning")
def test_independent_sessions_are_rejected_at_the_level(lengths, decay):
    found = []
    for seed in range(200):
        x, y = recorded(lengths, np.random.default_rng([seed, 5]), decay=decay)
        one = linear_identifiability(x, y, groups="day", n_permutations=99, random_state=seed, **QUICK)
        found.append([float(one["pooled_p"][0]), float(one["median_R2"][0])])
    p, r2 = np.array(found).T
    print(lengths, decay, "rejected", (p <= 0.05).sum(), "R2", r2.mean())
    told = np.isfinite(p).sum()  # no p where a draw's series come out too smooth for a shift
    assert told >= 190
    low, high = stats.binom.interval(0.99, told, 0.05)
    assert low <= (p <= 0.05).sum() <= high
    assert r2.mean() < 0
