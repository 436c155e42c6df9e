"""Concepts as they are given, and the folds over which they are held out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from neurosparse.backend.resampling import block_folds, group_folds
from neurosparse.errors import InputError
from neurosparse.interpretability.asking import one_a_stimulus
from neurosparse.interpretability.profiles import Profiles

Floats = NDArray[np.float64]
Concepts = dict[str, tuple[Floats, bool]]

_LEAST = 30


def read_concepts(concepts: Any, samples: Profiles, n_folds: int) -> Concepts:
    """{name: (value of each sample, whether it is a class from 0)}, checked."""
    if isinstance(concepts, xr.DataArray) and concepts.ndim == 2 and "concept" in concepts.dims:
        concepts = {str(name): concepts.sel(concept=name, drop=True) for name in concepts["concept"].values}
    if not isinstance(concepts, Mapping) or not concepts:
        raise InputError(
            "concepts needs a mapping of name to one value a stimulus, or dims (stimulus, concept) with labels; got "
            f"{type(concepts).__name__}. A single one goes in as {{'name': values}}."
        )
    n_groups = len(np.unique(samples.clusters))
    if n_groups < _LEAST:
        raise InputError(f"concept_scores needs at least {_LEAST} stimuli that are no near-duplicates; got {n_groups}.")
    return {str(name): _one(str(name), entries, samples, n_folds) for name, entries in concepts.items()}


def _one(name: str, entries: Any, samples: Profiles, n_folds: int) -> tuple[Floats, bool]:
    values = one_a_stimulus(entries, samples, f"concept {name!r}")
    if values.ndim != 1:
        raise InputError(f"concept {name!r} needs one value a stimulus; got shape {values.shape}.")
    if values.dtype.kind == "f":
        if not np.isfinite(values).all() or np.ptp(values) == 0:
            raise InputError(f"concept {name!r} is constant or has NaN. Leave it out, or those stimuli.")
        return values.astype(np.float64), False
    distinct, codes = np.unique(values, return_inverse=True)
    fewest = min(len(np.unique(samples.clusters[codes == k])) for k in range(len(distinct)))
    if len(distinct) < 2 or fewest <= n_folds:
        raise InputError(
            f"concept {name!r} needs at least two classes, each with more than n_folds={n_folds} groups of stimuli; "
            f"got {len(distinct)}, the smallest of {fewest}. Merge small classes; continuous concepts are floats."
        )
    return codes.astype(np.float64), True


def folds_of(samples: Profiles, n_folds: int, rng: np.random.Generator) -> list[tuple[Any, Any]]:
    """Training and test rows, over groups of stimuli or over blocks of time with a gap."""
    if samples.dim == "time":
        return list(block_folds(len(samples.labels), n_folds, gap=samples.gap))
    return list(group_folds(samples.clusters, n_folds, random_state=rng))
