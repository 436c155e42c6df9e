"""The way to plain matrices and back to labels, and the folds over samples."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import numpy as np
import xarray as xr

from neurosparse.backend.resampling import block_folds, group_folds, label_codes
from neurosparse.errors import DataWarning, InputError
from neurosparse.population.building import to_numpy
from neurosparse.population.checking import check, label_at

Nan = Literal["raise", "drop"]


class Matrix:
    """A population as (sample, unit) numbers, and the way back to its labels. Made by `as_matrix`.

    Attributes
    ----------
    kept : (sample,) bool array
        Which of all samples are in the matrix; all dims but the last are stacked, the last of them fastest.
    shape : (int, int)
        Samples kept and units.
    """

    def __init__(self, source: Any, kept: np.ndarray, chunk: int | None, dtype: Any) -> None:
        self._source = source  # what the caller gave: DataArray, numpy array or torch tensor
        self._data = to_numpy(source)  # numpy, or dask
        self._chunk = chunk
        self._dtype = dtype
        self.kept = kept
        self.shape = (int(kept.sum()), int(self._data.shape[-1]))

    @property
    def values(self) -> np.ndarray:
        """The whole (sample, unit) matrix of the samples kept; a copy where a conversion or dropping asks for one."""
        stacked = np.asarray(self._data).reshape(-1, self.shape[1])
        return np.asarray(stacked if self.kept.all() else stacked[self.kept], dtype=self._dtype)

    def batches(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Batches of at least `chunk` samples (all of them, without `chunk`), as often as it is called.

        Yields
        ------
        index : (batch,) int array
            Rows of ``values`` that the batch holds.
        array : (batch, unit) float array
        """
        done = 0
        for kept, stacked in _blocks(self._data, self.kept, self._chunk):
            block = np.asarray(stacked[kept], dtype=self._dtype)
            yield np.arange(done, done + len(block)), block
            done += len(block)

    def label(self, values: Any, last_dim: str | None = "unit", coords: Mapping[str, Any] | None = None) -> Any:
        """Numbers a sample, as the kind of thing that `as_matrix` was given.

        Parameters
        ----------
        values : (sample, n) array or tensor
            One row for each sample kept; (sample,) where `last_dim` is None.
        last_dim : str or None
            What the columns are. For ``"unit"`` with as many columns as units the unit coords come back.
        coords : dict, optional
            Labels along the last dim, ``{"atom": labels}`` or ``{"area": ("unit", labels)}``.

        Returns
        -------
        DataArray, numpy.ndarray or torch.Tensor
            With the original leading dims and their coords; NaN where a sample was dropped.

        Raises
        ------
        InputError
            If there is not one row for each sample kept.
        """
        rows = to_numpy(values)
        wanted = 1 if last_dim is None else 2
        if rows.ndim != wanted or len(rows) != self.shape[0]:
            shape = f"({self.shape[0]},)" if last_dim is None else f"({self.shape[0]}, {last_dim})"
            raise InputError(f"values to label need shape {shape}, one row a sample kept; got {rows.shape}.")
        if not self.kept.all():
            filled = np.full((len(self.kept), *rows.shape[1:]), np.nan, dtype=np.result_type(rows.dtype, np.float32))
            filled[self.kept] = rows
            rows = filled
        if isinstance(self._source, xr.DataArray):
            return self._labelled(rows, last_dim, coords or {})
        torch = sys.modules.get("torch")
        if torch is not None and isinstance(self._source, torch.Tensor):
            return torch.as_tensor(rows, device=self._source.device)
        return rows

    def _labelled(self, rows: np.ndarray, last_dim: str | None, coords: Mapping[str, Any]) -> xr.DataArray:
        source = self._source
        leading = source.dims[:-1]
        names = {name: source[name].variable for name in source.coords if set(source[name].dims) <= set(leading)}
        dims = leading if last_dim is None else (*leading, last_dim)
        if last_dim == source.dims[-1] and rows.shape[-1] == source.shape[-1]:
            names |= {name: source[name].variable for name in source.coords}
        elif last_dim is not None:
            names[last_dim] = xr.Variable((last_dim,), np.arange(rows.shape[-1]))
        for name, entry in coords.items():
            names[name] = xr.Variable(*entry[:2]) if isinstance(entry, tuple) else xr.Variable((last_dim,), entry)
        shape = (*source.shape[:-1], *rows.shape[1:])
        return xr.DataArray(rows.reshape(shape), dims=dims, coords=names, attrs=source.attrs, name=source.name)


