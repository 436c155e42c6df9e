"""Maps through few directions that all targets share: reduced-rank ridge and partial least squares, cross-validated."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from neurosparse.backend.linear.ridge import Folds, RidgeFold, isometric, ridge_fold
from neurosparse.backend.linear.scoring import Array, correlations, fisher_mean, residuals
from neurosparse.backend.linear.validation import RidgeScores, sorted_penalties
from neurosparse.errors import InputError

LowRank = Literal["reduced_rank", "pls"]
Factors = tuple[Array, Array]  # (l, m, k) and (l, k, t): the product over the first r of k is the prediction

MOST_COMPONENTS = 25  # of partial least squares


@dataclass(frozen=True)
class LowRankScores(RidgeScores):
    """What `cross_validated_low_rank` found; as `RidgeScores`, with one penalty and one rank a fold for all targets.

    Attributes
    ----------
    rank : (fold,) int64
        Chosen number of directions.
    """

    rank: NDArray[np.int64]


def cross_validated_low_rank(
    x: Array,
    y: Array,
    folds: Folds,
    inner_folds: Sequence[Folds],
    *,
    method: LowRank,
    ranks: Sequence[int] | None = None,
    penalties: Array | None = None,
    nuisance: Array | None = None,
    rearrangements: NDArray[np.int64] | None = None,
) -> LowRankScores:
    """Held-out maps of low rank from `x` to `y`, rank (and penalty) chosen inside the training rows; and their null.

    "reduced_rank": the W of rank r with the least ``|y - x W|^2 + lambda |W|^2``, which is the ridge map followed by
    the projection on the r leading eigenvectors of ``y' H y``, H being ridge's hat matrix. "pls": partial least
    squares, directions of x in turn with the largest covariance with y, each x freed of the earlier ones.

    Parameters
    ----------
    x, y, folds, inner_folds, penalties, nuisance, rearrangements
        As in `cross_validated_ridge`; "pls" has no penalty. Targets count as scaled: they share the directions.
    method : {"reduced_rank", "pls"}
    ranks : sequence of int, optional
        Which numbers of directions to choose among; by default all, at most 25 for "pls".

    Returns
    -------
    LowRankScores
        Its `penalty` is NaN for "pls".

    Raises
    ------
    InputError
        If the row counts differ, the method is unknown, or no rank is a positive integer.

    Notes
    -----
    The sum of squared errors over targets and inner folds decides. Every inner fold is factorised once; a copy of the
    targets then costs an eigendecomposition of t x t for each inner fold and penalty ("reduced_rank"), or k products
    with the rows and as many singular vectors ("pls").

    References
    ----------
    A. Mukherjee and J. Zhu, Reduced rank ridge regression and its kernel extensions, Statistical Analysis and Data
    Mining 4:612-622 (2011). B. Dayal and J. MacGregor, Improved PLS algorithms, Journal of Chemometrics 11:73-85
    (1997), algorithm 1.
    """
    if len(y) != len(x):
        raise InputError(f"x and y need the same rows; got {len(x)} and {len(y)}.")
    if method not in _METHODS:
        raise InputError(f"method must be one of {sorted(_METHODS)}; got {method!r}.")
    allowed = None if ranks is None else np.unique(np.asarray(ranks))
    if allowed is not None and (not allowed.size or allowed.dtype.kind not in "iu" or allowed[0] < 1):
        raise InputError(f"ranks must be positive integers, such as [1, 2, 5]; got {list(ranks or [])}.")
    levels = sorted_penalties(penalties)
    ones = np.ones((len(x), 1))
    search = _Search(
        isometric(x), ones if nuisance is None else np.hstack([ones, nuisance]), levels, allowed, _METHODS[method]
    )
    mapped, baseline = np.full(y.shape, np.nan), np.full(y.shape, np.nan)
    fold_of, chosen, inner_r, null_r = np.full(len(x), -1, dtype=np.int64), [], [], []
    for index, ((train, test), inner) in enumerate(zip(folds, inner_folds, strict=True)):
        parts = [search.factorised(train[own], train[other]) for own, other in inner]
        whole = search.factorised(train, test)
        level, rank = search.chosen(parts, y)
        mapped[test], baseline[test] = search.predicted(whole, y, level, rank)
        fold_of[test] = index
        chosen.append((levels[level] if method == "reduced_rank" else np.nan, rank))
        inner_r.append(_inner_r(search, parts, y, level, rank))
        null_r.append(_null_r(search, parts, whole, y, rearrangements))
    penalty = np.repeat([[one] for one, _ in chosen], y.shape[1], axis=1)
    return LowRankScores(
        mapped,
        baseline,
        fold_of,
        penalty,
        np.stack(inner_r),
        fisher_mean(np.stack(null_r)) if rearrangements is not None else np.empty((0, y.shape[1])),
        np.array([rank for _, rank in chosen]),
    )


@dataclass(frozen=True)
class _Part:
    """One factorised set of rows: `train` fitted, `test` predicted."""

    fold: RidgeFold
    train: NDArray[np.int64]
    test: NDArray[np.int64]


@dataclass(frozen=True)
class _Search:
    """The choice of level and rank, for any targets of the same rows."""

    x: Array
    nuisance: Array
    levels: Array
    ranks: NDArray[np.int64] | None
    factors: Callable[[RidgeFold, Array], Factors]

    def factorised(self, train: NDArray[np.int64], test: NDArray[np.int64]) -> _Part:
        fold = ridge_fold(self.x, train, test, [], penalties=self.levels, nuisance=self.nuisance)
        return _Part(fold, train, test)

    def chosen(self, parts: Sequence[_Part], y: Array) -> tuple[int, int]:
        """Indices of the level and number of directions with the least inner squared error."""
        errors = [self._errors(part, y) for part in parts]
        n = min(one.shape[1] for one in errors)
        total = np.sum([one[:, :n] for one in errors], axis=0)
        ranks = np.arange(1, n + 1) if self.ranks is None else self.ranks[self.ranks <= n]
        ranks = ranks if ranks.size else np.array([n])  # fewer directions than asked for: all there are
        level, place = np.unravel_index(int(total[:, ranks - 1].argmin()), (len(total), len(ranks)))
        return int(level), int(ranks[place])

    def predicted(self, part: _Part, y: Array, level: int, rank: int) -> tuple[Array, Array]:
        known = y[part.train]
        left, right = self.factors(part.fold, known)
        return left[level, :, :rank] @ right[level, :rank], part.fold.base_test @ (part.fold.base.T @ known)

    def _errors(self, part: _Part, y: Array) -> Array:
        known = y[part.train]
        hidden = y[part.test] - part.fold.base_test @ (part.fold.base.T @ known)
        left, right = self.factors(part.fold, known)
        # |Y - sum_j a_j b_j'|^2 for every number of terms
        squares = (left.swapaxes(1, 2) @ left) * (right @ right.swapaxes(1, 2))
        squares = np.cumsum(np.cumsum(squares, axis=1), axis=2).diagonal(axis1=1, axis2=2)
        shared = np.cumsum(((left.swapaxes(1, 2) @ hidden) * right).sum(axis=2), axis=1)
        return np.asarray(squares - 2 * shared + np.vdot(hidden, hidden))


def _reduced_rank(fold: RidgeFold, y: Array) -> Factors:
    scores = fold.basis.T @ y
    shrunk = fold.shrink[:, :, None] * scores  # (l, d, t)
    # y' H y = |ridge fit|^2 + lambda |W|^2, so its leading eigenvectors are the best subspace of both terms
    _, vectors = np.linalg.eigh(scores.T @ shrunk)
    turned = vectors[:, :, ::-1][:, :, : min(scores.shape)]
    return fold.basis_test @ (shrunk @ turned), turned.swapaxes(1, 2)


def _partial_least_squares(fold: RidgeFold, y: Array) -> Factors:
    size = np.sqrt(fold.eigenvalues)
    x, cross = fold.basis * size, size[:, None] * (fold.basis.T @ y)
    directions: list[Array] = []
    loadings: list[Array] = []
    weights: list[Array] = []
    least = 1e-10 * np.linalg.norm(cross)
    for _ in range(min(MOST_COMPONENTS, len(size))):
        left, strength, _ = np.linalg.svd(cross, full_matrices=False)
        if directions and strength[0] <= least:
            break
        direction = left[:, 0]
        for earlier, loading in zip(directions, loadings, strict=True):
            direction = direction - (loading @ left[:, 0]) * earlier
        scores = x @ direction
        power = scores @ scores
        directions.append(direction)
        loadings.append(x.T @ scores / power)
        weights.append(cross.T @ direction / power)
        cross = cross - np.outer(loadings[-1], weights[-1]) * power
    return ((fold.basis_test * size) @ np.stack(directions, axis=1))[None], np.stack(weights)[None]


_METHODS: dict[str, Callable[[RidgeFold, Array], Factors]] = {
    "reduced_rank": _reduced_rank,
    "pls": _partial_least_squares,
}


def _inner_r(search: _Search, parts: Sequence[_Part], y: Array, level: int, rank: int) -> Array:
    r = []
    for part in parts:
        mapped, baseline = search.predicted(part, y, level, rank)
        r.append(correlations(mapped, residuals(y[part.test], baseline)))
    return fisher_mean(np.stack(r))


def _null_r(
    search: _Search, parts: Sequence[_Part], whole: _Part, y: Array, rearrangements: NDArray[np.int64] | None
) -> Array:
    """r on the test rows for every rearranged copy of `y`, level and rank chosen anew, (permutation, t)."""
    r = np.empty((0 if rearrangements is None else len(rearrangements), y.shape[1]))
    for index in range(len(r)):
        moved = y[rearrangements[index]]  # type: ignore[index]
        mapped, baseline = search.predicted(whole, moved, *search.chosen(parts, moved))
        r[index] = correlations(mapped, residuals(moved[whole.test], baseline))
    return r
