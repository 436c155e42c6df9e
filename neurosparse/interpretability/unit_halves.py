"""Atoms judged without an embedding: by units that they were not learned from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from neurosparse.errors import InputError
from neurosparse.interpretability.results import summary
from neurosparse.interpretability.scores import interpretability_scores


def unit_half_scores(
    x: xr.DataArray,
    learn: Callable[[xr.DataArray], xr.DataArray],
    *,
    n_splits: int = 5,
    random_state: Any = 0,
    **asked: Any,
) -> xr.Dataset:
    """Score atoms without an embedding: a dictionary of one half of the units, judged by the other half.

    Every atom weighs all units it was learned from, so that "other units" must be kept from it before it is learned.

    Parameters
    ----------
    x : DataArray (trial, unit) or (stimulus, unit)
        With trials, the similarity comes from repeats that do not rank.
    learn : callable
        Takes half of the units of `x`, gives codes of the same samples with ``atom`` last.
    n_splits : int
        Random halvings of the units; each half learns once and judges once.
    random_state : int, numpy.random.Generator or None
    **asked
        As for `interpretability_scores`, such as ``scores`` and ``groups``.

    Returns
    -------
    Dataset
        Over ``half`` (two a split) the medians over atoms of each score, as `summary` names them, and ``_mean`` of each
        over halves. Halves of one split share stimuli, and splits share units: their spread is no interval.

    Raises
    ------
    InputError
        If there are fewer than 8 units, or the codes have other samples.
    """
    if x.dims[-1:] != ("unit",) or x.sizes["unit"] < 8:
        raise InputError(
            f"unit halves need a population of at least 8 units; got dims {tuple(map(str, x.dims))} with "
            f"{x.sizes.get('unit', 0)} units. Pass stimulus_similarity= to interpretability_scores instead."
        )
    rng, rows = np.random.default_rng(random_state), []
    for _ in range(n_splits):
        for mine, other in _halves_of(rng.permutation(x.sizes["unit"])):
            codes = learn(x.isel(unit=mine))
            if not isinstance(codes, xr.DataArray) or codes.dims != (x.dims[0], "atom") or len(codes) != len(x):
                raise InputError(
                    f"learn must give codes ({x.dims[0]}, atom) of the {len(x)} samples it was given; got "
                    f"{codes.dims if isinstance(codes, xr.DataArray) else type(codes).__name__}."
                )
            seed = int(rng.integers(2**31))
            scored = interpretability_scores(codes, stimulus_similarity=x.isel(unit=other), random_state=seed, **asked)
            rows.append(summary(scored))
    result = xr.Dataset({name: ("half", [row[name] for row in rows]) for name in rows[0]})
    for name in rows[0]:
        result[f"{name}_mean"] = result[name].mean()
    result.attrs = {"n_splits": n_splits, "similarity": "cosine of the units that the dictionary did not see"}
    return result


def _halves_of(order: NDArray[np.int64]) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    first, second = (np.sort(part) for part in np.array_split(order, 2))
    return [(first, second), (second, first)]
