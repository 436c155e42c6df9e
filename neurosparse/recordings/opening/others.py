"""What is no HDF5 file of ours to open: Zarr stores, and pynwb objects that the user has open."""

from __future__ import annotations

import re
import warnings

import pynwb

from neurosparse.errors import FileError
from neurosparse.recordings.opening.opened import IDLE, Opened, line, nothing, opened_of
from neurosparse.recordings.sources import Source

_LIBRARY = (DeprecationWarning, FutureWarning, PendingDeprecationWarning, ResourceWarning)


def of_zarr(source: Source) -> Opened:
    """A Zarr store, by hdmf-zarr."""
    from hdmf_zarr import NWBZarrIO

    reader = None
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            reader = NWBZarrIO(source.where, mode="r", load_namespaces=True)
            nwbfile = reader.read()
            nwbfile.objects  # noqa: B018
    except Exception as error:
        if reader is not None:
            reader.close()
        raise FileError(
            f"hdmf-zarr cannot read {source.where}: {line(error) or type(error).__name__}. The store may be "
            "incomplete, or of a Zarr format that the installed hdmf-zarr does not read."
        ) from error
    notes = dict.fromkeys(line(one.message, 2000) for one in caught if not issubclass(one.category, _LIBRARY))
    with source.open() as store:
        version = str(store.attrs.get("nwb_version", ""))
    opened = opened_of(source, version, nwbfile, [note for note in notes if not IDLE.search(note)], reader)
    opened.report.assume(
        "columns of references, such as electrode_group, are left out: Zarr stores keep them as pickles."
    )
    return opened


def of_object(nwbfile: pynwb.NWBFile) -> Opened:
    """A pynwb object that is the user's to close."""
    where = nwbfile.container_source or ""
    reader = nwbfile.get_read_io() if hasattr(nwbfile, "get_read_io") else None
    name = re.split(r"[\\/]", str(where).rstrip("/"))[-1] or f"{nwbfile.identifier} (in memory)"
    opened = opened_of(Source(str(where), name, "memory"), "", nwbfile, [], reader)
    return Opened(**{**opened.__dict__, "close": nothing})
