"""Stimuli as networks see them, and pixels as a population."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import xarray as xr
from skimage.measure import block_reduce

from neurosparse import population
from neurosparse.errors import InputError
from neurosparse.networks import pixels


@pytest.fixture
def images():
    values = np.random.default_rng(0).integers(0, 256, (7, 12, 8, 3)).astype(np.uint8)
    return xr.DataArray(
        values, dims=("stimulus", "row", "column", "channel"), coords={"stimulus": list("gfedcba")}, name="pictures"
    )


def test_pixels_are_means_over_cells(images):
    found = pixels(images, size=4)
    expected = block_reduce(images.values.astype(float), (1, 3, 2, 1), np.mean)  # (stimulus, row, column, channel)
    population.check(found, dims=("stimulus", "unit"))
    assert found.stimulus.values.tolist() == list("gfedcba")
    assert found.sizes["unit"] == 48
    for unit in found.unit.values:
        one = found.sel(unit=unit)
        assert unit == f"pixels[{int(one.channel)},{int(one.row)},{int(one.column)}]"
        np.testing.assert_allclose(one, expected[:, int(one.row), int(one.column), int(one.channel)], rtol=1e-5)
    assert set(found.layer.values) == {"pixels"}
    assert population.provenance(found)["size"] == 4


def test_small_images_keep_their_resolution(images):
    found = pixels(images)
    np.testing.assert_array_equal(found, images.values.transpose(0, 3, 1, 2).reshape(7, -1))
    assert (int(found.row.max()), int(found.column.max())) == (11, 7)
    assert pixels(images, size=8).sizes["unit"] == 3 * 8 * 8


def test_batches_do_not_matter(images, monkeypatch):
    whole = pixels(images, size=4)
    monkeypatch.setattr("neurosparse.networks.images._ROWS_AT_ONCE", 3)
    xr.testing.assert_identical(pixels(images, size=4), whole)


def test_arrays_and_tensors_give_the_same_pixels(images):
    labelled = pixels(images, size=4)
    array = pixels(images.values, size=4)
    tensor = pixels(torch.from_numpy(images.values).permute(0, 3, 1, 2), size=4)
    np.testing.assert_array_equal(array, labelled)
    np.testing.assert_array_equal(tensor, labelled)
    assert array.stimulus.values.tolist() == list(range(7))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda x: x.rename(row="height"),
            r"stimuli needs dims \('stimulus', 'row', 'column', 'channel'\).*got .*height",
        ),
        (lambda x: x.isel(stimulus=slice(0)), r"stimuli needs at least one stimulus; got none"),
        (lambda x: x.isel(stimulus=[0, 1, 1]), r"stimuli needs unique ids; .*'f'.* occurs 2 times"),
        (lambda x: x.values[0], r"stimuli as an array needs dims.*got shape \(12, 8, 3\) of uint8.*x\[..., None\]"),
        (lambda x: x.values.astype(str), r"stimuli as an array needs dims.*and numbers; got shape .* of <U"),
        (lambda x: torch.zeros(3), r"stimuli as a tensor needs dims \(stimulus, ...\).*got shape \(3,\)"),
        (lambda x: x.values.reshape(7, -1), r"pixels needs images.*got shape \(7, 288\)"),
    ],
)
def test_stimuli_that_are_none_are_explained(images, change, message):
    with pytest.raises(InputError, match=message):
        pixels(change(images))


def test_sizes_below_one_pixel_are_refused(images):
    with pytest.raises(InputError, match=r"size needs to be at least 1 pixel; got 0"):
        pixels(images, size=0)
