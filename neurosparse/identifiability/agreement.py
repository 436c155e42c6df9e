"""Do runs, sessions, animals or seeds agree? Every pair of populations, held out, in one labelled matrix."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from inspect import signature
from itertools import combinations
from typing import Any

import numpy as np
import xarray as xr

from neurosparse.errors import InputError
from neurosparse.identifiability.scores import linear_identifiability


def consistency(
    populations: Mapping[str, Any],
    *,
    groups: Any = None,
    n_folds: int = 5,
    n_permutations: int = 200,
    n_bootstraps: int = 1000,
    random_state: Any = 0,
    on_step: Callable[[str], None] | None = None,
    **options: Any,
) -> xr.Dataset:
    """Held-out linear maps between every two populations of the same samples, in both directions.

    Parameters
    ----------
    populations : mapping of name to population or array
        Runs, seeds, sessions or animals, each as in `linear_identifiability`. Populations are joined pair by pair on
        their ids, which must be the same; arrays need equal rows.
    groups, n_folds, n_permutations, n_bootstraps
        As in `linear_identifiability`. All pairs get the same folds where their samples are the same.
    random_state : int or None
        An integer, so that every pair draws the same folds.
    on_step : callable, optional
        Called with the names of each pair before it is computed.
    **options
        Further options of `linear_identifiability`, such as ``nonlinear=True``.

    Returns
    -------
    xarray.Dataset over (source, target)
        Entry (i, j) is how well i predicts j; the diagonal is NaN. ``median_r`` and ``median_R2`` with ``_low`` and
        ``_high``; ``null_r`` and ``p``; ``ceiling_r``; ``linear_share``, ``weak_mcc``, ``strong_mcc``; ``n_samples``;
        ``verdict``. Over source: ``mean_r``, its mean as predictor. Scalars: ``consistency``, the mean R2 of all
        ordered pairs, and ``worst_pair``.

    Raises
    ------
    InputError
        If there are fewer than two populations, an option is unknown, or a pair cannot be mapped.

    Notes
    -----
    Intervals resample stimuli and hold the populations fixed: they say nothing of other animals or seeds, for which the
    entries themselves are the sample, and pairs that share a population are not independent. Unlike the consistency
    of CEBRA, which scores maps on the samples they were fitted on, everything here is held out.

    References
    ----------
    S. Schneider, J. H. Lee, M. W. Mathis, Nature 617:360-368 (2023), for the matrix of pairs.

    Examples
    --------
    >>> import numpy as np
    >>> z = np.random.default_rng(0).standard_normal((150, 3))
    >>> runs = {f"seed {i}": z @ np.random.default_rng(i + 1).standard_normal((3, 3)) for i in range(3)}
    >>> round(float(consistency(runs, n_permutations=0, n_bootstraps=0)["consistency"]), 3)
    1.0
    """
    if not isinstance(populations, Mapping):
        raise InputError(f"consistency needs a mapping of names to populations; got {type(populations).__name__}.")
    names = list(populations)
    if len(names) < 2:
        raise InputError(f"consistency needs at least two populations; got {names}.")
    if "directions" in options:
        raise InputError("consistency fits both directions of every pair; leave directions= out.")
    if not (random_state is None or isinstance(random_state, (int, np.integer))):
        raise InputError(f"consistency needs an integer as random_state, for equal folds; got {random_state!r}.")
    _check_options(options)
    if on_step is not None and not callable(on_step):
        raise InputError(f"on_step must be a function of one text; got {on_step!r}.")
    entries: dict[str, np.ndarray] = {}
    for i, j in combinations(range(len(names)), 2):
        if on_step is not None:
            on_step(f"{names[i]} and {names[j]}")
        try:
            found = linear_identifiability(
                populations[names[i]],
                populations[names[j]],
                groups=groups,
                n_folds=n_folds,
                n_permutations=n_permutations,
                n_bootstraps=n_bootstraps,
                random_state=random_state,
                **options,
            )
        except InputError as error:
            raise InputError(f"{names[i]} as x, {names[j]} as y: {error}") from error
        for (source, target), direction in zip(((i, j), (j, i)), found["direction"].values, strict=True):
            part = found.sel(direction=direction)
            for name, kept in _KEPT.items():
                if name in part:
                    _matrix(entries, kept, len(names), part[name])[source, target] = part[name].item()
            _matrix(entries, "n_samples", len(names), np.array(0.0))[source, target] = found.attrs["n_samples"]
    result = xr.Dataset(
        {
            name: (("source", "target"), values.astype(np.str_) if values.dtype == object else values)
            for name, values in entries.items()
        },
        coords={"source": names, "target": names},
    )
    r2 = entries["median_R2"]
    worst = np.unravel_index(int(np.nanargmin(r2)), r2.shape)
    result = result.assign(
        mean_r=("source", np.nanmean(entries["median_r"], axis=1)),
        consistency=float(np.nanmean(r2)),
        worst_pair=f"{names[worst[0]]} -> {names[worst[1]]}",
    )
    result.attrs = {
        "direction": "higher is better",
        "equivalence_class": str(found.attrs["equivalence_class"]),
        "split": str(found.attrs["split"]),
        "null": str(found.attrs["null"]),
        "interval": "95 %, groups of samples resampled, maps and populations held fixed",
        "n_populations": len(names),
        "n_permutations": n_permutations,
        "n_bootstraps": n_bootstraps,
    }
    return result


_KEPT = {
    "median_r": "median_r",
    "median_r_low": "median_r_low",
    "median_r_high": "median_r_high",
    "median_R2": "median_R2",
    "median_R2_low": "median_R2_low",
    "median_R2_high": "median_R2_high",
    "median_null_r": "null_r",
    "median_ceiling_r": "ceiling_r",
    "pooled_p": "p",
    "linear_share": "linear_share",
    "weak_mcc": "weak_mcc",
    "strong_mcc": "strong_mcc",
    "verdict": "verdict",
    "nonlinear_gap": "nonlinear_gap",
    "linearity": "linearity",
}


def _check_options(options: Mapping[str, Any]) -> None:
    known = [name for name in signature(linear_identifiability).parameters if name not in ("x", "y")]
    for name in options:
        if name not in known:
            meant = get_close_matches(name, known, 1)
            mend = f"Did you mean {meant[0]!r}?" if meant else f"It takes those of linear_identifiability: {known}."
            raise InputError(f"consistency has no option {name!r}. {mend}")


def _matrix(entries: dict[str, np.ndarray], name: str, n: int, like: Any) -> np.ndarray:
    """The matrix of this name, made on first use: words in one of words, numbers in one of NaN."""
    if name not in entries:
        words = np.asarray(like).dtype.kind in "UO"
        entries[name] = np.full((n, n), "" if words else np.nan, dtype=object if words else float)
    return entries[name]
