"""The number of atoms that held-out entries, or the other half's repeats, pay for is the number there are."""

from __future__ import annotations

import numpy as np
import pytest

from neurosparse.backend.baselines import random_dictionary
from neurosparse.errors import InputError
from neurosparse.sparse_coding import select_dictionary


def measured_twice(n_samples=600):
    """Two noisy measurements of samples made of 8 atoms."""
    rng = np.random.default_rng(0)
    codes = rng.uniform(0.5, 1.5, (n_samples, 8)) * (rng.random((n_samples, 8)) < 0.15)
    signal = codes @ random_dictionary(8, 12, random_state=0)
    return [signal + 0.1 * rng.standard_normal(signal.shape) for _ in range(2)]


@pytest.mark.parametrize("repeated", [False, True])
def test_the_planted_number_is_chosen(repeated):
    x, other = measured_twice()
    found = select_dictionary(x, n_atoms=[2, 4, 8, 16], other=other if repeated else None)
    assert found.attrs["n_atoms"] == 8
    error = found["error"].min("level")
    assert float(error.sel(n_atoms=4)) > 2 * float(error.sel(n_atoms=8))
    assert found.attrs["penalty"] in found["penalty"].sel(n_atoms=8)


def test_what_cannot_be_chosen_from_is_said():
    x, other = measured_twice(60)
    for wrong, message in (
        ({"n_atoms": [0]}, "sizes between 1 and the 40 samples"),
        ({"other": other[:5]}, "other needs the samples and units of x"),
        ({"groups": "image"}, "groups names 'image'"),
        ({"groups": np.zeros(3)}, "one entry for each of 60"),
    ):
        with pytest.raises(InputError, match=message):
            select_dictionary(x, **wrong)
