"""How many atoms, at which penalty: what foretells best, and the fewest that do so nearly as well. numpy and torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch

from neurosparse.backend.devices import one_thread
from neurosparse.backend.dictionary.penalty import LEVELS, clear, descend
from neurosparse.backend.dictionary.settings import OnStep, Settings, random_state_of, reference_penalty

Tensor = torch.Tensor
Folds = Sequence[tuple[np.ndarray, np.ndarray]]


class SizePath(NamedTuple):
    """Held-out error of every size and penalty, and the choice.

    Attributes
    ----------
    n_atoms : int
        The fewest whose error, at their best penalty, is within one standard error of the lowest.
    penalty : float
        The largest within one standard error of that size's lowest.
    sizes : (size,)
    penalties : (size, level)
    error : (size, level)
        Mean over test samples, as a share of the training mean's error; NaN where a fold did not try it.
    standard_error : (size, level)
        Of the difference from the lowest error of all, over groups of test samples.
    best : int
        The size of the lowest error.
    """

    n_atoms: int
    penalty: float
    sizes: np.ndarray
    penalties: np.ndarray
    error: np.ndarray
    standard_error: np.ndarray
    best: int


@one_thread()
def select_size(
    x: Tensor,
    sizes: Sequence[int],
    folds: Folds,
    settings: Settings,
    *,
    groups: np.ndarray | None = None,
    other: Tensor | None = None,
    random_state: Any = None,
    on_step: OnStep | None = None,
) -> SizePath:
    """Learn each size along falling penalties on every training fold; take the fewest atoms that foretell enough.

    Parameters
    ----------
    x : (sample, unit) tensor
    sizes : sequence of int
    folds : sequence of (train, test) int arrays
        The test sets disjoint.
    settings : Settings
    groups : (sample,) array, optional
        Samples that are no independent witnesses; the standard error is over groups.
    other : (sample, unit) tensor, optional
        The same samples measured again, see `penalty.descend`.
    random_state : int, numpy.random.RandomState or None
    on_step : callable, optional

    Returns
    -------
    SizePath
    """
    random, ordered = random_state_of(random_state), np.array(sorted({int(size) for size in sizes}))
    settings = replace(settings, surplus=0)  # the number of atoms is the question
    labels = np.arange(len(x)) if groups is None else np.unique(groups, return_inverse=True)[1]
    quick, again = x.float(), None if other is None else other.float()
    error = np.full((len(ordered), len(LEVELS), len(x)), np.nan)
    penalties = np.zeros((len(ordered), len(LEVELS)))
    for i, n_atoms in enumerate(ordered):
        reference = reference_penalty(x, int(n_atoms), offset=settings.offset)
        penalties[i] = reference * np.array(LEVELS)
        for train, test in folds:
            rows = torch.as_tensor(test).to(x.device)
            found = descend(
                quick[torch.as_tensor(train).to(x.device)],
                quick[rows],
                int(n_atoms),
                settings,
                reference,
                random,
                other=None if again is None else again[rows],
                on_step=on_step,
            )
            error[i, :, test] = clear(found.error, found.alone).T
    tested = np.sort(np.concatenate([test for _, test in folds]))
    return _choose(ordered, penalties, error[:, :, tested], labels[tested])


def _choose(sizes: np.ndarray, penalties: np.ndarray, error: np.ndarray, labels: np.ndarray) -> SizePath:
    """One standard error, of the difference from the best, sample by sample: samples differ more than dictionaries."""
    mean = error.mean(2)  # NaN where any fold did not try the level
    best = np.unravel_index(np.nanargmin(mean), mean.shape)
    spread = np.array([[_standard_error(entry - error[best], labels) for entry in row] for row in error])
    lowest = np.nanargmin(mean, axis=1)
    within = [mean[i, lowest[i]] <= mean[best] + spread[i, lowest[i]] for i in range(len(sizes))]
    size = int(np.flatnonzero(within)[0])
    own = np.array([_standard_error(entry - error[size, lowest[size]], labels) for entry in error[size]])
    level = int(np.flatnonzero(mean[size] <= mean[size, lowest[size]] + np.nan_to_num(own))[0])
    return SizePath(
        int(sizes[size]), float(penalties[size, level]), sizes, penalties, mean, spread, int(sizes[best[0]])
    )


def _standard_error(values: np.ndarray, labels: np.ndarray) -> float:
    """Of the mean, over groups."""
    sums, counts = np.bincount(labels, values), np.bincount(labels)
    kept = counts > 0
    centred = sums[kept] - values.mean() * counts[kept]
    n = int(kept.sum())
    return float(np.sqrt(np.square(centred).sum() * n / max(n - 1, 1)) / len(values))
