"""How many atoms a recording can pay for, by what foretells entries or repeats that were held out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import xarray as xr
from tqdm import tqdm

from neurosparse.backend import dictionary as backend
from neurosparse.backend.resampling import block_folds, group_folds
from neurosparse.errors import InputError
from neurosparse.population import as_matrix
from neurosparse.sparse_coding.splitting import blocks_of_time, in_time, named_groups


def select_dictionary(
    x: Any,
    *,
    n_atoms: Sequence[int] | None = None,
    other: Any = None,
    codes: str = "nonnegative",
    atoms: str = "signed",
    offset: bool = True,
    groups: Any = None,
    n_folds: int = 3,
    gap: int = 0,
    random_state: Any = 0,
    nan: str = "raise",
    progress: bool = False,
) -> xr.Dataset:
    """The fewest atoms, and the largest penalty, that foretell held-out samples within one standard error of the best.

    Of samples that were not learned from, each unit in turn is hidden and foretold from the others (speckled
    cross-validation); or, where `other` has the same samples measured again, the codes of one measurement foretell the
    other. Unlike the error of a reconstruction neither falls without end as atoms are added.

    Parameters
    ----------
    x : population, (sample, unit) array or tensor
        Best: averages over half of the repeats, divided by the trial-noise sd.
    n_atoms : sequence of int, optional
        Sizes to try. Default: M / 4, M / 2, M, 2 M for M units, as far as there are ten samples an atom.
    other : like `x`, optional
        The other half's averages of the same samples (`population.split_halves`).
    codes, atoms, offset
        As in `DictionaryLearning`.
    groups : coord name or (sample,) array, optional
        Samples that share a fold: near-duplicate images, trials of one block. Default: trials of one stimulus, where
        `x` has a ``stimulus`` coord; contiguous blocks of a population whose first dim is time.
    n_folds : int
    gap : int
        Samples left out between a test block of time and its training samples.
    random_state : int
    nan : {"raise", "drop"}
    progress : bool

    Returns
    -------
    Dataset
        ``error``, ``standard_error`` (of the difference from the lowest error) and ``penalty`` over ``n_atoms`` and
        ``level``; error as a share of the training mean's. attrs: ``n_atoms`` and ``penalty``, the choice,
        ``best_n_atoms``, ``criterion``, ``split``, ``n_samples``, ``n_units``.

    Raises
    ------
    InputError
        If a size does not fit the samples, or `other` is of another shape.

    Notes
    -----
    A path of falling penalties for each size and fold, each about the cost of one start of a fit.
    """
    samples = as_matrix(x, nan=nan, name="x")  # type: ignore[arg-type]
    values = samples.values
    again = None if other is None else as_matrix(other, nan="raise", name="other").values
    if again is not None and again.shape != values.shape:
        raise InputError(f"other needs the samples and units of x, {values.shape}; got {again.shape}.")
    sizes = _sizes(values.shape, n_atoms, n_folds)
    labels, folds, split = _folds(x, samples.kept, groups, n_folds, gap, random_state)
    settings = backend.Settings(codes=codes, atoms=atoms, offset=offset)  # type: ignore[arg-type]
    with tqdm(desc="sizes", disable=not progress, unit="level") as bar:
        found = backend.select_size(
            torch.from_numpy(np.array(values, order="C")),
            sizes,
            folds,
            settings,
            groups=labels,
            other=None if again is None else torch.from_numpy(np.array(again, order="C")),
            random_state=random_state,
            on_step=lambda _: bar.update(),
        )
    return xr.Dataset(
        {
            "error": (("n_atoms", "level"), found.error),
            "standard_error": (("n_atoms", "level"), found.standard_error),
            "penalty": (("n_atoms", "level"), found.penalties),
        },
        coords={"n_atoms": found.sizes},
        attrs={
            "n_atoms": found.n_atoms,
            "penalty": found.penalty,
            "best_n_atoms": found.best,
            "criterion": "hidden entries" if again is None else "the other half's repeats",
            "split": split,
            "n_samples": len(values),
            "n_units": values.shape[1],
            "direction": "lower is better",
        },
    )


def _sizes(shape: tuple[int, ...], wanted: Sequence[int] | None, n_folds: int) -> list[int]:
    n_train = int(shape[0] * (n_folds - 1) / n_folds)
    if wanted is None:
        usual = {max(1, shape[1] // 4), max(1, shape[1] // 2), shape[1], 2 * shape[1]}
        found = sorted(size for size in usual if size <= n_train // 10)
        if not found:
            raise InputError(f"{shape[0]} samples are too few to choose a size by: ten an atom and fold are needed.")
        return found
    sizes = [int(size) for size in wanted]
    if not sizes or min(sizes) < 1 or max(sizes) > n_train:
        raise InputError(f"n_atoms needs sizes between 1 and the {n_train} samples of a training fold; got {wanted}.")
    return sizes


def _folds(
    x: Any, kept: np.ndarray, groups: Any, n_folds: int, gap: int, random_state: Any
) -> tuple[np.ndarray, list[tuple[np.ndarray, np.ndarray]], str]:
    """Labels of the samples, folds that keep them together, and what to call the split."""
    if in_time(x, groups):
        n_samples = int(kept.sum())
        return blocks_of_time(n_samples, 20 * n_folds), list(block_folds(n_samples, n_folds, gap=gap)), "blocks of time"
    labels, name = named_groups(x, kept, groups)
    folds = list(group_folds(labels, n_folds, random_state=random_state))
    return labels, folds, name or f"{n_folds} folds of samples"
