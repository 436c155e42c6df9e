"""Independent data score nothing through the front door: the sizes of recordings, and smooth series."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from scipy.signal import lfilter

from neurosparse import population
from neurosparse.backend.matching import chance_corrected
from neurosparse.identifiability import linear_identifiability

N_TARGETS = 4
SHOWN = ("median_r", "median_R2", "median_null_r", "pooled_p")


def scores_of(make, n_draws):
    """(draw, 4): median r and R2, the null's mean r and p of independent codes."""
    found = []
    for seed in range(n_draws):
        x, y = make(np.random.default_rng([seed, 31]))
        one = linear_identifiability(
            x, y, n_permutations=99, n_bootstraps=0, directions=["x->y"], panel=False, random_state=seed
        )
        found.append([float(one[name][0]) for name in SHOWN])
    return np.array(found)


def assert_nothing(found):
    mean, error = found.mean(axis=0), found.std(axis=0, ddof=1) / np.sqrt(len(found))
    rejected = int((found[:, 3] <= 0.05).sum())
    corrected = float(chance_corrected(found[:, 0], np.maximum(found[:, 2], 0)).mean())
    print(dict(zip(SHOWN, mean.round(4).tolist(), strict=True)), "rejected", rejected, "corrected", round(corrected, 4))
    assert mean[1] <= 2 * error[1]
    low, high = stats.binom.interval(0.99, len(found), 0.05)
    assert low <= rejected <= high
    assert abs(corrected) < 0.02


def white(n, p):
    return lambda rng: (rng.standard_normal((n, p)), rng.standard_normal((n, N_TARGETS)))


def smooth(n, decay):
    """Two autoregressive series of order 1 with five units each, in seconds."""

    def make(rng):
        start = 200  # the filter begins at 0, which is not its stationary spread
        sides = [lfilter([1], [1, -decay], rng.standard_normal((n + start, 5)), axis=0)[start:] for _ in range(2)]
        return [population.from_arrays(side, dims=("time", "unit"), bin_width=0.1) for side in sides]

    return make


@pytest.mark.slow
@pytest.mark.parametrize(("n", "p"), [(500, 16), (640, 50), (250, 100), (118, 200)])
def test_independent_codes_score_nothing_over_200_draws(n, p):
    assert_nothing(scores_of(white(n, p), 200))


@pytest.mark.slow
def test_independent_smooth_series_score_nothing_over_200_draws():
    assert_nothing(scores_of(smooth(2000, 0.9), 200))


@pytest.mark.filterwarnings("ignore::neurosparse.errors.EvidenceWarning")
def test_independent_series_that_are_too_smooth_have_no_p():
    found = scores_of(smooth(600, 0.99), 5)
    assert np.isnan(found[:, 3]).all()
