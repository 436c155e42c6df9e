"""What the benchmark of fits says, on a law small enough for a test."""

import pytest
import torch

from tests.benchmarks import fitting
from tests.benchmarks.recovery import Law


@pytest.mark.skipif(torch.cuda.is_available(), reason="says what it says where there is no device")
def test_fits_are_held_against_the_first_and_a_missing_device_is_said():
    law = Law(24, 16, 2, 1200, False, "")
    ours, loop, none = fitting.measure("tiny", law, ["cpu", "cuda"], seed=0, rounds=30)
    assert (ours["ratio"], ours["excess"], ours["same_atoms"]) == (1, 0, 1)
    assert ours["true_atoms"] > 0.9
    assert loop["excess"] > -1e-3  # the same objective, from one start and without replacement
    assert loop["excess"] < 0.3
    assert 0 <= loop["same_atoms"] <= loop["true_atoms"] + 0.1
    assert none == {"task": "tiny", "device": "cuda", "skipped": "not measured: no device"}