def as_matrix(x: Any, *, nan: Nan = "raise", name: str = "x", chunk: int | None = None, dtype: Any = float) -> Matrix:
    """The (sample, unit) numbers of a population, array or tensor, and the way back to its labels.

    Parameters
    ----------
    x : population, (sample, unit) array or tensor
        Of a population all dims but the last are samples.
    nan : {"raise", "drop"}
        What to do about NaN: raise with counts and the first label, or leave out whole samples, with a warning that
        counts them.
    name : str
        What to call `x` in a message.
    chunk : int, optional
        Samples a batch (rounded up to whole entries of the first dim), for `Matrix.batches`.
    dtype : dtype
        Of the numbers that come out; float64 by default.

    Returns
    -------
    Matrix

    Raises
    ------
    InputError
        If `x` is empty, not a population or matrix, holds infinities, or NaN that must not be there or is everywhere.

    Notes
    -----
    One pass over the values. dask arrays are read batch by batch, and whole only by ``Matrix.values``.
    """
    if nan not in ("raise", "drop"):
        raise InputError(f"nan must be 'raise' or 'drop'; got {nan!r}.")
    if chunk is not None and (int(chunk) != chunk or chunk < 1):
        raise InputError(f"chunk must be a positive number of samples; got {chunk!r}.")
    if isinstance(x, xr.DataArray):
        check(x, name=name)
    data = to_numpy(x)
    if not isinstance(x, xr.DataArray):
        if data.ndim != 2 or data.dtype.kind not in "biuf":
            raise InputError(
                f"{name} must be a population or a (sample, unit) matrix of numbers; got shape {data.shape} of dtype "
                f"{data.dtype}."
            )
        x = x if sys.modules.get("torch") and isinstance(x, sys.modules["torch"].Tensor) else data
    if 0 in data.shape:
        raise InputError(f"{name} is empty: its shape is {data.shape}. It needs at least one sample and one unit.")
    kept = _finite_samples(x, data, nan, name, chunk)
    return Matrix(x, kept, chunk, np.dtype(dtype))


