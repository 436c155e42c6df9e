"""Capacity of codes: bounds against their formulas, the measured transition against published numbers."""

from __future__ import annotations

import numpy as np
import pytest

from neurosparse.errors import InputError
from neurosparse.identifiability import compressed_sensing_bounds, phase_diagram
from neurosparse.identifiability.capacity import _crossing

# n in {50, 100, 200} x k in {3, 5, 10}, three seeds, FISTA with the true dictionary, penalty .1: matched correlation
# by c, from the result files of the repository compositional-sparse-ood (arXiv:2603.28744).
PUBLISHED = {1.0: 0.68, 1.5: 0.97, 2.0: 0.99, 3.0: 0.99}


def test_bounds_are_their_formulas_and_broadcast():
    found = compressed_sensing_bounds([100, 1000], [47, 93], 10, constants=[1.0, 2.0])
    at = found.sel(n_features=1000, n_units=93)
    assert float(at["c"]) == pytest.approx(93 / (10 * np.log(100)))
    assert float(at["welch"]) == pytest.approx(np.sqrt(907 / (93 * 999)))
    assert float(at["guaranteed_active"]) == pytest.approx((1 + 1 / np.sqrt(907 / (93 * 999))) / 2)
    assert float(at["units_needed"].sel(constant=2.0)) == pytest.approx(20 * np.log(100))
    capacity = float(at["capacity"].sel(constant=2.0))
    assert capacity == pytest.approx(10 * np.exp(93 / 20))
    assert float(compressed_sensing_bounds(round(capacity), 93, 10)["c"]) == pytest.approx(2.0, abs=1e-3)
    strong = float(at["strong_units"])
    assert strong == pytest.approx(20 * np.log(1000 / strong))
    assert dict(found["units_needed"].sizes) == {"constant": 2, "n_features": 2}


def test_no_more_features_than_units_have_no_coherence_and_a_tight_frame_meets_welch():
    found = compressed_sensing_bounds(20, 30, 2)
    assert float(found["welch"]) == 0
    assert np.isnan(found["guaranteed_active"])
    angles = 2 * np.pi * np.arange(3) / 3
    frame = np.stack([np.cos(angles), np.sin(angles)], axis=1)  # three equiangular lines in the plane
    tight = compressed_sensing_bounds(3, 2, 1, dictionary=frame)
    assert tight.attrs["coherence"] == pytest.approx(float(tight["welch"]))
    assert tight.attrs["guaranteed_active_here"] == pytest.approx(1.5)
    loose = compressed_sensing_bounds(3, 2, 1, dictionary=frame + [0.3, 0])
    assert loose.attrs["coherence"] > float(tight["welch"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((10, 5, 10), "bounds need n > k >= 1 and m >= 1"),
        ((10, 0, 2), "bounds need n > k >= 1 and m >= 1"),
        ((10, 5, 2.5), "k must be a whole number or a list of them; got 2.5"),
        ((10, "many", 2), "m must be a whole number or a list of them; got 'many'"),
    ],
)
def test_bounds_refuse_sizes_without_meaning(arguments, message):
    with pytest.raises(InputError, match=message):
        compressed_sensing_bounds(*arguments)
    with pytest.raises(InputError, match="constants must be positive"):
        compressed_sensing_bounds(10, 5, 2, constants=[0.0])


def test_recovery_passes_from_chance_to_certain_near_c_of_one():
    found = phase_diagram(50, 3, [0.5, 1.0, 1.5, 3.0], n_samples=200, n_draws=2)
    mcc = found["mcc"].values
    assert mcc[0] < 0.75
    assert mcc[-1] > 0.97
    assert (found["mcc_null"] < 0.5).all()
    assert 0.3 < float(found["transition"]) < 1.3
    assert found["n_units"].values.tolist() == [int(np.ceil(one * 3 * np.log(50 / 3))) for one in found["c"].values]
    assert float(found["support_f1"][-1]) > 0.88  # values below the penalty of .1 are lost, a tenth of them
    assert float(found["support_f1"][0]) < 0.8
    again = phase_diagram(50, 3, [0.5], n_samples=200, n_draws=2)
    assert np.isnan(again["transition"]) or float(again["transition"]) == 0.5


@pytest.mark.slow
def test_the_published_transition_is_reproduced():
    found = phase_diagram([50, 100, 200], [3, 5, 10], [0.5, *PUBLISHED], n_samples=1000, n_draws=3)
    mean = found["mcc"].mean(("n_features", "n_active"))
    print({float(c): round(float(mean.sel(c=c)), 3) for c in mean["c"]}, found["transition"].values.round(2).tolist())
    for c, expected in PUBLISHED.items():
        # at c = 1 a hundred FISTA steps had not converged: .86 here
        assert float(mean.sel(c=c)) > expected - 0.03
        assert c == 1.0 or float(mean.sel(c=c)) == pytest.approx(expected, abs=0.03)
    # A grid from c = 1 cannot show a transition below 1: the first point already past it is what it returns
    assert (found["transition"] > 0.5).all()
    assert (found["transition"] < 1.0).all()


def test_the_transition_is_interpolated_half_way_from_null_to_one():
    grid, mcc = np.array([1.0, 2.0, 3.0]), np.array([[[0.2, 0.6, 1.0], [0.9, 1.0, 1.0], [0.1, 0.2, 0.3]]])
    crossing = _crossing(grid, mcc, np.zeros_like(mcc))
    np.testing.assert_allclose(crossing, [[1.75, 1.0, np.nan]])
    np.testing.assert_allclose(_crossing(grid, mcc, np.full_like(mcc, 0.2))[0, 0], 2.0)


def test_phase_diagrams_refuse_sizes_without_meaning():
    with pytest.raises(InputError, match="a phase diagram needs n > k >= 1 and c > 0"):
        phase_diagram(10, 10)
    with pytest.raises(InputError, match=r"n must be a whole number or a list of them; got \[\]"):
        phase_diagram([], 2)
    with pytest.raises(InputError, match="n_samples must be an integer of at least 10; got 1"):
        phase_diagram(20, 2, n_samples=1)
    with pytest.raises(InputError, match="penalty must be positive; got 0"):
        phase_diagram(20, 2, penalty=0)
    with pytest.raises(InputError, match=r"dictionary needs a matrix \(atom, unit\) of numbers; got shape \(5,\)"):
        compressed_sensing_bounds(10, 5, 2, dictionary=np.zeros(5))
