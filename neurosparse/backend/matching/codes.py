"""Codes against true latents: one-to-one correlations, supports, and their chance. Imports numpy and `errors`."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurosparse.backend.matching.correcting import chance_corrected
from neurosparse.backend.matching.pairing import Floats, Ints, Match, pair_rows, unit_rows
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
    pairs = pair_rows(_columns(z, "codes"), _columns(s[:, scored], "truth"))
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
    pairs = pair_rows(_columns(z[::2], "codes"), _columns(s[::2, scored], "truth"))
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
    return unit_rows(values.T - values.T.mean(1, keepdims=True), name)


def _codes_match(pairs: Match, scored: Ints, n_latents: int, value: Floats) -> CodesMatch:
    every, code = np.full(n_latents, np.nan), np.full(n_latents, -1)
    every[scored] = 0.0
    every[scored[pairs.second]], code[scored[pairs.second]] = np.minimum(value, 1.0), pairs.first
    return CodesMatch(every, float(every[scored].mean()), len(scored) / n_latents, code)


def _precision(found: NDArray[np.bool_], true: NDArray[np.bool_], wrong: int) -> tuple[float, float, float]:
    hits = int((found & true).sum())
    precision, recall = hits / max(int(found.sum()) + wrong, 1), hits / max(int(true.sum()), 1)
    return precision, recall, 2 * precision * recall / max(precision + recall, 1e-300)