def _blocks(data: Any, kept: np.ndarray, chunk: int | None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Parts of `kept` and of the stacked data, whole entries of the first axis at a time."""
    inner = int(np.prod(data.shape[1:-1], dtype=int))
    step = data.shape[0] if chunk is None else -(-chunk // inner)
    for start in range(0, data.shape[0], step):
        block = np.asarray(data[start : start + step])
        yield kept[start * inner : (start + len(block)) * inner], block.reshape(-1, data.shape[-1])


def _finite_samples(x: Any, data: Any, nan: Nan, name: str, chunk: int | None) -> np.ndarray:
    """Which samples are free of NaN, having raised or warned about the others."""
    n_samples = int(np.prod(data.shape[:-1], dtype=int))
    kept = np.ones(n_samples, dtype=bool)
    if data.dtype.kind != "f":
        return kept
    n_nan, seen = 0, 0
    first: tuple[int, int] | None = None
    for part, block in _blocks(data, kept, chunk):
        bad = np.isnan(block)
        if np.isinf(block).any():
            raise InputError(f"{name} has infinite values. Mark unobserved values NaN before you go on.")
        if first is None and bad.any():
            row, column = np.unravel_index(int(bad.argmax()), bad.shape)
            first = (seen + int(row), int(column))
        n_nan += int(bad.sum())
        part[:] = ~bad.any(axis=1)
        seen += len(block)
    if first is None:
        return kept
    place = (*np.unravel_index(first[0], data.shape[:-1]), first[1])
    where = label_at(x, place) if isinstance(x, xr.DataArray) else f"row {first[0]}, column {first[1]}"
    counted = f"{name} has {n_nan} NaN values in {int((~kept).sum())} of {n_samples} samples, first at {where}"
    if nan == "raise":
        raise InputError(f"{counted}. Pass nan='drop' to leave those samples out, or select them away.")
    if not kept.any():
        raise InputError(f"{counted}: no sample is left. Leave out the units that were not observed throughout.")
    warnings.warn(f"{counted}; those samples are left out.", DataWarning, stacklevel=4)
    return kept


def complete(x: xr.DataArray, nan: Nan, name: str = "x") -> xr.DataArray:
    """`x` without the entries of its first dim that hold NaN, raising or warning as `as_matrix` does."""
    kept = as_matrix(x, nan=nan, name=name).kept.reshape(x.sizes[x.dims[0]], -1).all(axis=1)
    return x if kept.all() else x.isel({x.dims[0]: np.flatnonzero(kept)})


def folds(
    x: xr.DataArray,
    *,
    by: str = "stimulus",
    n_folds: int = 5,
    groups: Any = None,
    gap: int = 0,
    random_state: Any = 0,
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Train and test indices into the first dim of `x`, by whole stimuli, whole trials or blocks of time.

    Parameters
    ----------
    x : population
    by : {"stimulus", "trial", "time"}
        What stays together. ``stimulus`` keeps all trials of a stimulus in one fold; ``time`` needs a time dim first
        and makes contiguous blocks.
    n_folds : int
    groups : coord name or (sample,) array, optional
        Coarser groups that stay together, such as near-duplicate images (`backend.resampling.near_duplicates`) or
        blocks of trials. A stimulus may not lie in two groups. Not with ``by="time"``.
    gap : int
        Samples left out of training on either side of a test block; with ``by="time"`` only.
    random_state : int, numpy.random.Generator or None
        Shuffles the groups; blocks of time are not shuffled.

    Returns
    -------
    list of (train, test)

    Raises
    ------
    InputError
        If `x` lacks the dim or coord asked for, groups cut a stimulus, or there are fewer groups than folds.
    """
    check(x)
    dim = str(x.dims[0])
    if by not in ("stimulus", "trial", "time"):
        raise InputError(f"by must be 'stimulus', 'trial' or 'time'; got {by!r}.")
    if by == "time":
        if dim != "time" or groups is not None:
            raise InputError(
                f"blocks of time need a time dim first and no groups; got dims {tuple(map(str, x.dims))}. "
                "Use by='trial' or by='stimulus' for trials and stimuli."
            )
        return block_folds(x.sizes["time"], n_folds, gap=gap)
    if gap:
        raise InputError("gap goes with by='time' only: whole trials and stimuli are shuffled. Leave it 0.")
    if by not in x.coords or x[by].dims != (dim,):
        raise InputError(
            f"folds by {by} need a {by} coord on the first dim; got first dim {dim!r} with coords "
            f"{sorted(str(name) for name in x.coords if x[name].dims == (dim,))}."
        )
    labels = x[by].values if groups is None else _groups(x, dim, by, groups)
    return group_folds(labels, n_folds, random_state=random_state)


def _groups(x: xr.DataArray, dim: str, by: str, groups: Any) -> np.ndarray:
    if isinstance(groups, str):
        if groups not in x.coords or x[groups].dims != (dim,):
            raise InputError(f"groups names {groups!r}, which is no coord on dim {dim!r}. Give a coord or an array.")
        groups = x[groups]
    groups = np.asarray(to_numpy(groups))
    if groups.shape != (x.sizes[dim],):
        raise InputError(f"groups must have one entry for each of the {x.sizes[dim]} {dim}s; got shape {groups.shape}.")
    _, group, _ = label_codes(groups, "groups")
    distinct, code, _ = label_codes(x[by].values, by)
    lowest, highest = np.full(len(distinct), len(groups)), np.full(len(distinct), -1)
    np.minimum.at(lowest, code, group)
    np.maximum.at(highest, code, group)
    cut = lowest != highest
    if cut.any():
        raise InputError(
            f"groups cut {int(cut.sum())} of {len(distinct)} entries of {by} in two, "
            f"first {distinct[cut].tolist()[0]!r}. Every {by} must lie in one group."
        )
    return groups
