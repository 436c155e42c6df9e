"""What a dictionary is worth beside a Gaussian's."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr
from tqdm import tqdm

from neurosparse.backend import surrogate
from neurosparse.backend.resampling import block_folds, group_folds
from neurosparse.errors import InputError
from neurosparse.population import as_matrix
from neurosparse.sparse_coding.splitting import in_time, named_groups

TOLD, NOT_TOLD = "told from Gaussian", "not told from Gaussian"


def surrogate_test(
    x: Any,
    *,
    n_atoms: int,
    penalty: float | str = "auto",
    codes: str = "nonnegative",
    atoms: str = "signed",
    offset: bool = True,
    groups: Any = None,
    n_surrogates: int = 19,
    n_splits: int = 2,
    random_state: Any = 0,
    nan: str = "raise",
    progress: bool = False,
) -> xr.Dataset:
    """Would a Gaussian of equal mean and covariance give as good a dictionary?

    Two statistics, of the data and of each surrogate: *stability*, the mean matched |cos| of two dictionaries learned
    from disjoint halves with their own starts; and *gain*, by how much a dictionary lowers the objective on the half it
    did not see, against covariance-matched random dictionaries at the same penalty.

    Parameters
    ----------
    x : population, (sample, unit) array or tensor
        Best: repeat averages divided by the trial-noise sd.
    n_atoms : int
    penalty : float or "auto"
        ``"auto"``: .4 of the penalty that leaves a typical sample without active atoms, were the atoms random: sparse
        codes of any data, a Gaussian's too. The same number serves the data and every surrogate.
    codes, atoms, offset
        As in `DictionaryLearning`.
    groups : coord name or (sample,) array, optional
        Samples that stay in one half, such as near-duplicate images. Default: trials of one stimulus, where `x` has a
        ``stimulus`` coord; contiguous halves of a population whose first dim is time.
    n_surrogates : int
        Gaussian draws, at least 5.
    n_splits : int
        Random halvings that both statistics are averaged over; one for a population whose first dim is time.
    random_state : int, numpy.random.RandomState or None
    nan : {"raise", "drop"}
    progress : bool
        Whether to show a bar.

    Returns
    -------
    Dataset
        ``stability``, ``gain`` and ``n_active`` (atoms a sample) of the data; ``surrogate_stability``,
        ``surrogate_gain`` and ``surrogate_n_active`` over ``surrogate``; ``p_stability`` and ``p_gain`` (one-sided t
        prediction interval over the surrogates); ``excess``, the stability above the surrogates' mean as a share of
        what is left up to 1; ``chance`` over ``control``: mean matched |cos| of isotropic and covariance-matched
        random dictionaries and of shuffled codes; ``told``. attrs: ``verdict``, ``level``, ``margin``, ``penalty``,
        ``n_samples``, ``n_units``, ``n_atoms``.

    Raises
    ------
    InputError
        If there are fewer than 20 samples, fewer than 5 surrogates, more atoms than samples in half the data, or the
        groups do not fit.

    Notes
    -----
    "told from Gaussian" asks for three things: p below .01 for stability **and** for gain, and an excess of at least
    .1. The surrogates have exactly the sample's mean and covariance, so were `x` Gaussian all would be exchangeable and
    the verdict is false in less than 1 % of draws. It does not say that the features mean anything: skewed noise of
    single units is not Gaussian either. Cost: 2 n_splits (n_surrogates + 1) fits of
    half the samples.
    """
    samples = as_matrix(x, nan=nan, name="x")  # type: ignore[arg-type]
    values = samples.values
    _check_sizes(values.shape, n_atoms, n_surrogates)
    splits = _splits(x, samples.kept, groups, n_splits, random_state)
    smaller = min(len(half) for halves in splits for half in halves)
    if n_atoms > smaller:
        raise InputError(
            f"n_atoms = {n_atoms} exceeds the {smaller} samples in half of x. Use at most {max(smaller // 30, 1)} "
            "atoms (30 samples an atom), or more samples."
        )
    with tqdm(total=n_surrogates + 1, desc="surrogates", disable=not progress) as bar:
        found = surrogate.surrogate_test(
            values,
            n_atoms,
            splits,
            penalty=None if penalty == "auto" else float(penalty),
            settings=replace(surrogate.SETTINGS, codes=codes, atoms=atoms, offset=offset),  # type: ignore[arg-type]
            n_surrogates=n_surrogates,
            random_state=random_state,
            on_step=lambda _: bar.update(),
        )
    return _dataset(found, values.shape, n_atoms)


def _check_sizes(shape: tuple[int, ...], n_atoms: int, n_surrogates: int) -> None:
    if n_atoms < 1:
        raise InputError(f"n_atoms must be at least 1; got {n_atoms}.")
    if shape[0] < 20:
        raise InputError(f"surrogate_test learns from halves and needs at least 20 samples; x has {shape[0]}.")
    if n_surrogates < 5:
        raise InputError(f"n_surrogates needs at least 5 draws to know their spread; got {n_surrogates}.")


def _splits(x: Any, kept: np.ndarray, groups: Any, n_splits: int, random_state: Any) -> surrogate.Splits:
    """Rows of the two halves of each split: whole groups, whole entries of the first dim, blocks of time."""
    if in_time(x, groups):
        return block_folds(int(kept.sum()), 2)[:1]
    labels, _ = named_groups(x, kept, groups)
    random = (
        np.random.RandomState(random_state) if not isinstance(random_state, np.random.RandomState) else random_state
    )
    return [group_folds(labels, 2, random_state=random.randint(2**31))[0] for _ in range(n_splits)]


def _dataset(found: surrogate.SurrogateTest, shape: tuple[int, ...], n_atoms: int) -> xr.Dataset:
    return xr.Dataset(
        {
            "stability": found.observed.stability,
            "gain": found.observed.gain,
            "n_active": found.observed.n_active,
            "surrogate_stability": ("surrogate", found.stability),
            "surrogate_gain": ("surrogate", found.gain),
            "surrogate_n_active": ("surrogate", found.n_active),
            "p_stability": found.p_stability,
            "p_gain": found.p_gain,
            "excess": found.excess,
            "chance": ("control", list(found.chance.values())),
            "told": found.told,
        },
        coords={"control": list(found.chance)},
        attrs={
            "verdict": TOLD if found.told else NOT_TOLD,
            "level": surrogate.LEVEL,
            "margin": surrogate.MARGIN,
            "penalty": found.penalty,
            "n_samples": shape[0],
            "n_units": shape[1],
            "n_atoms": n_atoms,
            "direction": "higher is better",
            "split": "disjoint halves of the samples",
        },
    )
