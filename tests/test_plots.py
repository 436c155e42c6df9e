"""Figures show what the result says and leave it to others to show or save."""

from __future__ import annotations

from collections.abc import Iterator

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr

from neurosparse import plots, population


@pytest.fixture(autouse=True)
def _close() -> Iterator[None]:
    yield
    plt.close("all")


@pytest.fixture
def result() -> xr.Dataset:
    names = ["V4", "a", "b"]
    rows = {
        "r": [np.nan, 0.5, 0.6],
        "r_low": [np.nan, 0.45, 0.5],
        "r_high": [np.nan, 0.6, 0.65],
        "r_null": [np.nan, 0.01, -0.02],
        "ceiling": [0.87, np.nan, np.nan],
        "stability": [0.67, 0.5, 0.6],
        "stability_surrogate_low": [0.5, 0.4, 0.55],
        "stability_surrogate_high": [0.55, 0.45, 0.65],
    }
    return xr.Dataset(
        {name: ("representation", values) for name, values in rows.items()} | {"family_r": ("family", [0.6, 0.25])},
        {"representation": names, "family": ["model", "pixels"]},
        {"reference": "V4", "model_family": "model"},
    )


def test_cross_scores_are_drawn_at_their_values_with_null_control_and_ceiling(result: xr.Dataset) -> None:
    ax = plots.plot_cross_scores(result)
    lines = {line.get_label(): line.get_ydata() for line in ax.get_lines()}
    np.testing.assert_allclose(lines["null (stimuli permuted)"], [0.01, -0.02])
    np.testing.assert_allclose(lines["ceiling of V4"], 0.87)
    np.testing.assert_allclose(lines["pixels"], 0.25)
    assert "model" not in lines
    (container,) = ax.containers
    np.testing.assert_allclose(container[0].get_ydata(), [0.5, 0.6])
    np.testing.assert_allclose([path[:, 1] for path in container[2][0].get_segments()], [[0.45, 0.6], [0.5, 0.65]])
    assert [text.get_text() for text in ax.get_xticklabels()] == ["a", "b"]


def test_draws_of_one_control_are_all_drawn_and_named_once(result: xr.Dataset) -> None:
    families = xr.Dataset(
        {"family_r": ("family", [0.6, 0.25, 0.41, 0.43])},
        {"family": ["model", "pixels", "random weights 0", "random weights 1"]},
    )
    ax = plots.plot_cross_scores(result.drop_dims("family").merge(families))
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert [label for label in labels if "random" in label] == ["random weights (2 draws)"]
    levels = [float(np.ravel(line.get_ydata())[0]) for line in ax.get_lines()]
    assert {0.25, 0.41, 0.43} <= set(levels)
    styles = {line.get_linestyle() for line in ax.get_lines() if line.get_ydata()[0] in (0.41, 0.43)}
    (pixels,) = [line for line in ax.get_lines() if line.get_label() == "pixels"]
    assert len(styles) == 1
    assert pixels.get_linestyle() not in styles


def test_a_reference_without_repeats_has_no_ceiling_line(result: xr.Dataset) -> None:
    ax = plots.plot_cross_scores(result.assign(ceiling=("representation", [np.nan] * 3)))
    assert not [line for line in ax.get_lines() if "ceiling" in str(line.get_label())]


def test_stability_is_drawn_beside_its_surrogates_on_the_axes_given(result: xr.Dataset) -> None:
    _, ax = plt.subplots()
    assert plots.plot_stability(result, ax=ax) is ax
    np.testing.assert_allclose([line.get_ydata()[0] for line in ax.get_lines()], [0.67, 0.5, 0.6])
    (bands,) = ax.collections
    np.testing.assert_allclose([path[:, 1] for path in bands.get_segments()], [[0.5, 0.55], [0.4, 0.45], [0.55, 0.65]])


def test_repeats_are_drawn_against_each_other_with_their_unit_of_measure() -> None:
    rng = np.random.default_rng(0)
    halves = [
        population.from_arrays(
            rng.poisson(5, (30, 2)).astype(float),
            dims=("stimulus", "unit"),
            stimulus=np.arange(30),
            unit=["good", "bad"],
            quantity="spike count",
        )
        for _ in range(2)
    ]
    ax = plots.plot_repeats(*halves, "bad")
    (points,) = ax.get_lines()
    np.testing.assert_array_equal(points.get_xdata(), halves[0].sel(unit="bad"))
    np.testing.assert_array_equal(points.get_ydata(), halves[1].sel(unit="bad"))
    assert ax.get_xlabel() == "spike count, half of the repeats"
    halves[0].attrs["units"] = "Hz"
    assert plots.plot_repeats(*halves, "bad").get_xlabel() == "spike count (Hz), half of the repeats"
