"""How much of the targets' variance is a function of the predictors beyond what is linear, without fitting one.

A fitted map finds little of a quadratic form with more coefficients than there are samples; its share of the variance
can be estimated all the same, because coefficients enter the covariance of samples through one kernel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from neurosparse.backend.linear import Share, isometric
from neurosparse.backend.linear.share import (
    FEWEST_GROUPS,
    MOST_DIRECTIONS,
    orthonormal,
    resigned_law,
    share_of_pairs,
)
from neurosparse.backend.nonlinear.kernels import radial_kernel
from neurosparse.backend.resampling import label_codes

Array = NDArray[np.floating]
Kind = Literal["quadratic", "cubic", "local"]

ORDERS = {"quadratic": 2, "cubic": 3}
# By which power of what least squares leaves of it noise is made larger: 1/2 gives each sample its own variance back.
# In cubic forms a few samples far from the mean decide, and only the whole gives each its own draw back: with 1/2
# p <= .01 came in .018 of 1,000 worlds of 200 samples and 20 dimensions, with 1 in .008.
HALF, WHOLE = 0.5, 1.0
LOCAL = 0.35  # median distances: wider ones hold little that is not nearly linear
# Directions of the targets that weigh alike: with nearly as many of them as groups are left free each group has one to
# itself, and no two agree. What a direction below the floor holds is rounding, or too little to matter.
FREE_GROUPS = 8  # per direction
FLOOR = 0.01  # of one target's variance
N_STEPS = 300
TOLERANCE = 1e-6


@dataclass(frozen=True)
class ShareForm:
    """What estimates the share of one kind of function of the predictors; made by `share_form`.

    With e what least squares on [1, nuisance, x] leaves of the targets, each over its sd, M that projection, and K the
    covariance over samples of functions of that kind,

    ``share = e' A e tr(M K M) / (tr(A K) (n - k))``,

    where A is the matrix nearest to M K M that has M A M = A and no entry within a group. So noise has mean zero in
    it, whatever its variance at each sample and its correlation within groups, and functions drawn with covariance K
    have their own share for mean.

    Attributes
    ----------
    between : (n, n) array
        A.
    scale : float
        What follows e' A e.
    basis : (n, k) array
        Orthonormal, of what M takes out.
    codes : (n,) int array
        Groups, from 0.
    power : float
        Of the enlarged `noise`, `HALF` or `WHOLE`.
    """

    between: Array
    scale: float
    basis: Array
    codes: NDArray[np.int64]
    power: float = HALF

    def residuals(self, y: Array) -> Array:
        """e, (n, t)."""
        rest = (y - y.mean(axis=0)) / y.std(axis=0)
        return np.asarray(rest - self.basis @ (self.basis.T @ rest))

    def share(self, y: Array) -> Share:
        """Mean share over targets (n, t), each of which must vary.

        Errors are of the mean over targets, which may share noise: the sum over groups of squared influences, less
        what they count twice in a form of two samples (Efron and Stein 1981). A form's own share is a ratio, low by a
        tenth to a fifth at 50-100 samples, by less beyond.
        """
        rest = self.residuals(y)
        pairs = self.between * (rest @ rest.T / y.shape[1])
        noise = self.noise(y) / np.sqrt(y.shape[1])
        return share_of_pairs(pairs, self.codes, self.scale, none=self._none(self.scale, noise))

    def even_p(self, y: Array) -> float:
        """p of no such share in targets (n, t), the directions in which e varies weighing alike.

        With e = U S V', of the statistic

        ``sum_j s_j^2 / (s_j^2 + n / 100) u_j' A u_j``, j over the (g - k) / 8 leading directions, g groups.

        The mean share is decided by the few directions that hold most of e: where half of ten clusters in five
        dimensions change places four hold all of it and one of them two thirds, and noise that all targets share
        hides what each of them has for itself. Here an invertible map of the targets changes little. Where one target
        alone has such a share, the mean tells it better.

        Notes
        -----
        Signs of groups leave e' e, so S and V, nearly as they are: the law is that of `share`. n^3 flops for it and
        n t min(n, t) for S and V.

        References
        ----------
        K. Pillai, Annals of Mathematical Statistics 26:117-121 (1955), for tr(A e (e' e)^-1 e') with a projection A.
        The floor and the number of directions are this package's.
        """
        rest = self.residuals(y)
        _, size, directions = np.linalg.svd(rest, full_matrices=False)
        n_kept = max((self.codes.max() + 1 - self.basis.shape[1]) // FREE_GROUPS, 1)
        even = (directions / np.sqrt(size**2 + FLOOR * len(y))[:, None])[:n_kept].T  # (target, direction)
        value = float(np.vdot(rest @ even, self.between @ rest @ even))
        return float(self._none(1.0, self.noise(y) @ even).sf(value))

    def noise(self, y: Array) -> Array:
        """e as large as the noise it is left of, (n, t): least squares takes more of it where x is far from its mean.

        Each group's part of e times the inverse of its block of M, or the root of that: M is what is left of white
        noise. Where noise is loudest just there, the root is too little: at 60 samples p <= .01 came in .03 instead of
        .01.
        """
        rest = self.residuals(y)
        if self.codes.max() + 1 == len(self.codes):
            left = 1 - np.einsum("ij,ij->i", self.basis, self.basis)
            return np.asarray(rest / np.where(left > TOLERANCE, left, 1.0)[:, None] ** self.power)
        for code in range(self.codes.max() + 1):
            own = self.codes == code
            values, vectors = np.linalg.eigh(np.eye(int(own.sum())) - self.basis[own] @ self.basis[own].T)
            larger = np.where(values > TOLERANCE, np.maximum(values, TOLERANCE) ** -self.power, 0.0)
            rest[own] = (vectors * larger) @ (vectors.T @ rest[own])
        return rest

    def _none(self, scale: float, noise: Array) -> Any:
        """Law of `scale` times e' A e had the targets no such share: the `noise` of each group takes random signs.

        Signs are one for all targets, so noise that they share stays shared, and its size stays at its sample.
        """
        return resigned_law(scale * self.between * (noise @ noise.T), self.codes)


def share_form(x: Array, groups: NDArray[np.int64], kind: Kind, *, nuisance: Array | None = None) -> ShareForm | None:
    """What estimates the share of functions of `x` of one kind beyond what is linear.

    Parameters
    ----------
    x : (n, p) array
        Used as scaled.
    groups : (n,) int array
        Samples that may share noise.
    kind : {"quadratic", "cubic", "local"}
        Forms of second or third order, K_ij = <x_i, x_j>^order; or what samples near each other share, whatever its
        shape, K_ij = exp(-d^2 / (2 w^2)), w = .35 median distances.
    nuisance : (n, k) array, optional
        What else is regressed out, such as drift.

    Returns
    -------
    ShareForm or None
        None where there are more linear directions than half of the samples, fewer than 20 groups, or no pairs left
        to compare between them.

    Notes
    -----
    Nothing is fitted but the linear map, so nothing needs to be held out: under pure noise the mean share is 0. n^3
    flops, three n x n matrices, and some ten times 4 n^2 k.

    References
    ----------
    J. Haseman and R. Elston, Behavior Genetics 2:3-19 (1972), for moments of pairs; P. Kline, R. Saggio, M. Solvsten,
    Econometrica 88:1859-1898 (2020), for noise that differs between samples; J. MacKinnon, Thirty years of
    heteroskedasticity-robust inference (2013), for residuals enlarged and re-signed. The exclusion of groups is this
    package's.
    """
    x = isometric(x)
    n = len(x)
    basis = orthonormal(np.ones((n, 1)), nuisance, x)
    codes = label_codes(groups, "groups")[1]
    if basis.shape[1] > MOST_DIRECTIONS * n or codes.max() + 1 < FEWEST_GROUPS:
        return None
    kernel = _without(radial_kernel(x, LOCAL) if kind == "local" else _products(x) ** ORDERS[kind], basis)
    between = _between_groups(kernel, basis, codes)
    if between is None:
        return None
    scale = float(np.trace(kernel)) / (n - basis.shape[1]) / float(np.vdot(between, kernel))
    return ShareForm(between, scale, basis, codes, WHOLE if kind == "cubic" else HALF)


def _products(x: Array) -> Array:
    products = x @ x.T
    return np.asarray(products / (np.trace(products) / len(x)))


def _between_groups(kernel: Array, basis: Array, codes: NDArray[np.int64]) -> Array | None:
    """The matrix A nearest to `kernel` with M A M = A and no entry within a group: kernel - M D M, D within groups.

    D solves within(M D M) = within(kernel), by conjugate gradients.
    """
    within = codes[:, None] == codes
    size = float(np.linalg.norm(kernel))
    left = np.where(within, kernel, 0.0)
    direction, taken = left, np.zeros_like(kernel)
    power = float(np.vdot(left, left))
    for _ in range(N_STEPS):
        if power <= (TOLERANCE * size) ** 2:
            break
        image = np.where(within, _without(direction, basis), 0.0)
        step = power / float(np.vdot(direction, image))
        taken, left = taken + step * direction, left - step * image
        before, power = power, float(np.vdot(left, left))
        direction = left + power / before * direction
    else:
        return None
    found = kernel - _without(taken, basis)
    return found if np.vdot(found, kernel) > TOLERANCE * size**2 else None


def _without(square: Array, basis: Array) -> Array:
    """M S M with M = I - B B', S symmetric."""
    half = basis.T @ square
    square = square - basis @ half
    return np.asarray(square - (square @ basis) @ basis.T)
