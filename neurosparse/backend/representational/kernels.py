"""Linear kernels over samples, in whichever form is the smaller, and their unbiased dependence."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neurosparse.errors import InputError

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Kernel:
    """``K = F F'`` of centred features F, or K itself where there are more features than samples.

    Attributes
    ----------
    values : (n, p) or (n, n) float64
        F, or K where `is_gram`.
    is_gram : bool
    squares : (n,) float64
        Diagonal of K.
    """

    values: Array
    is_gram: bool
    squares: Array

    def reordered(self, order: NDArray[np.int64]) -> Kernel:
        """The kernel of the samples in another order."""
        values = self.values[np.ix_(order, order)] if self.is_gram else self.values[order]
        return Kernel(values, self.is_gram, self.squares[order])


def linear_kernel(x: Array) -> Kernel:
    """Kernel of the samples of `x` (n, p), centred over samples."""
    x = np.asarray(x, dtype=np.float64)
    x = x - x.mean(axis=0)
    squares = np.einsum("ij,ij->i", x, x)
    return Kernel(x @ x.T, True, squares) if x.shape[1] > len(x) else Kernel(x, False, squares)


def inner(a: Kernel, b: Kernel) -> float:
    """<K, L> = sum_ij K_ij L_ij; n p q flops of features, n^2 of Gram matrices."""
    if a.is_gram and b.is_gram:
        return float(np.vdot(a.values, b.values))
    if a.is_gram or b.is_gram:
        gram, features = (a.values, b.values) if a.is_gram else (b.values, a.values)
        return float(np.vdot(gram @ features, features))
    cross = a.values.T @ b.values
    return float(np.vdot(cross, cross))


def hsic(a: Kernel, b: Kernel) -> float:
    """Unbiased Hilbert-Schmidt independence criterion of two linear kernels: its mean is 0 for independent samples.

    With K, L centred over samples, k and l their diagonals and n samples,
    ``(<K, L> - k.l + sum k sum l / ((n-1)(n-2)) - 2 k.l / (n-2)) / (n (n-3))``, which is the estimator HSIC_1 of Song
    et al. with the sums over off-diagonal entries carried out.

    Parameters
    ----------
    a, b : Kernel
        Of the same samples in the same order, at least 4.

    Returns
    -------
    float
        May be negative. ``hsic(a, a)`` estimates the squared Frobenius norm of the covariance of the features.

    Raises
    ------
    InputError
        If there are fewer than 4 samples or the two differ in number.

    References
    ----------
    L. Song et al., Feature selection via dependence maximization, JMLR 13:1393-1434 (2012), equation 5.
    """
    n = len(a.squares)
    if n < 4 or len(b.squares) != n:
        raise InputError(f"an unbiased dependence needs the same samples, at least 4; got {n} and {len(b.squares)}.")
    diagonal = float(a.squares @ b.squares)
    sums = float(a.squares.sum() * b.squares.sum())
    total = inner(a, b) - diagonal * (1 + 2 / (n - 2)) + sums / ((n - 1) * (n - 2))
    return total / (n * (n - 3))


def debiased_cka(a: Kernel, b: Kernel) -> float:
    """Centred kernel alignment from unbiased terms, ``HSIC(a, b) / sqrt(HSIC(a, a) HSIC(b, b))``.

    Returns
    -------
    float
        1 for representations equal up to rotation and isotropic scale, 0 on average for independent ones however many
        units they have; a little below 0 or above 1 by chance. NaN where a side's own term is not positive.

    References
    ----------
    S. Kornblith et al., Similarity of neural network representations revisited, ICML (2019).
    """
    own = hsic(a, a), hsic(b, b)
    return hsic(a, b) / float(np.sqrt(own[0] * own[1])) if min(own) > 0 else float("nan")


def kernel_cosine(a: Kernel, b: Kernel) -> float:
    """<K, L> / (|K| |L|); NaN where one is zero."""
    size = float(np.sqrt(inner(a, a) * inner(b, b)))
    return inner(a, b) / size if size > 0 else float("nan")
