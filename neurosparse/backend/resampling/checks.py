"""Checks and label codes that the functions of this room share."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurosparse.errors import InputError


def label_codes(labels: ArrayLike, name: str = "labels") -> tuple[NDArray[Any], NDArray[np.int64], NDArray[np.int64]]:
    """Sorted distinct labels, the code of each row and the number of rows of each label.

    Parameters
    ----------
    labels : (n,) array of int, float, bool or str
        One label a row.
    name : str
        What to call them in an error.

    Returns
    -------
    distinct : (label,) array
    codes : (n,) int64 array, ``distinct[codes] == labels``
    counts : (label,) int64 array

    Raises
    ------
    InputError
        If `labels` is not one-dimensional, is empty, holds missing values or values that have no common order.
    """
    array = np.asarray(labels)
    if array.ndim != 1 or array.size == 0:
        raise InputError(f"{name} must be one-dimensional with at least one entry; got shape {array.shape}.")
    missing = np.array([value is None or value != value for value in array.tolist()])
    if missing.any():
        raise InputError(
            f"{name} has {missing.sum()} missing of {array.size} entries, first at row {int(missing.argmax())}. "
            "Drop those rows or give them a label."
        )
    try:
        distinct, codes, counts = np.unique(array, return_inverse=True, return_counts=True)
    except TypeError:
        kinds = sorted({type(value).__name__ for value in array.tolist()})
        raise InputError(f"{name} mixes types {kinds} that have no common order. Convert them to str.") from None
    return distinct, codes.astype(np.int64), counts.astype(np.int64)


def finite_matrix(values: ArrayLike, name: str = "values") -> NDArray[np.float64]:
    """`values` as a finite float64 (sample, unit) matrix, or an InputError that says what is wrong."""
    matrix = np.asarray(values, dtype=np.float64)
    if matrix.ndim != 2:
        raise InputError(f"{name} must be a matrix (sample, unit); got shape {matrix.shape}.")
    bad = ~np.isfinite(matrix)
    if bad.any():
        row, column = (int(index[0]) for index in np.nonzero(bad))
        raise InputError(
            f"{name} has {int(bad.sum())} entries that are NaN or infinite, first at row {row}, column {column}. "
            "Drop those rows or columns first."
        )
    return matrix


def whole_number(value: Any, name: str, least: int = 1) -> int:
    """`value` as an int of at least `least`, or an InputError."""
    try:
        found = int(value) if int(value) == value else None
    except (TypeError, ValueError, OverflowError):
        found = None
    if found is None or found < least:
        raise InputError(f"{name} must be an integer of at least {least}; got {value!r}.")
    return found


def is_real(value: Any) -> bool:
    """Whether `value` is one number: neither text nor a truth value."""
    return isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)


def real_numbers(values: Any, name: str) -> NDArray[np.float64]:
    """`values`, one number or a list of them, as a (n,) array; or an InputError."""
    try:
        found = np.atleast_1d(np.asarray(values))
    except ValueError:  # rows of unequal length
        found = np.empty(0)
    if found.ndim != 1 or not found.size or found.dtype.kind not in "iuf":
        raise InputError(f"{name} must be a number or a list of numbers; got {values!r}.")
    return found.astype(np.float64)


def truth_value(value: Any, name: str) -> bool:
    """`value` where it is True or False, or an InputError: the text "no" counts as true."""
    if not isinstance(value, (bool, np.bool_)):
        raise InputError(f"{name} must be True or False; got {value!r}.")
    return bool(value)


def generator(random_state: Any) -> np.random.Generator:
    """The generator that `random_state` is or asks for, or an InputError."""
    try:
        return np.random.default_rng(random_state)
    except (TypeError, ValueError):
        raise InputError(
            "random_state must be a whole number of at least 0, a numpy.random.Generator or None; "
            f"got {random_state!r}."
        ) from None
