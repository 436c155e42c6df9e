"""Compiled code never outlives a file that it was made of, and is one; a leap goes where the objective falls."""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from neurosparse.backend.inference.kernels import compiling
from neurosparse.backend.inference.kernels.leap import leap

INNER = "from kept_kernels.compiling import inlined\n\n@inlined\ndef inner(x):\n    return x + {}\n"
OUTER = """from kept_kernels.compiling import compiled
from kept_kernels.inner import inner

@compiled
def outer(x):
    return 2 * inner(x)
"""


# Codes of 600 atoms by their Gram matrix and screened, counted; to the last bit.
DIGEST = """
import hashlib
import numpy as np
import torch
from neurosparse.backend.dictionary import Statistics
from neurosparse.backend.inference import candidates, coordinate, encode
candidates.multiply_int8 = lambda rows, atoms, out: out.copy_(rows.int() @ atoms.int().T)
coordinate.MAX_HANDED = 1
random = np.random.RandomState(0)
atoms = random.standard_normal((600, 60)).astype(np.float32)
x = random.rand(200, 600).astype(np.float32) ** 60 @ atoms
for screens in (False, True):
    coordinate.fast_int8 = lambda: screens
    found, sums = encode(x, atoms, 1.0, tol=1e-3), Statistics(600, 60, torch.from_numpy(x), compiled=True)
    sums.add(torch.from_numpy(found.codes), torch.from_numpy(x))
    arrays = found.codes, found.objective, sums.gram.numpy(), sums.cross.numpy()
    print(found.solver, int((found.codes > 0).sum()), hashlib.sha256(b"".join(map(bytes, arrays))).hexdigest())
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


def test_a_process_that_compiles_and_one_that_finds_code_on_disk_agree_to_the_last_bit(tmp_path):
    said = []
    for _ in range(2):
        environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path), "OMP_NUM_THREADS": "1"}
        done = subprocess.run(
            [sys.executable, "-c", DIGEST], env=environment, capture_output=True, text=True, check=True
        )
        said.append(done.stdout)
        assert all(any(tmp_path.rglob(f"*{name}*.nbc")) for name in ("solve_cached", "screen_round"))
    assert said[0] == said[1]
    for line, form in zip(said[0].splitlines(), ("Gram", "8 bits"), strict=True):
        assert line.startswith(f"coordinate: candidates, {form} ")
        assert int(line.split()[-2]) > 1000


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
