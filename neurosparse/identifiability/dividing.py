"""Which split the samples of a pair ask for: by whole groups, by blocks of time, or by sessions."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray

from neurosparse.errors import EvidenceWarning, InputError
from neurosparse.identifiability.pairing import Pair
from neurosparse.identifiability.sessions import split_sessions
from neurosparse.identifiability.splits import Folds, Split, split_groups, split_time


def make_split(pair: Pair, *, n_folds: int, n_permutations: int, seeds: NDArray[np.int64]) -> Split:
    """The split that the samples of `pair` ask for: by whole groups, by blocks of time, or by sessions of it."""
    in_time = next(iter(pair.coords)) == "time"
    if pair.groups is not None and not in_time:
        if not pair.given:
            _warn_of_copies(pair)
        split = split_groups(pair.groups, n_folds=n_folds, n_permutations=n_permutations, seeds=seeds)
    elif pair.groups is not None:
        split = split_sessions(
            pair.x.values,
            pair.y.values,
            pair.coords["time"],
            pair.groups,
            n_folds=n_folds,
            n_permutations=n_permutations,
            seeds=seeds,
        )
    else:
        split = split_time(
            pair.x.values,
            pair.y.values,
            pair.coords["time"],
            n_folds=n_folds,
            n_permutations=n_permutations,
            seed=int(seeds[2]),
        )
    _check_sizes(split.folds)
    if split.undecidable and n_permutations:
        warnings.warn(f"no p-value: {split.undecidable}", EvidenceWarning, stacklevel=3)
    return split


def _check_sizes(folds: Folds) -> None:
    smallest = min(len(test) for _, test in folds)
    if smallest < 3:
        raise InputError(
            f"a correlation within each fold needs at least 3 test samples; the smallest of {len(folds)} folds has "
            f"{smallest}. Ask for fewer folds or give more samples."
        )
    if smallest < 10:
        warnings.warn(
            f"the smallest test fold has {smallest} samples: r within it is very noisy. Ask for fewer folds.",
            EvidenceWarning,
            stacklevel=4,
        )


def _warn_of_copies(pair: Pair) -> None:
    for name, side in (("x", pair.x), ("y", pair.y)):
        values = np.ascontiguousarray(side.values)
        if (values == np.round(values)).all():
            continue  # counts coincide by chance
        n_copies = len(values) - len({row.tobytes() for row in values})
        if n_copies:
            warnings.warn(
                f"{n_copies} of {len(values)} rows of {name} are exact copies of others; on both sides of a split they "
                "inflate the score. Give groups= with one label for all copies.",
                EvidenceWarning,
                stacklevel=4,
            )
