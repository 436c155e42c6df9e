"""How much of the targets' variance is linear in the predictors, whatever a map fitted to these samples finds of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import pearson3

from neurosparse.backend.linear.ridge import isometric
from neurosparse.backend.linear.scoring import Array

FEWEST_GROUPS = 20  # below which random signs of groups are too few, and their sum too far from any law, for a p
MOST_DIRECTIONS = 0.5  # of the samples: with more linear directions noise and signal cannot be told apart


@dataclass(frozen=True)
class Share:
    """A share of variance and the standard error of its estimate; NaN where they cannot be had.

    Attributes
    ----------
    value, error : float
    none : frozen distribution of scipy.stats, or None
        Law of the estimate were the share 0; None where it was not asked for, or of fewer than 20 groups.
    """

    value: float
    error: float
    none: Any = None

    @property
    def p(self) -> float:
        """Of no share; NaN without its law."""
        return float("nan") if self.none is None else float(self.none.sf(self.value))


UNKNOWN = Share(float("nan"), float("nan"))


def linear_share(x: Array, y: Array, groups: NDArray[np.int64], *, law: bool = False) -> Share:
    """Share of the variance of targets (mean over them) that is linear in `x`: where R2 tends with more samples.

    ``share = sum_i y_i (p_i - m_i) / sum_i y_i^2`` for centred y, p_i and m_i what least squares on [1, x], and on 1
    alone, predict of row i from the other groups.

    Parameters
    ----------
    x : (n, p) array
    y : (n, t) array
        Each target must vary.
    groups : (n,) int array
        Samples that may share noise.
    law : bool
        Whether to compute the law of no share, for p: n^3 flops more.

    Returns
    -------
    Share
        NaN where `x` has more directions than half of the samples, or than rows are left without a group.

    Notes
    -----
    E[y_i p_i] is the square of the noise-free y_i: the map is unbiased and its noise is of other groups. So neither the
    error of the map, which lowers a held-out R2 by about p / n of what is not linear, nor noise of the targets is in
    it, and over the ceiling it does not depend on the number of repeats. Error as in `ShareForm`, of a ratio.
    n^2 (k + t) flops and three n x n matrices.

    References
    ----------
    P. Kline, R. Saggio, M. Solvsten, Leave-out estimation of variance components, Econometrica 88:1859-1898 (2020).
    """
    n, codes = len(x), np.unique(groups, return_inverse=True)[1]
    ones = np.ones((n, 1))
    basis = orthonormal(ones, None, isometric(x))
    if basis.shape[1] > MOST_DIRECTIONS * n or len(np.unique(codes)) < 3:
        return UNKNOWN
    forward = _from_others(basis, codes) - _from_others(ones / np.sqrt(n), codes)
    if not np.isfinite(forward).all():
        return UNKNOWN
    centred = (y - y.mean(axis=0)) / y.std(axis=0)
    alike = centred @ centred.T / y.shape[1]
    pairs = 0.5 * (forward + forward.T) * alike
    # a sample moves the sum by y p and, through the map, by p (y - p); and what the sum is divided by, by y^2
    own = np.mean((forward @ centred) ** 2, axis=1) + pairs.sum() / n * np.diag(alike)
    law = law and codes.max() + 1 >= FEWEST_GROUPS
    return share_of_pairs(pairs, codes, 1.0 / n, own, none=resigned_law(pairs / n, codes) if law else None)


def orthonormal(ones: Array, nuisance: Array | None, x: Array) -> Array:
    """Basis of what the columns of all three span."""
    columns = [ones, *([] if nuisance is None else [nuisance]), x]
    columns = [one / max(float(np.linalg.norm(one)), 1e-300) for one in columns]
    left, size, _ = np.linalg.svd(np.hstack(columns), full_matrices=False)
    return np.asarray(left[:, size > 1e-10 * size[0]])


def share_of_pairs(
    pairs: Array, codes: NDArray[np.int64], scale: float, less: Array | None = None, *, none: Any = None
) -> Share:
    """``scale`` times the sum of `pairs` (n, n), with errors from the influence of each group.

    Parameters
    ----------
    pairs : (n, n) array
        Terms of a form of two samples, symmetric and 0 within groups.
    codes : (n,) int array
        Groups, from 0.
    scale : float
    less : (n,) array, optional
        What a sample's influence is less than twice the sum of its row.
    none : optional
        Law of the share were there none.
    """
    grouped = _by_group(pairs, codes)
    influence = 2 * grouped.sum(axis=1)
    if less is not None:
        influence = influence - np.bincount(codes, less)
    twice = 2 * float((grouped**2).sum())
    variance = max(float(((influence - influence.mean()) ** 2).sum()) - twice, twice)
    return Share(scale * float(pairs.sum()), scale * float(np.sqrt(variance)), none)


def resigned_sums(pairs: Array, codes: NDArray[np.int64], n_draws: int, rng: np.random.Generator) -> Array:
    """Sums of `pairs` (n, n) under random signs of groups, (n_draws,)."""
    grouped = _by_group(pairs, codes)
    signs = rng.choice([-1.0, 1.0], size=(n_draws, len(grouped)))
    return np.asarray(np.einsum("bi,bi->b", signs @ grouped, signs))


def resigned_law(pairs: Array, codes: NDArray[np.int64]) -> Any:
    """Law of the sum of `pairs` (n, n) under random signs of groups: what noise symmetric about 0 could have made.

    Pearson's third, of mean 0, variance 2 sum P_ij^2 and third moment 8 tr(P^3), P the pairs summed over groups. With
    `pairs` within groups all 0. n^3 flops.
    """
    grouped = _by_group(pairs, codes)
    variance = 2 * float((grouped**2).sum())
    if variance == 0:
        return pearson3(0.0, 0.0, np.finfo(float).tiny)
    return pearson3(8 * float(np.vdot(grouped @ grouped, grouped)) / variance**1.5, 0.0, np.sqrt(variance))


def _by_group(pairs: Array, codes: NDArray[np.int64]) -> Array:
    return pairs if codes.max() + 1 == len(codes) else _summed(_summed(pairs, codes).T, codes)


def _from_others(basis: Array, codes: NDArray[np.int64]) -> Array:
    """L (n, n) with L y the least-squares prediction of each row from the rows of other groups."""
    n = len(basis)
    hat = basis @ basis.T
    if codes.max() + 1 == n:
        inside = np.diag(hat).copy()
        np.fill_diagonal(hat, 0.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(inside[:, None] < 1 - 1e-9, hat / (1 - inside[:, None]), np.nan)
    for code in range(codes.max() + 1):
        own = codes == code
        left = np.eye(int(own.sum())) - hat[np.ix_(own, own)]
        if np.linalg.eigvalsh(left)[0] < 1e-9:  # only these rows know some direction
            hat[own] = np.nan
            continue
        hat[own] = np.linalg.solve(left, np.where(own, 0.0, hat[own]))
    return hat


def _summed(rows: Array, codes: NDArray[np.int64]) -> Array:
    total = np.zeros((codes.max() + 1, rows.shape[1]))
    np.add.at(total, codes, rows)
    return total
