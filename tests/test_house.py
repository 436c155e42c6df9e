"""The walls of the house: import contracts, lint, types, what an import costs, and what is packed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import neurosparse
from neurosparse import errors, files

ROOT = Path(__file__).resolve().parent.parent


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "command",
    [
        ("-m", "ruff", "check", "."),
        ("-m", "ruff", "format", "--check", "."),
        ("-m", "mypy"),
        ("-c", "from importlinter.cli import lint_imports_command as c; c()"),
    ],
    ids=["ruff check", "ruff format", "mypy", "import contracts"],
)
def test_tools_find_nothing(command: tuple[str, ...]) -> None:
    done = run(sys.executable, *command)
    assert done.returncode == 0, done.stdout + done.stderr


def test_import_loads_no_heavy_library_and_is_quick() -> None:
    heavy_ones = ("torch", "pynwb", "h5py", "matplotlib", "xarray", "pandas", "requests", "pooch")
    code = (
        "import time; t = time.process_time(); import neurosparse; t = time.process_time() - t; import sys; "
        f"print(t, [m for m in {heavy_ones} if m in sys.modules])"
    )
    seconds, heavy = run(sys.executable, "-c", code).stdout.split(" ", 1)
    assert float(seconds) < 0.5
    assert heavy.strip() == "[]"


def test_every_public_name_resolves() -> None:
    for name in neurosparse.__all__:
        assert getattr(neurosparse, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'decode'"):
        neurosparse.decode  # noqa: B018


def test_no_public_function_shares_its_name_with_a_module() -> None:
    modules = {path.stem for path in (ROOT / "neurosparse").rglob("*.py")} - {"__init__"}
    assert not modules & set(neurosparse._HOMES)


def test_packed_folders_are_found_in_a_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(files.packaged("data_manifests").glob("*.toml"))
    assert list(files.packaged("tutorials").glob("*.ipynb"))
    with pytest.raises(errors.FileError, match="neither packed"):
        files.packaged("recordings_of_mine")
    # As installed from a wheel: the folders lie inside the package and nothing lies beside it.
    package = tmp_path / "neurosparse"
    (package / "_packed" / "tutorials").mkdir(parents=True)
    monkeypatch.setattr(files, "__file__", str(package / "files.py"))
    assert files.packaged("tutorials") == package / "_packed" / "tutorials"


def test_an_error_is_also_the_built_in_it_is_a_case_of() -> None:
    assert issubclass(errors.InputError, ValueError)
    assert issubclass(errors.FileError, OSError)
    assert issubclass(errors.MissingError, KeyError)
    assert issubclass(errors.DependencyError, ImportError)
    assert str(errors.MissingError("no table 'x'")) == "no table 'x'"
    assert str(errors.MissingError()) == ""


def test_every_room_is_a_public_name() -> None:
    here = ROOT / "neurosparse"
    rooms = {path.stem for path in here.glob("[a-z]*.py")} | {
        path.parent.name for path in here.glob("[a-z]*/__init__.py")
    }
    assert set(neurosparse._ROOMS) == rooms - {"backend", "cli"}, "numbers and commands have doors of their own"
