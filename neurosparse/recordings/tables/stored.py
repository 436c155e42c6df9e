"""`Column` and `Table`: what the loaders see, whichever reader made them. Nothing is read before it is asked for."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from neurosparse.errors import FileError, MissingError
from neurosparse.recordings.load_report import some
from neurosparse.recordings.tables.values import parse_numbers, plain

# Text columns whose names end so hold labels: "12" stays text there.
_LABELS = re.compile(r"(name|id|label|tags?|annotation|description)$", re.I)


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes
    ----------
    name : str
    data : array-like
        The values, a row each or, where `ends` is not empty, all rows' values in one run.
    ends : tuple of array-like of int
        Where each row's values end, the outermost level first; empty for a column that is not ragged.
    target : Table, optional
        The table whose rows the values number.
    by_id : bool
        Whether the values are ids of the target's rows rather than their positions.
    """

    name: str
    data: Any
    ends: tuple[Any, ...] = ()
    target: Table | None = None
    by_id: bool = False

    @property
    def ragged(self) -> bool:
        """Whether a row holds a list of values."""
        return bool(self.ends)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the stored values, read without reading them."""
        shape = getattr(self.data, "shape", None)
        return tuple(shape) if shape is not None else (len(self.data),)

    def values(self) -> np.ndarray:
        """All stored values in one read; bytes decoded, references replaced by the names of what they point to."""
        return plain(self.data[:])

    def bounds(self) -> np.ndarray:
        """Where each row begins and the last ends in `values`: int64, shape (row + 1,), for one ragged level.

        The file keeps them in the smallest unsigned type that holds them, in which differences wrap round.

        Raises
        ------
        FileError
            If they decrease or pass the end of the values.
        """
        ends = np.asarray(self.ends[-1][:])
        bounds = np.zeros(len(ends) + 1, np.int64)
        bounds[1:] = ends
        n_values = self.shape[0]
        if (np.diff(bounds) < 0).any() or bounds[-1] > n_values:
            raise FileError(
                f"the index of column {self.name!r} does not fit its {n_values} values: row ends must rise and stop "
                f"there, got {some(ends)}. The file is damaged; ask its authors for another copy."
            )
        return bounds

    def rows(self) -> list[Any]:
        """One entry a row: a scalar, or an array where the row holds several values."""
        if not self.ragged:
            return list(self.values())
        rows: list[Any] = list(self.values())
        for ends in reversed(self.ends):
            bounds = np.concatenate([[0], np.asarray(ends[:]).astype(np.int64)])
            rows = [_row(rows[first:last]) for first, last in pairwise(bounds)]
        return rows


@dataclass(frozen=True)
class Table:
    """One table.

    Attributes
    ----------
    path, name : str
        Its place in the file.
    ids : numpy.ndarray
        Row ids, shape (row,).
    columns : mapping of name to Column
        In the file's order.
    resolution : float or None
        Seconds between samples that spike times were taken at, where a units table states it.
    parameters : bool
        Whether text columns that hold nothing but numbers and blanks are to be taken as numbers: interval tables,
        whose stimulus parameters many writers store as text ("null", "0.04").
    presentations : callable, optional
        Gives the tables of what was shown on the same clock, for an interval table.
    """

    path: str
    name: str
    ids: np.ndarray
    columns: Mapping[str, Column]
    resolution: float | None = None
    parameters: bool = False
    presentations: Callable[[], Sequence[Table]] = tuple

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(self.ids)

    @property
    def event(self) -> str:
        """Column of times that rows are aligned to unless another is named."""
        return "timestamp" if "timestamp" in self.columns and "start_time" not in self.columns else "start_time"

    def column(self, name: str) -> Column:
        """The column `name`.

        Raises
        ------
        MissingError
            If there is none; the message lists those there are.
        """
        if name not in self.columns:
            have = some(self.columns, 30) or "none"
            raise MissingError(f"table {self.path!r} has no column {name!r}; it has {have}. Choose one of these.")
        return self.columns[name]

    def scalar(self, name: str) -> np.ndarray | None:
        """Values of column `name`, shape (row,), or None where a row is not one number, flag or text."""
        column = self.column(name)
        if column.ragged or column.shape != (self.n_rows,):
            return None
        values = column.values()
        if self.parameters and values.dtype.kind == "U" and not _LABELS.search(name):
            values = parse_numbers(values)
        return values if values.dtype.kind in "biufU" else None

    def parsed(self, name: str, values: np.ndarray) -> bool:
        """Whether `values` of column `name` are numbers that the file stores as text."""
        stored = getattr(self.columns[name].data, "dtype", None)
        return self.parameters and values.dtype.kind == "f" and (stored is None or stored.kind in "OSUT")

    def scalars(self, *, skip: Collection[str] = ()) -> dict[str, np.ndarray]:
        """Every column of one value a row, save those in `skip`."""
        found = {name: self.scalar(name) for name in self.columns if name not in skip}
        return {name: values for name, values in found.items() if values is not None}


def _row(values: list[Any]) -> Any:
    """Values of one row as an array, or as a list where they differ in length."""
    if values and isinstance(values[0], np.ndarray | list):
        return values
    return np.asarray(values)
