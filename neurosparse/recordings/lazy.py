"""Populations larger than memory: values read block by block when dask asks for them.

A function that reads runs of the first axis enters, a dask array leaves. The only file of this room that knows dask.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from neurosparse.errors import DependencyError, FileError, InputError

# Bytes of a block where chunks="auto".
BLOCK = 2**26


@dataclass(frozen=True)
class Blocks:
    """Looks like an array; reads whole entries of its first axis when sliced. Pickles where `read` does.

    Attributes
    ----------
    shape : tuple of int
    dtype : numpy.dtype
    read : callable
        ``read(first, last)`` gives entries `first` to `last` (left out) of the first axis.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    read: Callable[[int, int], np.ndarray]

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    def __getitem__(self, key: Any) -> np.ndarray:
        key = key if isinstance(key, tuple) else (key,)
        rows = np.arange(self.shape[0])[key[0]]
        if not rows.size:
            return np.empty(self.shape, self.dtype)[key] if 0 in self.shape else self.read(0, 1)[(slice(0), *key[1:])]
        low, high = int(rows.min()), int(rows.max()) + 1
        return self.read(low, high)[(rows - low, *key[1:])]


def as_dask(blocks: Blocks, chunks: int | str) -> Any:
    """`blocks` as a dask array of `chunks` entries of the first axis a block; "auto" takes about 64 MB.

    Raises
    ------
    InputError
        If `chunks` is neither "auto" nor a positive whole number.
    DependencyError
        If dask is not installed.
    """
    each = max(int(np.prod(blocks.shape[1:])) * np.dtype(blocks.dtype).itemsize, 1)
    size: Any = max(BLOCK // each, 1) if chunks == "auto" else chunks
    if isinstance(size, bool) or not isinstance(size, int | np.integer) or size < 1:
        raise InputError(f"chunks must be 'auto' or a positive number of entries of the first dim; got {chunks!r}.")
    try:
        import dask.array
    except ImportError as error:
        raise DependencyError("chunks= needs dask. Install it with: pip install 'neurosparse[dask]'") from error
    shape = (min(int(size), max(blocks.shape[0], 1)), *blocks.shape[1:])
    meta = np.empty((0,) * blocks.ndim, blocks.dtype)
    return dask.array.from_array(blocks, chunks=shape, name=False, meta=meta, fancy=False)


@dataclass(frozen=True)
class Stored:
    """A dataset of an HDF5 file on disk, opened anew at each read, so that it outlives the recording and pickles.

    Attributes
    ----------
    file, name : str
        Path of the file, and of the dataset within it.
    shape : tuple of int
    dtype : numpy.dtype
    chunks : tuple of int or None
    compression : str or None
    """

    file: str
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype
    chunks: tuple[int, ...] | None = None
    compression: str | None = None

    @classmethod
    def of(cls, data: Any) -> Any:
        """`data` as a `Stored` where it is a dataset of a file on disk; else as it is."""
        if not isinstance(data, h5py.Dataset) or not Path(data.file.filename).is_file():
            return data
        return cls(data.file.filename, data.name, data.shape, data.dtype, data.chunks, data.compression)

    def __getitem__(self, key: Any) -> np.ndarray:
        with self.open() as data:
            return data[key]

    @contextmanager
    def open(self) -> Iterator[h5py.Dataset]:
        """The dataset, for many reads; what HDF5 cannot read is a `FileError`."""
        try:
            with h5py.File(self.file, "r") as file:
                yield file[self.name]
        except (OSError, KeyError) as error:
            raise FileError(f"cannot read {self.name} of {self.file}: {error}. Was the file moved?") from error
