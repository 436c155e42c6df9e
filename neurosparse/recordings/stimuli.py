"""What was shown: image stacks as lazy arrays whose stimulus ids are their positions, 0 to n - 1.

pynwb image containers enter, DataArrays leave. Pixels are read from the file when asked for, also after the recording
is closed, because each read opens the file for itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pynwb
import xarray as xr
from xarray.backends import BackendArray
from xarray.core import indexing

from neurosparse.errors import FileError, InputError
from neurosparse.recordings.load_report import some

DIMS = ("stimulus", "row", "column", "channel")


class Pixels(BackendArray):
    """Pixels in an HDF5 file: one dataset whose first axis is the stimulus, or one dataset a stimulus.

    Parameters
    ----------
    file : str
        Path of the file.
    datasets : sequence of str
        Paths within it.
    stacked : bool
        Whether there is one dataset and its first axis is the stimulus.
    shape : tuple of int
        (stimulus, row, column, channel).
    dtype : numpy.dtype
    """

    def __init__(
        self, file: str, datasets: Sequence[str], stacked: bool, shape: tuple[int, ...], dtype: np.dtype
    ) -> None:
        self.file, self.datasets, self.stacked = file, tuple(datasets), stacked
        self.shape, self.dtype = shape, dtype

    def __getitem__(self, key: indexing.ExplicitIndexer) -> np.ndarray:
        return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.OUTER, self._read)

    def _read(self, key: tuple[Any, ...]) -> np.ndarray:
        """Rows of the first axis are read whole, then cut: pixels of an image lie together in the file."""
        wanted = key[0]
        rows = np.arange(self.shape[0])[wanted]
        try:
            with h5py.File(self.file, "r") as file:
                images = self._stack(file, np.atleast_1d(rows))
        except (OSError, KeyError) as error:
            raise FileError(f"cannot read images {some(self.datasets, 2)} of {self.file}: {error}.") from error
        images = images.reshape(-1, *self.shape[1:])
        for axis, part in enumerate(key[1:], start=1):
            images = images[(slice(None),) * axis + (np.atleast_1d(part) if not isinstance(part, slice) else part,)]
        drop = tuple(axis for axis, part in enumerate(key) if isinstance(part, int | np.integer))
        return images.squeeze(axis=drop)

    def _stack(self, file: h5py.File, rows: np.ndarray) -> np.ndarray:
        if not self.stacked:
            images = [file[self.datasets[row]][()] for row in rows]
            return np.stack(images) if images else np.empty((0, *self.shape[1:]), self.dtype)
        if not len(rows):
            return np.empty((0, *self.shape[1:]), self.dtype)
        # xarray asks for rising rows without repeats, as h5py wants them; a slice is much faster than a list.
        run = rows[-1] - rows[0] + 1 == len(rows)
        return file[self.datasets[0]][slice(rows[0], rows[-1] + 1) if run else rows]


def open_stack(container: Any, path: str, file: Path, session: str) -> xr.DataArray:
    """The images of an ImageSeries, OpticalSeries or Images container as a lazy DataArray.

    Parameters
    ----------
    container : pynwb object
    path : str
        Its place in the file.
    file : pathlib.Path
    session : str

    Returns
    -------
    xarray.DataArray
        Dims (stimulus, row, column, channel); `stimulus` is 0 to n - 1, grey images have one channel. Images of an
        Images container carry their names in a coord `name`.

    Raises
    ------
    InputError
        If the pixels are in other files, missing, differ in size or are no images.
    """
    if isinstance(container, pynwb.base.Images):
        names, shape, dtype, datasets = _container(container, path)
        pixels = Pixels(str(file), datasets, False, shape, dtype)
        coords: dict[str, Any] = {"name": ("stimulus", names)}
    else:
        shape = _series_shape(container, path)
        pixels = Pixels(str(file), [container.data.name], True, shape, container.data.dtype)
        coords = {}
    coords["stimulus"] = np.arange(shape[0])
    attrs = {"quantity": "pixel value", "units": "1", "session": session, "source": f"{file.name}:{path}"}
    return xr.DataArray(indexing.LazilyIndexedArray(pixels), dims=DIMS, coords=coords, attrs=attrs, name="stimuli")


def _series_shape(series: pynwb.image.ImageSeries, path: str) -> tuple[int, int, int, int]:
    external = series.external_file
    if external is not None and len(external):
        files = [one.decode() if isinstance(one, bytes) else str(one) for one in external[:]]
        raise InputError(
            f"the images of {path!r} are not in this file but in {len(files)} others: {some(files)}. "
            "Load those with an image library; stimulus ids are their positions in this list."
        )
    shape = tuple(getattr(series.data, "shape", ()))
    if 0 in shape or not isinstance(series.data, h5py.Dataset):
        raise InputError(f"the images of {path!r} hold no pixels (shape {shape}). Nothing can be read.")
    if len(shape) == 3:
        return (*shape, 1)
    if len(shape) == 4 and shape[3] <= 4:
        return shape
    raise InputError(
        f"images of {path!r} must have axes (stimulus, row, column) or (stimulus, row, column, channel) with up to 4 "
        f"channels; got shape {shape}. Read them through recording.nwbfile."
    )


def _container(images: Any, path: str) -> tuple[np.ndarray, tuple[int, ...], np.dtype, list[str]]:
    order = images.order_of_images
    ordered = list(images.images.values()) if order is None else [order[i] for i in range(len(order.data))]
    shapes = sorted({image.data.shape if image.data.ndim == 3 else (*image.data.shape, 1) for image in ordered})
    if len(shapes) != 1:
        raise InputError(
            f"images of {path!r} must have one size to be stacked; the {len(ordered)} there have {some(shapes)}. "
            "Read them one at a time through recording.nwbfile."
        )
    dtype = np.result_type(*(image.data.dtype for image in ordered))
    names = np.array([image.name for image in ordered])
    return names, (len(ordered), *shapes[0]), dtype, [image.data.name for image in ordered]
