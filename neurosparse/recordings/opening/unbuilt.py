"""Files that pynwb cannot build: read by h5py alone where an extension is missing, else refused with the reason."""

from __future__ import annotations

import re

import h5py

from neurosparse.errors import DependencyError, FileError
from neurosparse.recordings import raw
from neurosparse.recordings.contents import Contents
from neurosparse.recordings.load_report import LoadReport
from neurosparse.recordings.opening.opened import Opened, Unbuildable, line, told
from neurosparse.recordings.opening.stored import damaged_at, open_hdf5, unreadable
from neurosparse.recordings.sources import Source

# What hdmf says of row ids that are no whole numbers.
TEXT_IDS = "ElementIdentifiers must contain integers"


def of_raw(source: Source, version: str, reason: Unbuildable) -> Opened:
    """A file that pynwb cannot build, read by h5py alone where an extension or ids that are text are to blame.

    Raises
    ------
    DependencyError
        If nothing in it can be read without the extension.
    FileError
        If neither is to blame.
    """
    file = open_hdf5(source)
    try:
        missing = _missing_extensions(file, str(reason))
        named = not missing and TEXT_IDS in str(reason)
        parts = raw.parts(file) if missing or named else []
        identity = raw.identity(file)
    except Exception as error:
        raise _damaged(source, file, reason) from error
    if not missing and not named:
        raise _damaged(source, file, reason) from reason.__cause__
    if missing and not parts:
        file.close()
        raise DependencyError(
            f"{source.where} {_uses(missing)}, and nothing can be read without it. {_install(missing)}"
        ) from reason
    said = f"pynwb cannot build {source.name}: row ids of a table are text. It is read by h5py alone."
    if missing:
        read = "tables and series are read by h5py alone, as plain datasets"
        said = f"{source.name} {_uses(missing)}: {read}. {_install(missing)}"
    report, contents = LoadReport(warned=[said]), Contents(source.name, parts)
    if missing:
        report.choose(missing_extensions=missing)
    return told(Opened(source, version, None, contents, identity, report, [said], file.close), "h5py")


def _uses(missing: list[str]) -> str:
    extensions, are = ("extension", "is") if len(missing) == 1 else ("extensions", "are")
    return f"uses the NWB {extensions} {', '.join(missing)}, which {are} not installed or cannot be loaded"


def _install(missing: list[str]) -> str:
    return f"Install {'it' if len(missing) == 1 else 'them'} with: pip install {' '.join(missing)}"


def _missing_extensions(file: h5py.File, reason: str) -> list[str]:
    """Namespaces of things in the file that pynwb does not know, most used first, and the one its error names."""
    used = raw.foreign_namespaces(file)
    names = sorted(used, key=lambda name: -used[name])
    named = re.search(r"ndx-[\w-]+", reason)
    if named and named.group() not in names:
        names.append(named.group())
    return names


def _damaged(source: Source, file: h5py.File, reason: BaseException) -> FileError:
    """What is wrong with a file that nobody can read, by HDF5 where it knows; closes the file."""
    try:
        where = unreadable(file)
    except (OSError, RuntimeError, KeyError):
        where = "its root"
    finally:
        file.close()
    if where:
        return damaged_at(source, where)
    return FileError(
        f"pynwb cannot read {source.where}: {_worded(reason.__cause__ or reason)}. "
        "The file may be damaged or break the NWB schema."
    )


def _worded(error: BaseException) -> str:
    """The words of an error; hdmf's also hold all of the object that it could not build, of which the path is kept."""
    *before, said = error.args or ("",)
    place = getattr(before[0], "path", "").removeprefix("root").lstrip("/") if before else ""
    words = line(said) or type(error).__name__
    return f"{place}: {words}" if place else words
