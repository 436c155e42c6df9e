"""Open an NWB file, or say why it cannot be: missing, no HDF5, no NWB, too old, extension not installed, damaged.

A path, URL or pynwb object enters; what it holds and what was wrong with it leave, as `Opened`. pynwb reads wherever it
can; files whose extensions are not installed are read by `raw`.
"""

from __future__ import annotations

from typing import Any

import pynwb

from neurosparse.recordings.opening.guards import reading, reopening
from neurosparse.recordings.opening.hdf5 import of_hdf5
from neurosparse.recordings.opening.opened import Opened
from neurosparse.recordings.opening.others import of_object, of_zarr
from neurosparse.recordings.sources import source_of

__all__ = ["Opened", "open_source", "reading", "reopening"]


def open_source(given: Any) -> Opened:
    """Open what a user gives: a path, a URL, a Zarr store or a pynwb.NWBFile.

    Raises
    ------
    InputError, FileError, DependencyError
        As `Recording` and `sources.source_of` say.
    """
    if isinstance(given, pynwb.NWBFile):
        return of_object(given)
    source = source_of(given)
    return of_zarr(source) if source.format == "zarr" else of_hdf5(source)
