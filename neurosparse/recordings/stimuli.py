"""What was shown: image stacks as lazy arrays whose stimulus ids are their positions, 0 to n - 1.

A `Stack` enters, DataArrays leave. Pixels are read from the file when asked for, also after the recording
is closed, because each read opens the file for itself.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import xarray as xr
from xarray.backends import BackendArray
from xarray.core import indexing

from neurosparse.errors import FileError, InputError
from neurosparse.recordings.load_report import some
from neurosparse.recordings.sources import Source

DIMS = ("stimulus", "row", "column", "channel")


class Pixels(BackendArray):
    """Pixels in a file: one dataset whose first axis is the stimulus, or one dataset a stimulus.

    Parameters
    ----------
    source : Source
        The file, opened anew for each read.
    datasets : sequence of str
        Paths within it.
    stacked : bool
        Whether there is one dataset and its first axis is the stimulus.
    shape : tuple of int
        (stimulus, row, column, channel).
    dtype : numpy.dtype
    """

    def __init__(
        self, source: Source, datasets: Sequence[str], stacked: bool, shape: tuple[int, ...], dtype: np.dtype
    ) -> None:
        self.source, self.datasets, self.stacked = source, tuple(datasets), stacked
        self.shape, self.dtype = shape, dtype

    def __getitem__(self, key: indexing.ExplicitIndexer) -> np.ndarray:
        return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.OUTER, self._read)

    def _read(self, key: tuple[Any, ...]) -> np.ndarray:
        """Rows of the first axis are read whole, then cut: pixels of an image lie together in the file."""
        wanted = key[0]
        rows = np.arange(self.shape[0])[wanted]
        try:
            with self.source.open() as file:
                images = self._stack(file, np.atleast_1d(rows))
        except (OSError, KeyError) as error:
            raise FileError(f"cannot read images {some(self.datasets, 2)} of {self.source.where}: {error}.") from error
        images = images.reshape(-1, *self.shape[1:])
        for axis, part in enumerate(key[1:], start=1):
            images = images[(slice(None),) * axis + (np.atleast_1d(part) if not isinstance(part, slice) else part,)]
        drop = tuple(axis for axis, part in enumerate(key) if isinstance(part, int | np.integer))
        return images.squeeze(axis=drop)

    def _stack(self, file: Any, rows: np.ndarray) -> np.ndarray:
        if not self.stacked:
            images = [file[self.datasets[row]][()] for row in rows]
            return np.stack(images) if images else np.empty((0, *self.shape[1:]), self.dtype)
        if not len(rows):
            return np.empty((0, *self.shape[1:]), self.dtype)
        # xarray asks for rising rows without repeats, as h5py wants them; a slice is much faster than a list.
        run = rows[-1] - rows[0] + 1 == len(rows)
        return file[self.datasets[0]][slice(rows[0], rows[-1] + 1) if run else rows]


@dataclass(frozen=True)
class Stack:
    """A set of images of a file.

    Attributes
    ----------
    path : str
        Place in the file.
    shape : tuple of int
        Of the images as stored, the first axis the image; the number of images alone where each is a dataset.
    data : tuple of array-like
        One dataset of all images, or one an image.
    names : tuple of str or None
        Of single images; None for a series.
    external : tuple of str
        The files that hold the pixels instead.
    """

    path: str
    shape: tuple[int, ...]
    data: tuple[Any, ...]
    names: tuple[str, ...] | None = None
    external: tuple[str, ...] = ()


def open_stack(stack: Stack, source: Source, session: str) -> xr.DataArray:
    """The images of a stack as a lazy DataArray.

    Parameters
    ----------
    stack : Stack
    source : Source
    session : str

    Returns
    -------
    xarray.DataArray
        Dims (stimulus, row, column, channel); `stimulus` is 0 to n - 1, grey images have one channel. Images that are
        named carry their names in a coord `name`.

    Raises
    ------
    InputError
        If the pixels are in other files, missing, differ in size or are no images.
    """
    if stack.external:
        raise InputError(
            f"the images of {stack.path!r} are not in this file but in {len(stack.external)} others: "
            f"{some(stack.external)}. Load those with an image library; stimulus ids are their positions in this list."
        )
    shape = _series_shape(stack) if stack.names is None else _common_shape(stack)
    coords: dict[str, Any] = {} if stack.names is None else {"name": ("stimulus", np.array(stack.names, dtype=str))}
    coords["stimulus"] = np.arange(shape[0])
    attrs = {"quantity": "pixel value", "units": "1", "session": session, "source": f"{source.name}:{stack.path}"}
    return xr.DataArray(_pixels(stack, source, shape), dims=DIMS, coords=coords, attrs=attrs, name="stimuli")


def _pixels(stack: Stack, source: Source, shape: tuple[int, ...]) -> Any:
    """The pixels, lazily where they can be read again by the place of their datasets, else as they are in memory."""
    stacked, holder = stack.names is None, _holder(stack, source)
    if holder.format == "memory":
        images = np.asarray(stack.data[0][:]) if stacked else np.stack([np.asarray(data[:]) for data in stack.data])
        return images.reshape(shape)
    datasets = [str(data.name) for data in stack.data]
    dtype = np.result_type(*(data.dtype for data in stack.data))
    return indexing.LazilyIndexedArray(Pixels(holder, datasets, stacked, shape, dtype))


def _holder(stack: Stack, source: Source) -> Source:
    """The file that the datasets are in: another one, where the recording links to it."""
    data = stack.data[0]
    if source.remote or not isinstance(data, h5py.Dataset):
        return source
    file = Path(os.fsdecode(data.file.filename))
    return Source(str(file.absolute()), file.name) if file.is_file() else source


def _series_shape(stack: Stack) -> tuple[int, ...]:
    shape = stack.shape
    if 0 in shape or len(shape) < 3:
        raise InputError(f"the images of {stack.path!r} hold no pixels (shape {shape}). Nothing can be read.")
    if len(shape) == 3:
        return (*shape, 1)
    if len(shape) == 4 and shape[3] <= 4:
        return shape
    raise InputError(
        f"images of {stack.path!r} must have axes (stimulus, row, column) or (stimulus, row, column, channel) with up "
        f"to 4 channels; got shape {shape}. Read them through recording.nwbfile."
    )


def _common_shape(stack: Stack) -> tuple[int, ...]:
    shapes = sorted({data.shape if len(data.shape) == 3 else (*data.shape, 1) for data in stack.data})
    if len(shapes) != 1:
        raise InputError(
            f"images of {stack.path!r} must have one size to be stacked; the {len(stack.data)} there have "
            f"{some(shapes)}. Read them one at a time through recording.nwbfile."
        )
    return (len(stack.data), *shapes[0])
