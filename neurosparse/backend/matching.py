"""One-to-one matching of atoms and of codes, and what is left of a score once chance is taken away.

Rows (atom, unit) or columns of codes (sample, latent) enter, matches and scores leave. Imports numpy, scipy and
`errors`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

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


class Support(NamedTuple):
    """Which latents are active: found against true, after matching.

    Attributes
    ----------
    precision, recall, f1 : float
        Over all samples and matched pairs.
    chance : float
        F1 of the same codes against other samples' truth.
    corrected : float
        ``(f1 - chance) / (1 - chance)``.
    coverage : float
        Share of latents scored.
    """

    precision: float
    recall: float
    f1: float
    chance: float
    corrected: float
    coverage: float


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
    code : (latent,) int array
        Column of the code matched to each latent, -1 where there is none.
    """

    value: Floats
    mean: float
    coverage: float
    code: Ints


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
    a, b = _unit_rows(first, "first"), _unit_rows(second, "second")
    if a.shape[1] != b.shape[1]:
        raise InputError(f"matching needs rows over the same units; got {a.shape[1]} and {b.shape[1]} units.")
    return _pair(a, b)


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
    z, s = _same_samples(codes, truth)
    scored = _scored(s, min_events)
    pairs = _pair(_columns(z, "codes"), _columns(s[:, scored], "truth"))
    return _codes_match(pairs, scored, s.shape[1], pairs.value)


def match_codes_by_halves(codes: ArrayLike, truth: ArrayLike, *, min_events: int = 20) -> CodesMatch:
    """`match_codes` with the matching chosen on every other sample and scored on the rest.

    A matching that is chosen where it is scored flatters: with few samples and many atoms even noise finds a partner.

    Parameters
    ----------
    codes, truth, min_events
        As in `match_codes`; `min_events` is asked of each half.
    """
    z, s = _same_samples(codes, truth)
    scored = _scored_by_halves(s, min_events)
    pairs = _pair(_columns(z[::2], "codes"), _columns(s[::2, scored], "truth"))
    found, true = _columns(z[1::2], "codes"), _columns(s[1::2, scored], "truth")
    value = np.abs((found[pairs.first] * true[pairs.second]).sum(1))
    return _codes_match(pairs, scored, s.shape[1], value)


def match_support(codes: ArrayLike, truth: ArrayLike, *, min_events: int = 20, random_state: int | None = 0) -> Support:
    """Precision, recall and F1 of the active codes, matched to the true latents one to one by |correlation|.

    Matched on every other sample and scored on the rest, as in `match_codes_by_halves`.

    Parameters
    ----------
    codes : (sample, atom) array
    truth : (sample, latent) array
    min_events : int
        As in `match_codes`.
    random_state : int or None
        Of the shuffled samples that give chance.

    Returns
    -------
    Support

    Notes
    -----
    Active codes of atoms without a partner count against precision: they are supports of nothing that is there. So do
    not those of latents that are left out.
    """
    z, s = _same_samples(codes, truth)
    scored = _scored_by_halves(s, min_events)
    matched = match_codes(z[::2], s[::2], min_events=min_events)
    everywhere = match_codes(z[::2], s[::2], min_events=1).code
    z, s = z[1::2], s[1::2]
    extra = np.setdiff1d(np.arange(z.shape[1]), everywhere[everywhere >= 0])
    extra = np.setdiff1d(extra, matched.code[scored])
    found = np.zeros((len(z), len(scored)), dtype=bool)
    has = matched.code[scored] >= 0
    found[:, has] = z[:, matched.code[scored][has]] != 0
    true, wrong = s[:, scored] != 0, int((z[:, extra] != 0).sum())
    precision, recall, f1 = _precision(found, true, wrong)
    order = np.random.RandomState(random_state).permutation(len(z))
    chance = _precision(found[order], true, wrong)[2]
    return Support(precision, recall, f1, chance, float(chance_corrected(f1, chance)), len(scored) / s.shape[1])


def chance_of_codes(
    codes: ArrayLike,
    truth: ArrayLike,
    *,
    n_draws: int = 5,
    min_events: int = 20,
    by_halves: bool = False,
    random_state: int | None = 0,
) -> float:
    """MCC of the same codes with samples shuffled, the mean over draws: what matching alone gives.

    `by_halves`: of `match_codes_by_halves` rather than `match_codes`.
    """
    z, s = _same_samples(codes, truth)
    random, scored = np.random.RandomState(random_state), match_codes_by_halves if by_halves else match_codes
    return float(np.mean([scored(random.permutation(z), s, min_events=min_events).mean for _ in range(n_draws)]))


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


