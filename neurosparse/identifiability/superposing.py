"""The superposition principle put to the test: f(A) + f(B) against f(A and B)."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from neurosparse.backend.resampling import bootstrap_weights, generator, p_value, percentile_interval, whole_number
from neurosparse.backend.superposition import (
    centred_by_others,
    mismatched,
    ranks,
    row_cosines,
)
from neurosparse.identifiability.combining import codes_for_gains, combination, corrected_by_repeats, n_splits_of
from neurosparse.identifiability.constituents import blank_thirds, constituent_codes, sharing_groups, terms_of
from neurosparse.identifiability.results import chance_verdict

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

N_MISMATCHED = 20


def additivity(
    a: Any,
    b: Any,
    ab: Any,
    blank: Any = None,
    *,
    constituents: tuple[Any, Any] | None = None,
    scale: str = "auto",
    n_permutations: int = 1000,
    n_bootstraps: int = 1000,
    n_splits: int = 50,
    random_state: Any = 0,
) -> xr.Dataset:
    """Is the code of A and B together the sum of the codes of A and of B?

    ``cos(t(a) + t(b), t(ab))`` for each pair, with t(.) = . (raw), and with t(.) = . - o (centred), o the blank or,
    without one, the mean code of single constituents of other pairs. A mean shared by all codes lifts the raw cosine
    of unrelated ones: read it beside its baselines.

    Parameters
    ----------
    a, b, ab : array (pair, unit), or population (stimulus, unit) or (trial, unit)
        Codes of the constituents and of both together. Arrays: row i is pair i. Populations: `stimulus` names the
        pair, and they are joined on it; trials are averaged, and with two of each give what needs repeats.
    blank : array (trial, unit) or population (trial, unit), optional
        Responses to nothing. Its trials are divided into three disjoint thirds, one for each term: a shared blank
        would make unrelated codes alike (cosine .14, .30, .63 at noise of .3, .5, 1 of the signal).
    constituents : (labels of a, labels of b), each (pair,), optional
        Where one constituent is part of several pairs. It then stays together in permutations and in the bootstrap.
    scale : {"auto", "noise", "none"}
        Divide units by the sd of their trials about the stimulus mean. "auto" does so where there are repeats. Square
        root and logarithm of counts break additivity: give counts or rates.
    n_permutations, n_bootstraps : int
        0 leaves out p or intervals.
    n_splits : int
        Random halvings of the repeats.
    random_state : int, numpy.random.Generator or None

    Returns
    -------
    xarray.Dataset
        Over ``centring`` ("raw", "centred"): ``cosine`` with ``cosine_low``, ``cosine_high``; baselines
        ``mismatched_both`` (B0), ``mismatched_one`` (B1; .5 for disjoint constituents of equal size), ``single_a``
        (.707), ``best_single`` (B2); ``p``, ``null``; ``top1`` and ``mean_rank`` of retrieval of ab by a + b among all
        pairs, with ``top1_chance``. Over pairs ``pair_cosine``. Scalars: ``gain_a``, ``gain_b`` with intervals,
        ``combination`` ("sum", "average", "other", "undecidable"); ``residual_share`` of the best gains and
        ``residual_share_of_sum``; ``offset`` (unit,), the c of ab = w_a a + w_b b + c, ``offset_share`` its squared
        size over the variance of ab. With repeats: ``corrected_cosine``, ``split_half_cosine`` (B3) and ``ceiling``,
        all of the centred codes.

    Raises
    ------
    InputError
        If pairs do not match, there are fewer than four, or values are not finite.

    Warns
    -----
    EvidenceWarning
        If the blank has fewer than three trials, so that its error is shared.

    Notes
    -----
    Null: the names of the constituents are permuted on either side, each taking its code to all its pairs.
    A cosine cannot tell a sum from an average, which is what divisive normalisation gives: the gains can. With repeats
    they are freed of the noise of a and b; without, noise draws them towards 0, which is said.
    Intervals resample pairs, or constituents where they are shared (both sides at once).

    References
    ----------
    P. Smolensky, Artificial Intelligence 46:159-216 (1990), for the principle; D. Klindt et al., arXiv:2503.01824
    (2025), figure 2, for the test. The baselines and corrections are this package's.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> a, b = rng.standard_normal((2, 50, 30))
    >>> found = additivity(a, b, a + b, n_permutations=99)
    >>> str(found["combination"].values), round(float(found["gain_a"]), 6)
    ('sum', 1.0)
    """
    whole_number(n_permutations, "n_permutations", 0)
    whole_number(n_bootstraps, "n_bootstraps", 0)
    rng = generator(random_state)
    terms = terms_of({"a": a, "b": b, "ab": ab}, scale, n_splits, int(rng.integers(2**31)))
    labels = constituent_codes(constituents, len(terms.pairs))
    group = sharing_groups(*labels)
    blanks = None if blank is None else blank_thirds(blank, terms, rng)
    centre = _centre_by(blanks, group, terms.notes)
    centred = centre(terms.parts)
    halves = [
        [centre([splits[i][half] for splits in terms.halves]) for half in range(2)] for i in range(n_splits_of(terms))
    ]
    weights = _bootstrap(labels, n_bootstraps, rng) if n_bootstraps else None
    rows = [_about(parts, labels, weights, n_permutations, rng) for parts in (terms.parts, centred)]
    result = xr.Dataset(
        {
            **{name: ("centring", np.array([row[name] for row in rows])) for name in rows[0] if name != "pair_cosine"},
            "pair_cosine": (("centring", "pair"), np.stack([row["pair_cosine"] for row in rows])),
            **combination(*codes_for_gains(terms, centred, halves, blanks), weights, terms.notes),
            **corrected_by_repeats(centred, halves),
            "note": "; ".join(terms.notes),
        },
        coords={"centring": ["raw", "centred"], "pair": terms.pairs, "unit": terms.units},
    )
    result.attrs = {
        "direction": "higher is better for cosines and retrieval",
        "centred_by": "independent blanks" if blanks is not None else "mean single code of other pairs",
        "null": "names of constituents permuted on both sides",
        "interval": "95 % percentiles, pairs (or shared constituents) resampled",
        "equivalence_class": "none: the codes as scaled",
        "n_samples": len(terms.pairs),
        "n_units": len(terms.units),
        "n_constituents_a": len(np.unique(labels[0])),
        "n_constituents_b": len(np.unique(labels[1])),
        "n_permutations": n_permutations,
        "n_bootstraps": n_bootstraps,
    }
    return result


def _about(parts: list[Array], labels: Any, weights: Any, n_permutations: int, rng: Any) -> dict[str, Any]:
    """What one centring has to say."""
    a, b, ab = parts
    cosines = row_cosines(a + b, ab)
    singles = row_cosines(a, ab), row_cosines(b, ab)
    b0, b1 = mismatched(parts, labels, N_MISMATCHED, rng)
    place = ranks(a + b, ab)
    row = {
        "cosine": float(np.nanmean(cosines)),
        "mismatched_both": b0,
        "mismatched_one": b1,
        "single_a": float(np.nanmean(singles[0])),
        "single_b": float(np.nanmean(singles[1])),
        "best_single": float(np.nanmean(np.maximum(*singles))),
        "top1": float((place == 1).mean()),
        "top1_chance": 1.0 / len(ab),
        "mean_rank": float(place.mean()),
        "pair_cosine": cosines,
        "cosine_low": np.nan,
        "cosine_high": np.nan,
        "p": np.nan,
        "null": np.nan,
    }
    if weights is not None:
        seen = np.isfinite(cosines)
        drawn = weights[:, seen] @ cosines[seen] / np.maximum(weights[:, seen].sum(axis=1), 1e-300)
        row["cosine_low"], row["cosine_high"] = percentile_interval(drawn)
    if n_permutations:
        null = np.array([_permuted(parts, labels, rng) for _ in range(n_permutations)])
        row["p"], row["null"] = float(p_value(row["cosine"], null)), float(null.mean())
    row["verdict"] = chance_verdict(row["p"])
    return row


def _permuted(parts: list[Array], labels: Any, rng: np.random.Generator) -> float:
    moved = []
    for part, of_pair in zip(parts[:2], labels, strict=True):
        _, first, name = np.unique(of_pair, return_index=True, return_inverse=True)
        # a constituent's code in its first pair stands for it wherever its name goes
        moved.append(part[first[rng.permutation(len(first))]][name])
    return float(np.nanmean(row_cosines(moved[0] + moved[1], parts[2])))


def _centre_by(blanks: list[Array] | None, group: Ints, notes: list[str]) -> Any:
    if blanks is None:
        notes.append("no blank: centred by the mean single code of other pairs, which holds their shared features too")
        return lambda parts: centred_by_others(parts, group)
    return lambda parts: [part - one for part, one in zip(parts, blanks, strict=True)]


def _bootstrap(labels: tuple[Ints, Ints], n_bootstraps: int, rng: np.random.Generator) -> Array:
    """Weights of pairs: by pair where no constituent is shared, else by constituent, both sides at once if both are."""
    shared = [one for one in labels if len(np.unique(one)) < len(one)]
    weights = np.ones((n_bootstraps, len(labels[0])))
    for one in shared or [np.arange(len(labels[0]))]:
        weights *= bootstrap_weights(one, n_bootstraps, random_state=rng)
    return weights[weights.sum(axis=1) > 0]
