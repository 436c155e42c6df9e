"""One-to-one pairs: rows of two dictionaries, or whatever else is alike. Imports numpy, scipy and `errors`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array
from scipy.sparse.csgraph import min_weight_full_bipartite_matching

from neurosparse.errors import InputError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# Beyond so many rows of the smaller side the assignment is solved among each row's best candidates alone.
DENSE_ROWS = 3000
CANDIDATES = 32
# Rows whose likeness to all others is held at once.
BLOCK = 1024


class Match(NamedTuple):
    """Pairs of rows and how alike they are.

    Attributes
    ----------
    first, second : (pair,) int arrays
        Row of either side; every row of the smaller side is in one pair, in the order of `first`.
    value : (pair,)
        |cosine| or |correlation|, 0 to 1.
    """

    first: Ints
    second: Ints
    value: Floats


def match(first: ArrayLike, second: ArrayLike) -> Match:
    """The one-to-one pairs of rows with the largest sum of |cosine| (Hungarian).

    Parameters
    ----------
    first : (n, unit) array
    second : (m, unit) array
        Dictionaries of any sizes; rows need not have unit norm, and a row of zeros is like none.

    Returns
    -------
    Match
        min(n, m) pairs.

    Raises
    ------
    InputError
        If the two do not have the same units, or hold NaN.

    Notes
    -----
    O(min(n, m)^2 max(n, m)) up to 3,000 rows. Beyond, only each row's 32 most similar candidates on either side enter a
    sparse assignment: memory n * 32, a minute or so for 20,000 rows, and the same pairs so long as each row's partner
    is among its candidates; rows left without one take what is left. Chance is high where units are few: two random
    dictionaries of 16 atoms on 8 units give a mean of .61. Take it from the same matching of random dictionaries
    (`baselines`).

    Examples
    --------
    >>> match([[1.0, 0.0], [0.0, 2.0]], [[0.0, -1.0], [3.0, 0.0]]).value
    array([1., 1.])
    """
    a, b = unit_rows(first, "first"), unit_rows(second, "second")
    if a.shape[1] != b.shape[1]:
        raise InputError(f"matching needs rows over the same units; got {a.shape[1]} and {b.shape[1]} units.")
    return pair_sides(Rows(a), Rows(b))


def recovery(learned: ArrayLike, truth: ArrayLike) -> Floats:
    """|cosine| of every true atom with the learned atom matched to it, (true atom,); 0 where none was left."""
    pairs = match(learned, truth)
    value = np.zeros(len(np.asarray(truth)))
    value[pairs.second] = pairs.value
    return value


def stability(dictionaries: Sequence[ArrayLike]) -> Floats:
    """Mean |cosine| of each atom of the first dictionary with its partner in each of the others, (atom,).

    The others must come from starts, resamples and orders of their own: dictionaries that share a start agree for that
    reason.

    Raises
    ------
    InputError
        If there are fewer than two dictionaries.
    """
    if len(dictionaries) < 2:
        raise InputError(f"stability compares dictionaries: at least 2 are needed; got {len(dictionaries)}.")
    return np.asarray(np.mean([recovery(other, dictionaries[0]) for other in dictionaries[1:]], axis=0))


class Side(Protocol):
    """What can be paired with another of its kind: rows, or columns of sparse codes."""

    def __len__(self) -> int: ...

    def alike(self, other: Any, rows: slice) -> Floats:
        """|likeness| of some with all of the other's."""
        ...

    def paired(self, other: Any, first: Ints, second: Ints) -> Floats:
        """|likeness| of pairs."""
        ...


class Rows:
    """Rows of unit norm, (n, m); they are alike by |cosine|."""

    def __init__(self, values: Floats) -> None:
        self.values = values

    def __len__(self) -> int:
        return len(self.values)

    def alike(self, other: Rows, rows: slice) -> Floats:
        some, all_others = self.values[rows], other.values
        if len(some) < len(self.values):  # one block of many: candidates are found as well in single precision
            some, all_others = some.astype(np.float32), all_others.astype(np.float32)
        return np.asarray(np.abs(some @ all_others.T))

    def paired(self, other: Rows, first: Ints, second: Ints) -> Floats:
        return np.asarray(np.abs((self.values[first] * other.values[second]).sum(1)))


def pair_sides(a: Side, b: Side) -> Match:
    """One-to-one pairs with the largest sum of |likeness|."""
    if min(len(a), len(b)) <= DENSE_ROWS:
        return _assign(a.alike(b, slice(None)))
    if len(a) > len(b):
        pairs = pair_sides(b, a)
        order = np.argsort(pairs.second)
        return Match(pairs.second[order], pairs.first[order], pairs.value[order])
    return _assign_sparse(a, b)


def _assign_sparse(a: Side, b: Side) -> Match:
    """The assignment among the most similar candidates of each, found in blocks; a has no more than b."""
    rows, columns, values = [], [], []
    for one, other, swapped in ((a, b, False), (b, a, True)):
        for start in range(0, len(one), BLOCK):
            likeness = one.alike(other, slice(start, start + BLOCK))
            best = np.argpartition(likeness, -CANDIDATES, axis=1)[:, -CANDIDATES:]
            here = np.repeat(np.arange(start, start + len(likeness)), CANDIDATES)
            there, value = best.ravel(), np.take_along_axis(likeness, best, axis=1).ravel()
            rows.append(there if swapped else here)
            columns.append(here if swapped else there)
            values.append(value)
    row, column, value = np.concatenate(rows), np.concatenate(columns), np.concatenate(values)
    edge = np.unique(row * len(b) + column, return_index=True)[1]
    row, column, value = row[edge], column[edge], value[edge].astype(float)
    # A full matching may not exist among candidates alone: each row may also stay single, at a price above any pair.
    single = np.arange(len(a))
    cost = np.concatenate([2.0 - value, np.full(len(a), 3.0)])
    ends = np.concatenate([row, single]), np.concatenate([column, len(b) + single])
    chosen, partner = min_weight_full_bipartite_matching(
        coo_array((cost, ends), shape=(len(a), len(b) + len(a))).tocsr()
    )
    first, second = np.asarray(chosen, dtype=np.int64), np.asarray(partner, dtype=np.int64)
    alone = second >= len(b)
    second[alone] = np.setdiff1d(np.arange(len(b)), second[~alone])[: int(alone.sum())]
    return Match(first, second, np.minimum(a.paired(b, first, second), 1.0))


def _assign(likeness: Floats) -> Match:
    rows, columns = linear_sum_assignment(likeness, maximize=True)
    return Match(rows, columns, np.minimum(likeness[rows, columns], 1.0))


def unit_rows(values: ArrayLike, name: str) -> Floats:
    rows = np.asarray(values, dtype=float)
    if rows.ndim != 2 or not np.isfinite(rows).all():
        raise InputError(f"{name} needs a matrix of finite numbers; got shape {rows.shape}.")
    norm = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.divide(rows, norm, out=np.zeros_like(rows), where=norm > 0)
