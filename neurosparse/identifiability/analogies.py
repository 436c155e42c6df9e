"""Analogies: does the difference that an attribute makes in one object make it in another?"""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from neurosparse.backend.resampling import generator, p_value, percentile_interval, whole_number
from neurosparse.backend.superposition import nearest, parallelism, row_cosines
from neurosparse.errors import InputError
from neurosparse.identifiability.constituents import finite_rows
from neurosparse.identifiability.results import chance_verdict

Array = NDArray[np.float64]


def analogy(
    a1: Any,
    a2: Any,
    b1: Any,
    b2: Any,
    *,
    candidates: Any = None,
    n_permutations: int = 1000,
    n_bootstraps: int = 1000,
    random_state: Any = 0,
) -> xr.Dataset:
    """Is f(A, 1) - f(A, 2) + f(B, 2) the code of (B, 1)?

    Parameters
    ----------
    a1, a2, b1, b2 : array or population (quadruple, unit)
        Codes of objects A and B with attributes 1 and 2; row i of each is quadruple i.
    candidates : array (candidate, unit), optional
        Codes among which the answer is looked for, beside the distinct rows of the four.
    n_permutations, n_bootstraps : int
    random_state : int, numpy.random.Generator or None

    Returns
    -------
    xarray.Dataset
        ``top1``, the share of quadruples whose answer is the nearest candidate by cosine with the three inputs left
        out, and ``top1_not_excluded`` with all candidates; ``top1_of_b2`` and ``top1_of_b2_not_excluded``, the same of
        f(B, 2) alone, without any offset; chance ``top1_chance``. ``cosine`` of prediction and answer beside
        ``cosine_of_b2``. ``parallelism``, the mean cosine of f(A, 1) - f(A, 2) with f(B, 1) - f(B, 2), with interval,
        ``null``, ``p`` and ``verdict``.

    Raises
    ------
    InputError
        If shapes differ, there are fewer than two quadruples, or values are not finite.

    Notes
    -----
    Cosines are taken about the mean of the candidates. Null of the parallelism: which attribute is called 1 is
    exchanged in B, quadruple by quadruple. Leaving the inputs out makes retrieval easy: the offset-free baseline says
    how easy.

    References
    ----------
    T. Linzen, Issues in evaluating semantic spaces using word analogies, RepEval (2016), for why the inputs must not be
    excluded in silence.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> objects, attributes = rng.standard_normal((2, 40, 30)), rng.standard_normal((2, 30))
    >>> a1, a2, b1, b2 = (one + other for one in objects for other in attributes)
    >>> found = analogy(a1, a2, b1, b2, n_permutations=99)
    >>> round(float(found["top1_not_excluded"]), 3), round(float(found["parallelism"]), 6)
    (1.0, 1.0)
    """
    whole_number(n_permutations, "n_permutations", 0)
    whole_number(n_bootstraps, "n_bootstraps", 0)
    given = {"a1": a1, "a2": a2, "b1": b1, "b2": b2}
    codes = [finite_rows(one, name) for name, one in given.items()]
    shapes = {one.shape for one in codes}
    if len(shapes) > 1 or len(codes[0]) < 2:
        raise InputError(f"a1, a2, b1 and b2 need the same shape with at least 2 quadruples; got {sorted(shapes)}.")
    pool = np.vstack(codes)
    if candidates is not None:
        more = finite_rows(candidates, "candidates")
        if more.shape[1] != pool.shape[1]:
            raise InputError(f"candidates need {pool.shape[1]} units; got {more.shape[1]}.")
        pool = np.vstack([pool, more])
    distinct, place = np.unique(pool, axis=0, return_inverse=True)
    n = len(codes[0])
    own = place.ravel()[: 4 * n].reshape(4, n)
    mean = distinct.mean(axis=0)
    first, second, answer, b_two = (one - mean for one in codes)
    predicted = first - second + b_two
    inputs = np.zeros((n, len(distinct)), dtype=bool)
    for row in (0, 1, 3):
        inputs[np.arange(n), own[row]] = True
    inputs[np.arange(n), own[2]] = False  # an answer equal to an input stays a candidate
    rng = generator(random_state)
    offsets = first - second, answer - b_two
    found: dict[str, Any] = {
        "top1": _hits(predicted, distinct - mean, own[2], inputs),
        "top1_not_excluded": _hits(predicted, distinct - mean, own[2]),
        "top1_of_b2": _hits(b_two, distinct - mean, own[2], inputs),
        "top1_of_b2_not_excluded": _hits(b_two, distinct - mean, own[2]),
        "top1_chance": 1.0 / max(len(distinct) - 3, 1),
        "cosine": parallelism(predicted, answer),
        "cosine_of_b2": parallelism(b_two, answer),
        **_parallel(*offsets, n_permutations, n_bootstraps, rng),
    }
    result = xr.Dataset(found)
    result.attrs = {
        "direction": "higher is better",
        "null": "attributes exchanged in B, quadruple by quadruple",
        "interval": "95 % percentiles, quadruples resampled",
        "equivalence_class": "none: the codes as scaled",
        "n_samples": n,
        "n_units": codes[0].shape[1],
        "n_candidates": len(distinct),
        "n_permutations": n_permutations,
        "n_bootstraps": n_bootstraps,
    }
    return result


def _hits(query: Array, candidates: Array, answer: NDArray[np.int64], excluded: Any = None) -> float:
    return float((nearest(query, candidates, excluded) == answer).mean())


def _parallel(first: Array, second: Array, n_permutations: int, n_bootstraps: int, rng: Any) -> dict[str, Any]:
    cosines = row_cosines(first, second)
    cosines = cosines[np.isfinite(cosines)]
    value = float(cosines.mean()) if len(cosines) else np.nan
    low = high = null = p = np.nan
    if n_bootstraps and len(cosines) > 1:
        low, high = percentile_interval(cosines[rng.integers(0, len(cosines), (n_bootstraps, len(cosines)))].mean(1))
    if n_permutations and len(cosines):
        flipped = (rng.choice([-1.0, 1.0], (n_permutations, len(cosines))) * cosines).mean(axis=1)
        null, p = float(flipped.mean()), float(p_value(value, flipped))
    return {
        "parallelism": value,
        "parallelism_low": low,
        "parallelism_high": high,
        "null": null,
        "p": p,
        "verdict": chance_verdict(p),
    }
