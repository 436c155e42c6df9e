"""What a card says of a feature is what the data say, and the card shows it."""

from __future__ import annotations

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr

from neurosparse import interpretability_scores, plots
from neurosparse.errors import InputError, MissingError
from neurosparse.interpretability import describe_feature
from neurosparse.population import from_arrays


def trials(n=60, repeats=4, seed=0):
    rng = np.random.default_rng(seed)
    stimulus = rng.permutation(np.repeat(np.arange(n), repeats))
    signal = np.maximum(rng.standard_normal((n, 3)), 0)
    values = signal[stimulus] + 0.2 * rng.random((n * repeats, 3))
    start = {"start_time": ("trial", np.arange(n * repeats)[::-1] * 0.5)}
    codes = from_arrays(values, dims=("trial", "unit"), stimulus=stimulus, coords=start)
    return codes.rename(unit="atom"), signal


def dictionary_of(n_units=6, **coords):
    rng = np.random.default_rng(1)
    labels = {"atom": np.arange(3), "unit": np.arange(n_units)} | {k: ("unit", v) for k, v in coords.items()}
    return xr.DataArray(rng.standard_normal((3, n_units)), labels, ("atom", "unit"))


def images(n=60):
    values = np.random.default_rng(2).integers(0, 255, (n, 8, 8, 3)).astype(np.uint8)
    return xr.DataArray(values, {"stimulus": np.arange(n)[::-1]}, ("stimulus", "row", "column", "channel"))


def test_the_description_is_what_the_data_say():
    codes, signal = trials()
    pictures = images()
    scored = interpretability_scores(codes, scores=("kurtosis", "reliability"), n_permutations=9, n_bootstraps=9)
    dictionary = dictionary_of(area=list("bababa"))
    angle = (np.arange(60) + 0.5) * 2 * np.pi / 60
    found = describe_feature(
        codes, 1, stimuli=pictures, dictionary=dictionary, covariate=angle, period=2 * np.pi, scores=scored, n_shown=3
    )
    means = codes[:, 1].groupby("stimulus").mean().values
    assert found["top"]["labels"] == np.argsort(-means)[:3].tolist()
    np.testing.assert_allclose(found["bottom"]["responses"], np.sort(means)[:3])
    for k, label in enumerate(found["top"]["labels"]):
        np.testing.assert_array_equal(found["top"]["images"][k], pictures.sel(stimulus=label).values)
    np.testing.assert_array_equal(found["over"], np.arange(240) * 0.5)
    np.testing.assert_array_equal(found["responses"], codes.values[::-1, 1])
    assert found["over_what"] == "start of trial (s)"
    np.testing.assert_allclose(found["tuning"]["map"], means.reshape(20, 3).mean(axis=1))
    np.testing.assert_array_equal(found["weights"]["weight"], dictionary.values[1])
    assert found["weights"]["area"].tolist() == list("bababa")
    assert found["reliability"] == pytest.approx(float(scored["reliability"][1]))
    np.testing.assert_allclose(found["halves"].mean(axis=1), means)
    assert found["scores"]["kurtosis"]["value"] == float(scored["kurtosis"][1])
    assert found["scores"]["reliability"]["p"] == float(scored["reliability_p"][1])
    assert np.corrcoef(found["halves"].T)[0, 1] > 0.9
    assert np.corrcoef(means, signal[:, 1])[0, 1] > 0.9


def test_what_was_not_given_is_none_and_times_and_stimuli_have_their_own_order():
    rng = np.random.default_rng(0)
    values = rng.exponential(size=(50, 2))
    found = describe_feature(from_arrays(values, dims=("stimulus", "unit")), 0)
    for name in ("tuning", "weights", "reliability", "halves", "scores"):
        assert found[name] is None
    assert found["top"]["images"] is None
    np.testing.assert_array_equal(found["responses"], np.sort(values[:, 0])[::-1])
    timed = from_arrays(values, dims=("time", "unit"), bin_width=0.5)
    found = describe_feature(timed, 1, covariate=rng.random((50, 2)), n_bins=4)
    np.testing.assert_array_equal(found["over"], timed["time"].values)
    assert found["tuning"]["map"].shape == (16,)


@pytest.mark.parametrize("place", ["areas", "layer", "plain", "alone"])
def test_a_card_shows_every_part_once(place):
    codes, _ = trials()
    coords = {"areas": {"area": list("bababa")}, "layer": {"row": [0, 0, 1, 1, 0, 1], "column": [0, 1, 0, 1, 1, 1]}}
    given = {}
    if place != "alone":
        given = {
            "stimuli": images() if place == "areas" else None,
            "dictionary": dictionary_of(**coords.get(place, {})),
            "covariate": np.random.default_rng(0).random((60, 2 if place == "layer" else 1)),
            "scores": interpretability_scores(codes, scores="kurtosis", n_permutations=9, n_bootstraps=9),
        }
    figure = plots.card_feature(describe_feature(codes, 1, **given))
    figure.canvas.draw()
    titles = [ax.get_title() for ax in figure.axes]
    assert "atom 1: active on 100 % of 60 samples" in figure.get_suptitle()
    assert ("weights over units" in titles) == (place != "alone")
    assert any(title.startswith("reliability 1.0") for title in titles)
    texts = " ".join(text.get_text() for ax in figure.axes for text in ax.texts)
    assert ("kurtosis" in texts) == (place != "alone")
    plt.close(figure)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"codes": np.ones(3)}, InputError, r"codes needs dims \(stimulus, atom\).* got ndarray"),
        ({"feature": 9}, MissingError, r"codes has no atom 9; it has 3, such as \[0, 1, 2\]"),
        ({"dictionary": dictionary_of()[1:]}, InputError, r"dictionary needs dims \(atom, unit\) and an atom 0"),
        ({"covariate": np.ones((60, 3))}, InputError, "covariate has 3 dimensions; a card shows one or two"),
        ({"stimuli": images(9)}, InputError, "stimuli lacks 51 of the 60 stimuli"),
    ],
)
def test_wrong_parts_say_what_to_do(change, error, message):
    with pytest.raises(error, match=message):
        describe_feature(**{"codes": trials()[0], "feature": 0} | change)
