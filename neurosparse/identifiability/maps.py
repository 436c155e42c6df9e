"""One direction's map, fitted and scored on the folds of a split, with what a reader must know of it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, cast

import numpy as np

from neurosparse.backend.linear import LowRank, cross_validated_low_rank, cross_validated_ridge
from neurosparse.identifiability.pairing import Pair, Side
from neurosparse.identifiability.results import HeldOut
from neurosparse.identifiability.splits import Split


def held_out_map(
    both: Pair,
    split: Split,
    direction: str,
    estimator: str,
    penalties: Sequence[float] | None,
    max_targets: int | None,
    seed: int,
) -> HeldOut:
    source, target = (both.x, both.y) if direction == "x->y" else (both.y, both.x)
    chosen = _chosen_targets(target, max_targets, seed)
    observed = target.values[:, chosen]
    # ridge chooses for each target; the others for all of them
    low_rank: Any = partial(cross_validated_low_rank, method=cast(LowRank, estimator))
    fit: Any = cross_validated_ridge if estimator == "ridge" else low_rank
    found = fit(
        source.values,
        observed,
        split.folds,
        split.inner,
        penalties=penalties,
        nuisance=split.nuisance,
        rearrangements=split.orders,
    )
    return HeldOut(
        direction=direction,
        units=target.units[chosen],
        unit_index=chosen,
        observed=observed,
        mapped=found.mapped,
        baseline=found.baseline,
        inner_r=found.inner_r,
        penalty=found.penalty,
        null_r=found.null_r,
        ceiling=target.ceiling[chosen],
        n_targets_available=target.values.shape[1],
        n_predictors=source.values.shape[1],
        notes=_notes(source, target, split, len(chosen)),
        rank=getattr(found, "rank", None),
    )


def _chosen_targets(target: Side, max_targets: int | None, seed: int) -> np.ndarray:
    n = target.values.shape[1]
    if max_targets is None or n <= max_targets:
        return np.arange(n)
    return np.sort(np.random.default_rng(seed).choice(n, size=max_targets, replace=False))


def _notes(source: Side, target: Side, split: Split, n_chosen: int) -> tuple[str, ...]:
    notes = []
    if split.undecidable:
        notes.append(f"p undecidable: {split.undecidable}")
    if target.no_ceiling:
        notes.append(f"no ceiling on the predicted side ({target.no_ceiling})")
        if not source.no_ceiling:
            notes.append("noise of the predictors lowers r by an unknown amount: not 1 but unknown is what to reach")
    elif not source.no_ceiling:
        notes.append("the predictors are noisy too: the ceiling is for a noise-free predictor")
    if n_chosen < target.values.shape[1]:
        notes.append(f"{n_chosen} of {target.values.shape[1]} targets drawn at random")
    return tuple(notes)
