"""Train and test indices: whole groups, and blocks of time."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurosparse.backend.resampling.checks import generator, label_codes, whole_number
from neurosparse.errors import InputError

Folds = list[tuple[NDArray[np.int64], NDArray[np.int64]]]


def group_folds(groups: ArrayLike, n_folds: int = 5, *, random_state: Any = 0) -> Folds:
    """Folds of whole groups, shuffled, with as equal a number of rows as the groups allow.

    Groups are dealt out largest first, each to the smallest fold so far; ties are broken by the shuffle.

    Parameters
    ----------
    groups : (n,) array of labels
        Rows with one label stay together: repeats of a stimulus, near-duplicate images, trials of a block.
    n_folds : int
        At least 2 and at most the number of groups.
    random_state : int, numpy.random.Generator or None

    Returns
    -------
    list of (train, test)
        Sorted row indices; the test sets are disjoint and together hold every row.

    Raises
    ------
    InputError
        If there are fewer groups than folds, or a label is missing.

    Notes
    -----
    O(n log n). Unlike scikit-learn's ``GroupKFold`` the folds depend on `random_state`.
    """
    n_folds = whole_number(n_folds, "n_folds", 2)
    distinct, codes, counts = label_codes(groups, "groups")
    if len(distinct) < n_folds:
        raise InputError(
            f"{n_folds} folds need at least {n_folds} groups; got {len(distinct)} group(s) over {len(codes)} rows. "
            "Ask for fewer folds or give finer groups."
        )
    shuffled = generator(random_state).permutation(len(distinct))
    order = shuffled[np.argsort(-counts[shuffled], kind="stable")]
    fold_of_group = np.empty(len(distinct), dtype=np.int64)
    sizes = np.zeros(n_folds, dtype=np.int64)
    for group in order:
        smallest = int(sizes.argmin())
        fold_of_group[group] = smallest
        sizes[smallest] += counts[group]
    fold = fold_of_group[codes]
    return [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(n_folds)]


def block_folds(n: int, n_folds: int = 5, *, gap: int = 0) -> Folds:
    """Folds whose test sets are contiguous blocks, with `gap` samples left out of training on each side.

    Parameters
    ----------
    n : int
        Number of samples, in the order of time.
    n_folds : int
        At least 2, at most `n`.
    gap : int
        Samples between test block and training set, so that slow activity does not leak; 0 or more.

    Returns
    -------
    list of (train, test)
        Sorted indices into ``range(n)``.

    Raises
    ------
    InputError
        If there are fewer samples than folds, or a gap leaves a fold without training samples.
    """
    n_folds, gap = whole_number(n_folds, "n_folds", 2), whole_number(gap, "gap", 0)
    if n < n_folds:
        raise InputError(f"{n_folds} folds need at least {n_folds} samples; got {n}. Ask for fewer folds.")
    folds, index = [], np.arange(n)
    for test in np.array_split(index, n_folds):
        train = index[(index < test[0] - gap) | (index > test[-1] + gap)]
        if train.size == 0:
            raise InputError(
                f"a gap of {gap} samples leaves nothing to train on beside the test block {test[0]}..{test[-1]} of "
                f"{n} samples. Give a smaller gap or more samples."
            )
        folds.append((train, test))
    return folds
