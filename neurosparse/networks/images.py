"""Stimuli as networks see them: ids, batches in a known layout, and the pixels themselves as a population.

A DataArray, numpy array or torch tensor enters; batches of it, or a population ``(stimulus, unit)``, leave.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
import xarray as xr

from neurosparse import population
from neurosparse.errors import InputError

_IMAGE = ("stimulus", "row", "column", "channel")
_ROWS_AT_ONCE = 256


@dataclass(frozen=True)
class Stimuli:
    """What is shown, in order: its ids, and how to read some of it.

    Attributes
    ----------
    ids : ndarray (stimulus,)
        Unique.
    read : callable
        ``read(slice)`` gives a batch: ndarray (batch, row, column, channel) of images, ndarray (batch, feature) of
        vectors, or a tensor (batch, ...) as it came.
    source : str
        Where they come from, for provenance.
    """

    ids: np.ndarray
    read: Callable[[slice], Any]
    source: str

    def __len__(self) -> int:
        return len(self.ids)

    def slices(self, batch_size: int) -> list[slice]:
        """Consecutive slices of at most `batch_size` stimuli, all of them once."""
        return [slice(start, min(start + batch_size, len(self))) for start in range(0, len(self), batch_size)]


def as_stimuli(stimuli: Any) -> Stimuli:
    """Recognise `stimuli` by its type and dims; nothing is read from a lazy array yet.

    Raises
    ------
    InputError
        If the dims are none of those below, a stimulus id occurs twice, or there are no stimuli.

    Notes
    -----
    ============ ================================================================= ================
    DataArray    (stimulus, row, column, channel) in any order, grey ones without   ids from its
                 `channel`; or (stimulus, x), vectors                               `stimulus` coord
    numpy array  (stimulus, row, column, channel), or (stimulus, feature)           0, 1, 2, ...
    torch tensor (stimulus, ...): as the network takes it, images (stimulus,        0, 1, 2, ...
                 channel, row, column)
    ============ ================================================================= ================
    """
    if isinstance(stimuli, xr.DataArray):
        found = _from_labelled(stimuli)
    elif isinstance(stimuli, torch.Tensor):
        found = _from_tensor(stimuli)
    else:
        found = _from_numpy(np.asarray(stimuli))
    if not len(found):
        raise InputError("stimuli needs at least one stimulus; got none.")
    unique, counts = np.unique(found.ids, return_counts=True)
    if len(unique) < len(found):
        raise InputError(
            f"stimuli needs unique ids; {unique[counts > 1][0]!r} occurs {counts.max()} times. "
            "Keep one of each, e.g. with x.drop_duplicates('stimulus')."
        )
    return found


def _from_labelled(stimuli: xr.DataArray) -> Stimuli:
    dims = set(stimuli.dims)
    if dims == set(_IMAGE):
        ordered = stimuli.transpose(*_IMAGE)
    elif dims == set(_IMAGE) - {"channel"}:
        ordered = stimuli.transpose(*_IMAGE[:3]).expand_dims("channel", -1)
    elif stimuli.ndim == 2 and "stimulus" in dims:
        ordered = stimuli.transpose("stimulus", ...)
    else:
        raise InputError(
            f"stimuli needs dims {_IMAGE}, those without channel, or (stimulus, x); got {stimuli.dims} of shape "
            f"{stimuli.shape}. Rename with x.rename(...)."
        )
    ids = (
        ordered.coords["stimulus"].to_numpy() if "stimulus" in ordered.coords else np.arange(ordered.sizes["stimulus"])
    )
    source = str(stimuli.attrs.get("source") or stimuli.name or "")
    return Stimuli(ids, lambda rows: ordered.isel(stimulus=rows).to_numpy(), source)


def _from_tensor(stimuli: torch.Tensor) -> Stimuli:
    if stimuli.ndim < 2:
        raise InputError(
            f"stimuli as a tensor needs dims (stimulus, ...), images (stimulus, channel, row, column); got shape "
            f"{tuple(stimuli.shape)}. Give a single stimulus as x[None]."
        )
    return Stimuli(np.arange(len(stimuli)), lambda rows: stimuli[rows], "torch tensor")


def _from_numpy(stimuli: np.ndarray) -> Stimuli:
    if stimuli.ndim not in (2, 4) or stimuli.dtype.kind not in "fiu":
        raise InputError(
            "stimuli as an array needs dims (stimulus, row, column, channel) or (stimulus, feature) and numbers; got "
            f"shape {stimuli.shape} of {stimuli.dtype}. Grey images need a last dim of one channel (x[..., None]); "
            "other shapes pass as torch tensors."
        )
    return Stimuli(np.arange(len(stimuli)), lambda rows: stimuli[rows], "numpy array")


def pixels(stimuli: Any, size: int = 28) -> xr.DataArray:
    """The stimuli's own pixels, scaled down, as a population: what a network must beat.

    Each unit is the mean of one channel over one cell of a `size` x `size` grid on the image (area interpolation).

    Parameters
    ----------
    stimuli : DataArray, numpy array or torch tensor
        Images as `activations` takes them, in any scale, which is kept.
    size : int
        Rows and columns of the result. Images with fewer stay at their own resolution along that dim.

    Returns
    -------
    DataArray (stimulus, unit)
        float32, with coords `layer` ("pixels"), `channel`, `row`, `column`.

    Raises
    ------
    InputError
        If the stimuli are no images, or `size` is below 1.

    Examples
    --------
    >>> import numpy as np
    >>> pixels(np.arange(16.0).reshape(1, 4, 4, 1), size=2).values
    array([[ 2.5,  4.5, 10.5, 12.5]], dtype=float32)
    """
    if size < 1:
        raise InputError(f"size needs to be at least 1 pixel; got {size}.")
    found = as_stimuli(stimuli)
    parts = []
    for rows in found.slices(_ROWS_AT_ONCE):
        images = channels_first(found.read(rows))
        if images.ndim != 4:
            raise InputError(
                f"pixels needs images, dims (stimulus, row, column, channel); got shape {tuple(images.shape)}."
            )
        height, width = (min(size, n) for n in images.shape[2:])
        parts.append(F.interpolate(images.to(torch.float32), (height, width), mode="area"))
    scaled = torch.cat(parts)  # (stimulus, channel, row, column)
    return layer_population(
        scaled.flatten(1).numpy(),
        found,
        layer="pixels",
        cells=dict(zip(("channel", "row", "column"), scaled.shape[1:], strict=True)),
        quantity="pixel intensity",
        source=found.source,
        provenance={"size": size, "stimuli": found.source},
    )


def channels_first(batch: Any) -> torch.Tensor:
    """A batch as the tensor a network takes: images (batch, channel, row, column), all else as it is."""
    if isinstance(batch, torch.Tensor):
        return batch
    # A copy in native byte order: torch takes neither foreign order nor, without a warning, read-only memory.
    tensor = torch.from_numpy(batch.astype(batch.dtype.newbyteorder("="), order="C"))
    return tensor.permute(0, 3, 1, 2) if tensor.ndim == 4 else tensor


def layer_population(
    values: np.ndarray,
    stimuli: Stimuli,
    *,
    layer: str,
    cells: dict[str, int],
    quantity: str,
    source: str,
    provenance: dict[str, Any],
) -> xr.DataArray:
    """Label `values` (stimulus, unit), whose units are an array of dims and sizes `cells` in C order.

    Units are called ``layer[index]``, as one would index the layer's output for one stimulus. `row` and `column` are
    -1 where the output has none.
    """
    index = {axis: grid.ravel() for axis, grid in zip(cells, np.indices(tuple(cells.values())), strict=True)}
    n_units = values.shape[1]
    nowhere = np.full(n_units, -1)
    places = {"channel": nowhere, "row": nowhere, "column": nowhere} | index
    labels = [f"{layer}[{','.join(map(str, place))}]" for place in zip(*index.values(), strict=True)]
    return population.from_arrays(
        values,
        dims=("stimulus", "unit"),
        unit=np.array(labels),
        stimulus=stimuli.ids,
        coords={"layer": ("unit", np.full(n_units, layer))} | {name: ("unit", place) for name, place in places.items()},
        kind="activations",
        quantity=quantity,
        units="1",
        source=source,
        provenance=provenance,
    )
