"""f(A) + f(B) against f(A and B), pair by pair."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Ints = NDArray[np.int64]


def row_cosines(x: Array, y: Array) -> Array:
    """Cosine of matching rows, (n,); NaN where a row is zero."""
    size = np.linalg.norm(x, axis=-1) * np.linalg.norm(y, axis=-1)
    return np.divide((x * y).sum(axis=-1), size, out=np.full(size.shape, np.nan), where=size > 0)


def centred_by_others(parts: Sequence[Array], group: Ints) -> list[Array]:
    """Each array less the mean over the single codes of pairs of other groups.

    Parameters
    ----------
    parts : (a, b, ab), each (pair, unit)
        The mean is over `a` and `b`, which estimate what a code holds whatever is shown; `ab` has it once as well.
    group : (pair,) int array
        Pairs that share a constituent have one label: their own codes must not enter their mean.

    Notes
    -----
    Subtracting a mean that a row took part in would make rows of few pairs anti-correlated.
    """
    singles = parts[0] + parts[1]
    counts = np.bincount(group)
    sums = np.zeros((len(counts), singles.shape[1]))
    np.add.at(sums, group, singles)
    mean = (singles.sum(axis=0) - sums[group]) / (2 * (len(group) - counts[group]))[:, None]
    return [part - mean for part in parts]


def mismatched(parts: Sequence[Array], labels: Sequence[Ints], n_draws: int, rng: np.random.Generator) -> Array:
    """Mean cosine with both constituents wrong, and with one wrong.

    Parameters
    ----------
    parts : (a, b, ab), each (pair, unit)
    labels : (of a, of b), each (pair,) int array
        Which constituent; another pair is wrong only where it shares none with this one.
    n_draws : int
        Random other pairs for each pair.
    rng : Generator

    Returns
    -------
    (2,) array
        NaN where no pair is free of shared constituents.
    """
    a, b, ab = parts
    first, second = labels
    both, one = [], []
    for _ in range(n_draws):
        j, k = (rng.integers(0, len(a), len(a)) for _ in range(2))
        wrong_a = _unshared(j, first, second)
        wrong_b = _unshared(k, first, second)
        cosines = row_cosines(a[j] + b[k], ab), row_cosines(a + b[k], ab), row_cosines(a[j] + b, ab)
        both.append(np.where(wrong_a & wrong_b, cosines[0], np.nan))
        one += [np.where(wrong_b, cosines[1], np.nan), np.where(wrong_a, cosines[2], np.nan)]
    return np.array([_mean(np.array(both)), _mean(np.array(one))])


def _unshared(other: Ints, first: Ints, second: Ints) -> NDArray[np.bool_]:
    apart = [mine[other] != theirs for mine in (first, second) for theirs in (first, second)]
    return np.logical_and.reduce(apart)


def _mean(values: Array) -> float:
    seen = np.isfinite(values)
    return float(values[seen].mean()) if seen.any() else float("nan")


def ranks(query: Array, candidates: Array) -> Ints:
    """Place of candidate i among all candidates by cosine with query i, (n,); 1 is first, ties count against it."""
    unit = [rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-300) for rows in (query, candidates)]
    likeness = unit[0] @ unit[1].T
    own = np.diag(likeness)[:, None]
    return (likeness >= own - 1e-12).sum(axis=1).astype(np.int64)


def gains(
    a: Array, b: Array, ab: Array, *, halves: Sequence[tuple[Array, Array]] = (), weights: Array | None = None
) -> tuple[Array, Array]:
    """Least squares of ``ab = w_a a + w_b b + c``, pooled over pairs and units, c one number a unit.

    Parameters
    ----------
    a, b, ab : (pair, unit) arrays
    halves : sequence of ((2, pair, unit), (2, pair, unit)), optional
        a and b averaged over disjoint halves of their repeats, one entry a split. The products of a code with itself
        are then taken between halves: noise in `a` and `b` would else draw the gains towards 0.
    weights : (pair,) array, optional
        How often each pair counts.

    Returns
    -------
    w : (2,) array
        NaN where the products do not determine it.
    c : (unit,) array
    """
    w = np.ones(len(a)) if weights is None else weights
    share = w / w.sum()
    means = [share @ part for part in (a, b, ab)]
    x, y, z = (part - mean for part, mean in zip((a, b, ab), means, strict=True))

    def product(left: Array, right: Array) -> float:
        return float(np.einsum("i,ij,ij->", w, left, right))

    own = [product(x, x), product(y, y)]
    if halves:
        between = [
            [product(one[0] - share @ one[0], one[1] - share @ one[1]) for one in (pair[0], pair[1])] for pair in halves
        ]
        own = list(np.mean(between, axis=0))
    gram = np.array([[own[0], product(x, y)], [product(x, y), own[1]]])
    if np.linalg.det(gram) <= 1e-12 * max(own) ** 2 or min(own) <= 0:
        return np.full(2, np.nan), np.full(a.shape[1], np.nan)
    found = np.linalg.solve(gram, [product(x, z), product(y, z)])
    return found, np.asarray(means[2] - found[0] * means[0] - found[1] * means[1])


def residual_share(a: Array, b: Array, ab: Array, w: Array, c: Array | float = 0.0) -> float:
    """``|ab - w_a a - w_b b - c|^2 / |ab - mean ab|^2``, over pairs and units: noise included."""
    size = float(((ab - ab.mean(axis=0)) ** 2).sum())
    return float(((ab - w[0] * a - w[1] * b - c) ** 2).sum()) / size if size > 0 else float("nan")


def corrected_cosine(sums: Sequence[tuple[Array, Array]], wholes: Sequence[tuple[Array, Array]]) -> float:
    """Cosine of a + b with ab that noise would not have lowered, pooled over pairs.

    ``<s1, t2> / sqrt(<s1, s2> <t1, t2>)`` for halves s of a + b and t of ab, products averaged over splits and over
    which half is which.

    Parameters
    ----------
    sums, wholes : sequences of pairs of (pair, unit) arrays
        Halves of the repeats, one entry a split.

    Returns
    -------
    float
        May exceed 1 by chance; NaN where a reliability is not positive.
    """
    cross = own = other = 0.0
    for (s1, s2), (t1, t2) in zip(sums, wholes, strict=True):
        cross += 0.5 * float(np.vdot(s1, t2) + np.vdot(s2, t1))
        own += float(np.vdot(s1, s2))
        other += float(np.vdot(t1, t2))
    return cross / float(np.sqrt(own * other)) if min(own, other) > 0 else float("nan")
