"""What is lost without an atom, against refitting by hand and planted redundancy."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from neurosparse.errors import InputError
from neurosparse.interpretability import ablation_scores
from neurosparse.population import from_arrays


def world(seed=0, n=300):
    rng = np.random.default_rng(seed)
    z = rng.exponential(size=(n, 4)) * (rng.random((n, 4)) < 0.4) * [2.0, 1, 1, 0]
    d = rng.standard_normal((4, 10))
    d /= np.linalg.norm(d, axis=1, keepdims=True)
    noise = 0.2 * rng.standard_normal((n, 10))
    codes = from_arrays(z, dims=("stimulus", "unit")).rename(unit="atom")
    x = from_arrays(1.0 + z @ d + noise, dims=("stimulus", "unit"))
    return codes, x, xr.DataArray(d, {"atom": np.arange(4), "unit": np.arange(10)}, ("atom", "unit"))


def test_reconstruction_loses_what_leaving_the_atom_out_by_hand_loses():
    codes, x, dictionary = world()
    found = ablation_scores(codes, x, dictionary)
    offset = (x.values - codes.values @ dictionary.values).mean(axis=0)
    total = ((x.values - x.values.mean(axis=0)) ** 2).sum()

    def r_squared(z):
        return 1 - ((x.values - offset - z @ dictionary.values) ** 2).sum() / total

    assert float(found["r_squared"]) == pytest.approx(r_squared(codes.values))
    for atom in range(4):
        z = codes.values.copy()
        z[:, atom] = 0
        assert float(found["reconstruction"][atom]) == pytest.approx(r_squared(codes.values) - r_squared(z))
    assert found["reconstruction"].values.argmax() == 0
    assert found["reconstruction"][3] == 0


def test_an_atom_that_nobody_replaces_is_unique_and_twins_are_not():
    codes, x, dictionary = world()
    twins = codes.copy(data=np.stack([codes[:, 0], codes[:, 0], codes[:, 1], codes[:, 2]], axis=1))
    target = codes.values[:, 0] + codes.values[:, 1]
    found = ablation_scores(twins, x, dictionary, target=target, n_draws=10)
    assert found["decoded_r_squared"] > 0.99
    assert (found["decoding"][[0, 1, 2]] > 0.05).all()
    assert (np.abs(found["decoding_unique"][[0, 1]]) < 0.01).all()
    assert found["decoding_unique"][2] > 0.05
    assert (np.abs(found["decoding_unique"][3]) < 0.01).all()
    assert (found["decoding_unique_null_high"] < 0.05).all()


def test_a_networks_loss_rises_where_it_reads_the_atom_and_not_along_random_directions():
    codes, x, dictionary = world()
    read = np.linalg.pinv(dictionary.values)[:, 0]  # sees the first atom alone

    def loss(activations):
        return (activations @ read - x.values @ read) ** 2

    found = ablation_scores(codes, x, dictionary, loss=loss, n_draws=10)
    assert float(found["loss"][0]) == pytest.approx(float((codes.values[:, 0] ** 2).mean()))
    np.testing.assert_allclose(found["loss"][1:], 0, atol=1e-12)
    assert found["loss"][0] > 2 * found["loss_null"][0]
    assert found["whole_loss"] == 0


def test_times_are_decoded_in_blocks():
    codes, x, dictionary = world()
    moments = {"stimulus": "time"}
    given = [part.rename(moments).assign_coords(time=0.1 * np.arange(300)) for part in (codes, x)]
    found = ablation_scores(*given, dictionary, target=codes.values[:, :2], gap=3, n_draws=2)
    assert (found["decoding"][:2] > 0.1).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"codes": np.ones(3)}, "codes needs two dims, atom the last of them; got ndarray"),
        ({"x": world()[0]}, r"x needs two dims, unit the last of them; got \('stimulus', 'atom'\)"),
        ({"x": world()[1][::-1]}, "x and codes need the same samples in one order"),
        ({"dictionary": world()[2][::-1]}, "dictionary has other labels of atom than codes"),
        ({"offset": np.ones(3)}, r"offset needs one number for each of the 10 units; got shape \(3,\)"),
        ({"target": np.ones(3)}, r"target needs finite numbers for each of the 300 samples; got shape \(3,\)"),
        ({"loss": lambda a: 0.0}, r"loss must give one number for each of the 300 samples; got shape \(\)"),
    ],
)
def test_wrong_parts_say_what_to_do(change, message):
    codes, x, dictionary = world()
    with pytest.raises(InputError, match=message):
        ablation_scores(**{"codes": codes, "x": x, "dictionary": dictionary} | change)
