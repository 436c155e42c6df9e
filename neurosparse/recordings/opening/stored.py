"""The HDF5 file itself, before anything is built of it: whether it is one, whole, and NWB 2."""

from __future__ import annotations

import re

import h5py

from neurosparse.errors import FileError, NeurosparseError
from neurosparse.recordings.load_report import some
from neurosparse.recordings.sources import Source


def open_hdf5(source: Source) -> h5py.File:
    """The HDF5 file, or a `FileError` that says what it is instead."""
    if not source.remote and not h5py.is_hdf5(source.where):
        raise FileError(
            f"{source.where} is no HDF5 file ({source.size:,} bytes), so it cannot be read as NWB. "
            "It may be cut short, a download page, or another format; fetch it again."
        )
    try:
        return source.open_hdf5()
    except NeurosparseError:
        raise
    except (OSError, RuntimeError, KeyError) as error:
        cut = re.search(r"truncated file: eof = (\d+).*stored_eof = (\d+)", str(error))
        if cut:
            there, all_ = (f"{int(n):,}" for n in cut.groups())
            raise FileError(
                f"{source.where} is cut short: {there} of {all_} bytes are there. Fetch it again."
            ) from error
        what = "cannot be read as HDF5" if source.remote else "is damaged: HDF5 cannot read its root"
        raise FileError(f"{source.where} {what} ({error}). Fetch it again.") from error


def nwb_version(source: Source, file: h5py.File) -> str:
    """Version of the NWB schema that an HDF5 file states.

    Raises
    ------
    FileError
        If it is not NWB, or NWB 1.
    """
    where = source.where
    try:
        version = file.attrs.get("nwb_version")
        if version is None and isinstance(file.get("nwb_version"), h5py.Dataset):
            version = file["nwb_version"][()]  # where NWB 1 kept it
        holds = some(list(file), 8) or "nothing"
    except (OSError, RuntimeError, KeyError) as error:
        raise FileError(f"{where} is damaged: HDF5 cannot read its root ({error}). Fetch it again.") from error
    if version is None:
        raise FileError(f"{where} is an HDF5 file but not NWB: it states no nwb_version. At its root: {holds}.")
    text = version.decode(errors="replace") if isinstance(version, bytes) else str(version)
    number = re.search(r"\d+(\.\d+)*\w*", text)
    if number and int(re.match(r"\d+", number.group()).group()) < 2:  # type: ignore[union-attr]
        raise FileError(
            f"{where} is NWB {number.group()}, which is too old: neurosparse reads NWB 2 and later. Get the dataset's "
            "NWB 2 release (most archives re-released theirs, see dandiarchive.org), or read this file with h5py."
        )
    return number.group() if number else text


def damaged_at(source: Source, where: str) -> FileError:
    """The error of an object that HDF5 cannot read."""
    return FileError(f"{source.where} is damaged: HDF5 cannot read {where}. Fetch it again.")


def unreadable(group: h5py.Group) -> str:
    """Place of the first object below that HDF5 cannot open; "" if it can all."""
    for name in group:
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            continue
        try:
            child = group[name]
            below = unreadable(child) if isinstance(child, h5py.Group) else ""
        except (OSError, RuntimeError, KeyError):
            return f"{group.name.rstrip('/')}/{name}"
        if below:
            return below
    return ""
