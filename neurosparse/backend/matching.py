"""One-to-one matching of atoms and of codes, and what is left of a score once chance is taken away.

Rows (atom, unit) or columns of codes (sample, latent) enter, matches and scores leave. Imports numpy, scipy and
`errors`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linear_sum_assignment

from neurosparse.errors import InputError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


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


class CodesMatch(NamedTuple):
    """How well codes found match true latents, one to one.

    Attributes
    ----------
    value : (latent,)
        |correlation| with the matched code: 0 where none was left, NaN where the latent was hardly ever active.
    mean : float
        MCC: the mean over the latents scored.
    coverage : float
        Share of latents scored.
    """

    value: Floats
    mean: float
    coverage: float


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
    O(min(n, m)^2 max(n, m)). Chance is high where units are few: two random dictionaries of 16 atoms on 8 units give a
    mean of .61. Take it from the same matching of random dictionaries (`baselines`).

    Examples
    --------
    >>> match([[1.0, 0.0], [0.0, 2.0]], [[0.0, -1.0], [3.0, 0.0]]).value
    array([1., 1.])
    """
    a, b = _unit_rows(first, "first"), _unit_rows(second, "second")
    if a.shape[1] != b.shape[1]:
        raise InputError(f"matching needs rows over the same units; got {a.shape[1]} and {b.shape[1]} units.")
    return _assign(np.abs(a @ b.T))


def recovery(learned: ArrayLike, truth: ArrayLike) -> Floats:
    """|cosine| of every true atom with the learned atom matched to it, (true atom,); 0 where none was left."""
    pairs = match(learned, truth)
    value = np.zeros(len(np.asarray(truth)))
    value[pairs.second] = pairs.value
    return value


def match_codes(codes: ArrayLike, truth: ArrayLike, *, min_events: int = 20) -> CodesMatch:
    """|correlation| over samples of true latents with the codes matched to them one to one.

    Parameters
    ----------
    codes : (sample, atom) array
    truth : (sample, latent) array
        Of samples that the dictionary was not fitted on.
    min_events : int
        A latent that is not zero in fewer samples than this has no correlation to speak of: it is left out and counted.

    Returns
    -------
    CodesMatch

    Raises
    ------
    InputError
        If the two do not have the same samples, or no latent is active often enough.
    """
    z, s = np.asarray(codes, dtype=float), np.asarray(truth, dtype=float)
    if z.ndim != 2 or s.ndim != 2 or len(z) != len(s):
        raise InputError(f"codes and truth need shape (sample, n) with the same samples; got {z.shape} and {s.shape}.")
    scored = np.flatnonzero((s != 0).sum(0) >= min_events)
    if not len(scored):
        raise InputError(
            f"no latent is active in {min_events} of {len(s)} samples. Give more samples or a lower min_events."
        )
    pairs = _assign(
        np.abs(
            _unit_rows(z.T - z.T.mean(1, keepdims=True), "codes")
            @ _unit_rows(s.T[scored] - s.T[scored].mean(1, keepdims=True), "truth").T
        )
    )
    value = np.full(s.shape[1], np.nan)
    value[scored] = 0.0
    value[scored[pairs.second]] = pairs.value
    return CodesMatch(value, float(value[scored].mean()), len(scored) / s.shape[1])


def chance_corrected(value: ArrayLike, chance: ArrayLike) -> Floats:
    """``(value - c) / (1 - c)``, c being chance but at least 0: 0 at chance, 1 when perfect; NaN where chance is 1."""
    floor = np.clip(np.asarray(chance, dtype=float), 0.0, 1.0)
    room = 1.0 - floor
    return (np.asarray(value, dtype=float) - floor) / np.where(room > 0, room, np.nan)


def _assign(likeness: Floats) -> Match:
    rows, columns = linear_sum_assignment(likeness, maximize=True)
    return Match(rows, columns, np.minimum(likeness[rows, columns], 1.0))


def _unit_rows(values: ArrayLike, name: str) -> Floats:
    rows = np.asarray(values, dtype=float)
    if rows.ndim != 2 or not np.isfinite(rows).all():
        raise InputError(f"{name} needs a matrix of finite numbers; got shape {rows.shape}.")
    norm = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.divide(rows, norm, out=np.zeros_like(rows), where=norm > 0)
