"""Fixtures that every room's tests share."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # one process a core: more threads would only wait for each other


# Few tests, each of them long: begun last, one process would be at them while the others have nothing left to do.
# The tutorial last of these: what it compiles is compiled by then, as it is for whoever opens it a second time.
LONG_FILES = ("test_known_answer", "test_house", "test_sparse_coding", "test_comparison", "test_tutorials")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: LONG_FILES.index(item.path.stem) if item.path.stem in LONG_FILES else len(LONG_FILES))


@pytest.fixture(scope="session")
def data_file() -> Callable[[str], Path]:
    """Path of a real recording; skips where no folder was named, fails where the named folder lacks the file."""

    def find(name: str) -> Path:
        folder = os.environ.get("NEUROSPARSE_DATA_DIR")
        if not folder:
            pytest.skip("NEUROSPARSE_DATA_DIR is not set: no real recordings here")
        path = Path(folder) / name
        assert path.exists(), f"NEUROSPARSE_DATA_DIR is set to {folder} but {name} is not in it"
        return path

    return find
