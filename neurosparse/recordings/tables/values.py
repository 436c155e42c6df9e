"""What cells hold, as plain arrays: bytes decoded, references by name, numbers kept as text; and names for coords."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from neurosparse.recordings.load_report import LoadReport

# Names that the population keeps for its own dims and coords; a column of that name gets the table's before it.
RESERVED = frozenset(
    {"unit", "unit_id", "area", "trial", "time", "stimulus", "start_time", "stop_time", "n_repeats", "atom", "sample"}
)
# What writers put into a text column where a row has no value, lower case.
BLANK = frozenset({"", "null", "none", "nan", "n/a", "na"})
_NUMBER = re.compile(r"[+-]?((0|[1-9]\d*)(\.\d*)?|\.\d+)(e[+-]?\d+)?", re.I)


def parse_numbers(texts: np.ndarray) -> np.ndarray:
    """`texts` as float64, blanks as NaN, where all others are numbers; else as they are.

    Numbers with leading zeros ("007") are labels and stay text, and so does a column of blanks alone.
    """
    blank = np.array([text.strip().lower() in BLANK for text in texts], dtype=bool)
    told = [text.strip() for text in texts[~blank]]
    if not told or not all(_NUMBER.fullmatch(text) for text in told):
        return texts
    values = np.full(len(texts), np.nan)
    values[~blank] = [float(text) for text in told]
    return values


def stated_number(value: Any, default: Any) -> Any:
    """`value` as a float; `default` where there is none, or NaN."""
    return default if value is None or not np.isfinite(value) else float(value)


def plain(values: Any) -> np.ndarray:
    """Values as a numeric, bool or text array: bytes decoded, None as "", objects of the file by their name."""
    if isinstance(values, list) and any(hasattr(value, "name") for value in values):
        values = [_text(value) for value in values]  # numpy would look inside objects of the file
    values = np.asarray(values)
    if values.dtype.kind not in "OS":
        return values
    return np.array([_text(value) for value in values.ravel()], dtype=str).reshape(values.shape)


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    if value is None:
        return ""
    name = getattr(value, "name", None)
    return name if isinstance(name, str) else str(value)


def name_coords(
    columns: Mapping[str, np.ndarray], table: str, report: LoadReport, taken: Collection[str] = ()
) -> dict[str, np.ndarray]:
    """Columns under names that hide none of the population's own.

    Parameters
    ----------
    columns : mapping of name to array (row,)
    table : str
        Name put before a column whose own is reserved, in `taken` or holds '/'.
    report : LoadReport
        Gets the renamed columns.
    taken : collection of str
        Further names that are in use.

    Returns
    -------
    dict
        The same arrays in the same order.
    """
    coords: dict[str, np.ndarray] = {}
    renamed: dict[str, str] = {}
    for name, values in columns.items():
        coord = name
        if name in RESERVED or name in taken or "/" in name:
            coord = f"{table}_{name}".replace("/", "_")
            while coord in coords or coord in columns or coord in taken:
                coord += "_"
            renamed[name] = coord
        coords[coord] = values
    if renamed:
        report.choose(**{f"{table}_columns_renamed": renamed})
    return coords
