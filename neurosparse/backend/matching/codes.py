"""Codes against true latents: one-to-one correlations, supports, and their chance. Imports numpy, scipy, `errors`.

Codes may be scipy sparse arrays throughout, and stay so: 20,000 codes of 50,000 samples are 8 GB otherwise.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import csc_array, csr_array, issparse, sparray

from neurosparse.backend.matching.correcting import chance_corrected
from neurosparse.backend.matching.pairing import Floats, Ints, Match, Rows, Side, pair_sides, unit_rows
from neurosparse.errors import InputError


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


# Samples by columns: an array or a csr_array.
Table: TypeAlias = Any


class _Columns:
    """Columns of sparse codes about their means; they are alike by |correlation|."""

    def __init__(self, values: csr_array) -> None:
        self.by_row, self.by_column, self.n = values, csc_array(values), values.shape[0]
        self.mean = np.asarray(values.sum(0)).ravel() / self.n
        squares = np.asarray(values.multiply(values).sum(0)).ravel()
        norm = np.sqrt(np.maximum(squares - self.n * self.mean**2, 0.0))
        constant = norm <= 1e-7 * np.sqrt(squares)  # of the difference no digit is left
        self.rate = np.divide(1.0, norm, out=np.zeros_like(norm), where=~constant)

    def __len__(self) -> int:
        return len(self.mean)

    def alike(self, other: _Columns, rows: slice) -> Floats:
        products = (self.by_column[:, rows].T @ other.by_row).toarray()
        products -= self.n * np.outer(self.mean[rows], other.mean)
        return np.asarray(np.abs(products * self.rate[rows, None] * other.rate))

    def paired(self, other: _Columns, first: Ints, second: Ints) -> Floats:
        products = self.by_column[:, first].multiply(other.by_column[:, second]).sum(0)
        products = np.asarray(products).ravel() - self.n * self.mean[first] * other.mean[second]
        return np.asarray(np.abs(products * self.rate[first] * other.rate[second]))


def match_codes(codes: ArrayLike | sparray, truth: ArrayLike | sparray, *, min_events: int = 20) -> CodesMatch:
    """|correlation| over samples of true latents with the codes matched to them one to one.

    Parameters
    ----------
    codes : (sample, atom) array or scipy sparse array
    truth : (sample, latent) array or scipy sparse array
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
    pairs = pair_sides(_columns(z, "codes"), _columns(s[:, scored], "truth"))
    return _codes_match(pairs, scored, s.shape[1], pairs.value)


def match_codes_by_halves(
    codes: ArrayLike | sparray, truth: ArrayLike | sparray, *, min_events: int = 20
) -> CodesMatch:
    """`match_codes` with the matching chosen on every other sample and scored on the rest.

    A matching that is chosen where it is scored flatters: with few samples and many atoms even noise finds a partner.

    Parameters
    ----------
    codes, truth, min_events
        As in `match_codes`; `min_events` is asked of each half.
    """
    z, s = _same_samples(codes, truth)
    scored = _scored_by_halves(s, min_events)
    pairs = pair_sides(_columns(z[::2], "codes"), _columns(s[::2][:, scored], "truth"))
    found, true = _columns(z[1::2], "codes"), _columns(s[1::2][:, scored], "truth")
    return _codes_match(pairs, scored, s.shape[1], found.paired(true, pairs.first, pairs.second))


def match_support(
    codes: ArrayLike | sparray, truth: ArrayLike | sparray, *, min_events: int = 20, random_state: int | None = 0
) -> Support:
    """Precision, recall and F1 of the active codes, matched to the true latents one to one by |correlation|.

    Matched on every other sample and scored on the rest, as in `match_codes_by_halves`.

    Parameters
    ----------
    codes, truth, min_events
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
    used, true = (csr_array(half != 0) for half in (z[1::2], s[1::2]))
    extra = np.setdiff1d(np.arange(z.shape[1]), everywhere[everywhere >= 0])
    extra = np.setdiff1d(extra, matched.code[scored])
    own = matched.code[scored]
    found, true = used[:, own[own >= 0]], true[:, scored[own >= 0]]
    sizes = {"n_found": int(found.sum()) + int(used[:, extra].sum()), "n_true": int((s[1::2] != 0)[:, scored].sum())}
    precision, recall, f1 = _precision(found, true, **sizes)
    order = np.random.RandomState(random_state).permutation(found.shape[0])
    chance = _precision(found[order], true, **sizes)[2]
    return Support(precision, recall, f1, chance, float(chance_corrected(f1, chance)), len(scored) / s.shape[1])


def chance_of_codes(
    codes: ArrayLike | sparray,
    truth: ArrayLike | sparray,
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
    orders = (random.permutation(z.shape[0]) for _ in range(n_draws))
    return float(np.mean([scored(z[order], s, min_events=min_events).mean for order in orders]))


def _same_samples(codes: ArrayLike | sparray, truth: ArrayLike | sparray) -> tuple[Table, Table]:
    if issparse(codes) or issparse(truth):
        # Copied whole: the caller's indices would be sorted in place otherwise, and his values not.
        z, s = (csr_array(one, dtype=float, copy=True) for one in (codes, truth))
    else:
        z, s = np.asarray(codes, dtype=float), np.asarray(truth, dtype=float)
    if z.ndim != 2 or s.ndim != 2 or z.shape[0] != s.shape[0]:
        raise InputError(f"codes and truth need shape (sample, n) with the same samples; got {z.shape} and {s.shape}.")
    return z, s


def _scored(truth: Table, min_events: int) -> Ints:
    """Latents active often enough to have a correlation."""
    scored = np.flatnonzero(np.asarray((truth != 0).sum(0)).ravel() >= min_events)
    if not len(scored):
        raise InputError(
            f"no latent is active in {min_events} of {truth.shape[0]} samples. Give more samples or a lower min_events."
        )
    return scored


def _scored_by_halves(truth: Table, min_events: int) -> Ints:
    """Latents active often enough in either half."""
    scored = np.intersect1d(_scored(truth[::2], min_events), _scored(truth[1::2], min_events))
    if not len(scored):
        raise InputError(f"no latent is active in {min_events} samples of both halves. Give more samples.")
    return scored


def _columns(values: Table, name: str) -> Side:
    """Columns about their means: dense ones as rows of unit norm, whose products are correlations."""
    if not issparse(values):
        return Rows(unit_rows(values.T - values.T.mean(1, keepdims=True), name))
    if not np.isfinite(values.data).all():
        raise InputError(f"{name} needs a matrix of finite numbers; got shape {values.shape}.")
    return _Columns(values)


def _codes_match(pairs: Match, scored: Ints, n_latents: int, value: Floats) -> CodesMatch:
    every, code = np.full(n_latents, np.nan), np.full(n_latents, -1)
    every[scored] = 0.0
    every[scored[pairs.second]], code[scored[pairs.second]] = np.minimum(value, 1.0), pairs.first
    return CodesMatch(every, float(every[scored].mean()), len(scored) / n_latents, code)


def _precision(found: csr_array, true: csr_array, *, n_found: int, n_true: int) -> tuple[float, float, float]:
    hits = int(found.multiply(true).sum())
    precision, recall = hits / max(n_found, 1), hits / max(n_true, 1)
    return precision, recall, 2 * precision * recall / max(precision + recall, 1e-300)
