"""HDF5 files, by pynwb where it can build them."""

from __future__ import annotations

import re
import warnings
from typing import Any

import h5py
import pynwb

from neurosparse.errors import NeurosparseError
from neurosparse.recordings.opening.opened import IDLE, Opened, Unbuildable, line, opened_of
from neurosparse.recordings.opening.stored import damaged_at, nwb_version, open_hdf5
from neurosparse.recordings.opening.unbuilt import of_raw
from neurosparse.recordings.sources import Source


def of_hdf5(source: Source) -> Opened:
    file = open_hdf5(source)
    try:
        version = nwb_version(source, file)
        if not source.remote:
            file.close()  # pynwb follows links to other files from a path alone
        reader, nwbfile, notes = _read(source, file if source.remote else None)
    except Unbuildable as reason:
        return of_raw(source, version, reason)
    except BaseException:
        file.close()
        raise
    return opened_of(source, version, nwbfile, notes, reader)


def _read(source: Source, file: h5py.File | None) -> tuple[Any, pynwb.NWBFile, list[str]]:
    """pynwb's reader, file object and remarks, with the schema kept in the file or, where that fails, without it."""
    try:
        return _build(source, file, load_namespaces=True)
    except NeurosparseError:
        raise
    except Exception as error:  # hdmf raises every kind of error at a file it cannot build
        first = error
    try:
        reader, nwbfile, notes = _build(source, file, load_namespaces=False)
    except Exception:
        raise Unbuildable(str(first)) from first
    said = f"the copy of the schema in {source.name} cannot be used ({line(first)}); it is read with pynwb's own."
    return reader, nwbfile, [said, *notes]


def _build(
    source: Source, file: h5py.File | None, *, load_namespaces: bool
) -> tuple[pynwb.NWBHDF5IO, pynwb.NWBFile, list[str]]:
    reader = None
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            given: dict[str, Any] = {"path": source.where} if file is None else {"file": file}
            reader = pynwb.NWBHDF5IO(mode="r", load_namespaces=load_namespaces, **given)
            nwbfile = reader.read()
            nwbfile.objects  # noqa: B018  built here, so that its warnings are caught too
        _check_whole(source, reader, caught)
    except Exception:
        if reader is not None and file is None:
            reader.close()
        raise
    notes = dict.fromkeys(line(one.message, 2000) for one in caught)
    return reader, nwbfile, [note for note in notes if not IDLE.search(note)]


def _check_whole(source: Source, reader: pynwb.NWBHDF5IO, caught: list[warnings.WarningMessage]) -> None:
    """Refuse a file whose objects cannot all be read: pynwb leaves them out with a warning, as it does dangling links.

    Raises
    ------
    FileError
        If what is left out stands in the file itself; a link to elsewhere may dangle in a whole file.
    """
    said = [re.search(r"altered/broken at (\S.*)", str(one.message)) for one in caught]
    for where in (found.group(1) for found in said if found):
        if isinstance(reader._file.get(where, getlink=True), h5py.HardLink):
            raise damaged_at(source, where)