def chance_corrected(value: ArrayLike, chance: ArrayLike, oracle: ArrayLike = 1.0) -> Floats:
    """``(value - c) / (oracle - c)``, c being chance but at least 0: 0 at chance, 1 when as good as can be.

    Without an `oracle`, the value of who knows the truth, perfect is 1. NaN where chance leaves no room.
    """
    floor = np.clip(np.asarray(chance, dtype=float), 0.0, 1.0)
    room = np.asarray(oracle, dtype=float) - floor
    return (np.asarray(value, dtype=float) - floor) / np.where(room > 0, room, np.nan)


def _same_samples(codes: ArrayLike, truth: ArrayLike) -> tuple[Floats, Floats]:
    z, s = np.asarray(codes, dtype=float), np.asarray(truth, dtype=float)
    if z.ndim != 2 or s.ndim != 2 or len(z) != len(s):
        raise InputError(f"codes and truth need shape (sample, n) with the same samples; got {z.shape} and {s.shape}.")
    return z, s


def _scored(truth: Floats, min_events: int) -> Ints:
    """Latents active often enough to have a correlation."""
    scored = np.flatnonzero((truth != 0).sum(0) >= min_events)
    if not len(scored):
        raise InputError(
            f"no latent is active in {min_events} of {len(truth)} samples. Give more samples or a lower min_events."
        )
    return scored


def _scored_by_halves(truth: Floats, min_events: int) -> Ints:
    """Latents active often enough in either half."""
    scored = np.intersect1d(_scored(truth[::2], min_events), _scored(truth[1::2], min_events))
    if not len(scored):
        raise InputError(f"no latent is active in {min_events} samples of both halves. Give more samples.")
    return scored


def _columns(values: Floats, name: str) -> Floats:
    """Columns as rows of unit norm about their means: their products are correlations."""
    return _unit_rows(values.T - values.T.mean(1, keepdims=True), name)


def _codes_match(pairs: Match, scored: Ints, n_latents: int, value: Floats) -> CodesMatch:
    every, code = np.full(n_latents, np.nan), np.full(n_latents, -1)
    every[scored] = 0.0
    every[scored[pairs.second]], code[scored[pairs.second]] = np.minimum(value, 1.0), pairs.first
    return CodesMatch(every, float(every[scored].mean()), len(scored) / n_latents, code)


def _precision(found: NDArray[np.bool_], true: NDArray[np.bool_], wrong: int) -> tuple[float, float, float]:
    hits = int((found & true).sum())
    precision, recall = hits / max(int(found.sum()) + wrong, 1), hits / max(int(true.sum()), 1)
    return precision, recall, 2 * precision * recall / max(precision + recall, 1e-300)


def _pair(a: Floats, b: Floats) -> Match:
    """One-to-one pairs of unit rows with the largest sum of |cosine|."""
    if min(len(a), len(b)) <= DENSE_ROWS:
        return _assign(np.abs(a @ b.T))
    if len(a) > len(b):
        pairs = _pair(b, a)
        order = np.argsort(pairs.second)
        return Match(pairs.second[order], pairs.first[order], pairs.value[order])
    return _assign_sparse(a, b)


def _assign_sparse(a: Floats, b: Floats) -> Match:
    """The assignment among each row's most similar candidates, found in blocks; a has no more rows than b."""
    rows, columns, values = [], [], []
    for one, other, swapped in ((a, b, False), (b, a, True)):
        for start in range(0, len(one), BLOCK):
            likeness = np.abs(one[start : start + BLOCK].astype(np.float32) @ other.astype(np.float32).T)
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
    return Match(first, second, np.minimum(np.abs((a[first] * b[second]).sum(1)), 1.0))


def _assign(likeness: Floats) -> Match:
    rows, columns = linear_sum_assignment(likeness, maximize=True)
    return Match(rows, columns, np.minimum(likeness[rows, columns], 1.0))


def _unit_rows(values: ArrayLike, name: str) -> Floats:
    rows = np.asarray(values, dtype=float)
    if rows.ndim != 2 or not np.isfinite(rows).all():
        raise InputError(f"{name} needs a matrix of finite numbers; got shape {rows.shape}.")
    norm = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.divide(rows, norm, out=np.zeros_like(rows), where=norm > 0)
