"""Compiled code never outlives a file that it was made of; a leap goes where the objective falls."""

from __future__ import annotations

import importlib
import shutil
import sys

import numpy as np
import pytest

from neurosparse.backend.inference.kernels import compiling
from neurosparse.backend.inference.kernels.leap import leap

INNER = "from kept_kernels.compiling import compiled\n\n@compiled\ndef inner(x):\n    return x + {}\n"
OUTER = """from kept_kernels.compiling import compiled
from kept_kernels.inner import inner

@compiled
def outer(x):
    return 2 * inner(x)
"""


@pytest.fixture
def kernels(tmp_path, monkeypatch):
    """A folder of two functions, one of which calls the other from another file."""
    folder = tmp_path / "kept_kernels"
    folder.mkdir()
    (folder / "__init__.py").touch()
    shutil.copy(compiling.__file__, folder / "compiling.py")
    (folder / "inner.py").write_text(INNER.format(1))
    (folder / "outer.py").write_text(OUTER)
    monkeypatch.syspath_prepend(tmp_path)
    yield folder
    forget()


def forget():
    for name in [name for name in sys.modules if name.startswith("kept_kernels")]:
        del sys.modules[name]
    importlib.invalidate_caches()


def call_anew():
    """What the outer function makes of 3, imported as by a new process; whether its code came from the disk."""
    forget()
    outer = importlib.import_module("kept_kernels.outer").outer
    return outer(3), sum(outer.stats.cache_hits.values()) > 0


def test_code_is_kept_until_a_file_of_the_folder_changes(kernels):
    assert call_anew() == (8, False)
    assert call_anew() == (8, True)
    (kernels / "inner.py").write_text(INNER.format(10))  # the outer function's own file stays as it was
    assert call_anew() == (26, False)
    assert call_anew() == (26, True)


@pytest.mark.parametrize("dear", [0, 1])
def test_a_leap_along_atoms_that_are_alike_goes_where_the_penalty_falls(dear):
    atoms = np.eye(3)[[0, 0, 1]]
    z, penalty = np.array([1.0, 1.0, 0.5]), np.full(3, 0.3)
    penalty[dear] = 0.5
    slope = (np.array([2.5, 0.7, 0.1]) - z @ atoms) @ atoms.T
    kept = slope.copy()
    room = np.zeros(3, np.int64), np.zeros((3, 3)), np.zeros(3)
    n_active, blocked = leap(z, slope, penalty, atoms @ atoms.T, 3, *room)
    expected = np.array([2.0, 2.0, 0.5])
    expected[dear] = 0
    np.testing.assert_allclose(z, expected)  # the same fit, all of it by the cheaper one
    np.testing.assert_allclose(slope, kept, atol=1e-12)
    assert (n_active, blocked) == (2, True)
