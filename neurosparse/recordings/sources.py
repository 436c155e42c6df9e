"""Where a recording comes from, and how its bytes are opened: a file, a URL, a Zarr store, or an object in memory.

What a user gives enters, a `Source` leaves; it is small, can be pickled, and opens the same bytes in another process.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import h5py

from neurosparse.errors import DependencyError, FileError, InputError
from neurosparse.recordings import remote

_ZARR_MARKS = (".zgroup", ".zmetadata", "zarr.json")


@dataclass(frozen=True)
class Source:
    """Where the bytes are.

    Attributes
    ----------
    where : str
        Absolute path or URL; "" for an object that was never in a file.
    name : str
        The file's name, for messages and provenance.
    format : {"hdf5", "zarr", "memory"}
    size : int or None
        Bytes, where known.
    tag : str
        What the server calls this version of the file; "" for local ones.
    """

    where: str
    name: str
    format: str = "hdf5"
    size: int | None = None
    tag: str = ""

    @property
    def remote(self) -> bool:
        """Whether it is on a server."""
        return is_url(self.where)

    @property
    def path(self) -> Any:
        """The path, or the URL as text."""
        return self.where if self.remote else Path(self.where)

    def open_hdf5(self) -> h5py.File:
        """The HDF5 file, to be closed by the caller."""
        if not self.remote:
            return h5py.File(self.where, "r")
        stream = remote.Stream(self.where, self.size or 0, self.tag)
        return h5py.File(stream, "r")

    @contextmanager
    def open(self) -> Iterator[Any]:
        """The file or store as a mapping of paths to datasets."""
        if self.format == "zarr":
            yield _zarr().open_group(self.where, mode="r")
        else:
            with self.open_hdf5() as file:
                yield file


def is_url(text: str) -> bool:
    """Whether `text` is a URL of any scheme."""
    return re.match(r"[a-z][a-z0-9+]+://", text, re.I) is not None


def source_of(given: Any) -> Source:
    """The source that a path or URL names.

    Raises
    ------
    InputError
        If it is neither.
    FileError
        If nothing is there, it is a folder that is no Zarr store, or the server does not answer as it must.
    DependencyError
        If URLs or Zarr stores need a package that is not installed.
    """
    if isinstance(given, os.PathLike):
        given = os.fspath(given)
    if not isinstance(given, str):
        raise InputError(
            f"open_nwb needs the path or URL of an NWB file, or an open pynwb.NWBFile; got {type(given).__name__}."
        )
    return _of_url(given) if is_url(given) else _of_path(Path(given).expanduser())


def _of_path(file: Path) -> Source:
    if file.is_dir():
        if not any((file / mark).is_file() for mark in _ZARR_MARKS):
            raise FileError(
                f"{file} is a folder and no Zarr store; open_nwb reads NWB in HDF5 or Zarr. Give the path of an .nwb "
                "file or of an .nwb.zarr folder."
            )
        _zarr()
        return Source(str(file.absolute()), file.name, "zarr")
    if not file.is_file():
        raise FileError(f"there is no file {file}. Check the path; the working folder is {Path.cwd()}.")
    return Source(str(file.absolute()), file.name, "hdf5", file.stat().st_size)


def _of_url(url: str) -> Source:
    parts = urlsplit(url)
    if parts.scheme.lower() not in ("http", "https"):
        raise FileError(
            f"{url} is no http or https URL, which are those that open_nwb reads. A public S3 file s3://BUCKET/KEY is "
            "also at https://BUCKET.s3.amazonaws.com/KEY."
        )
    path = parts.path.rstrip("/")
    name = unquote(path.rpartition("/")[2]) or parts.netloc
    if path.endswith(".zarr") or ("dandiarchive" in url and "/zarr/" in path):
        _zarr()
        return Source(url, name, "zarr")
    size, tag = remote.probe(url)
    return Source(url, name, "hdf5", size, tag)


def _zarr() -> Any:
    try:
        import hdmf_zarr  # noqa: F401
        import zarr
    except ImportError as error:
        raise DependencyError(
            "NWB in Zarr needs the package hdmf-zarr, which is not installed. Install it with: "
            'pip install "neurosparse[zarr]"'
        ) from error
    return zarr
