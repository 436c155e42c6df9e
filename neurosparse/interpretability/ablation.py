"""What reconstruction, decoding or a network's loss loses without an atom."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from neurosparse.backend.psychophysics import decoding_losses, reconstruction_losses
from neurosparse.backend.resampling import block_folds, group_folds, permutations
from neurosparse.errors import InputError
from neurosparse.population import as_matrix

Floats = NDArray[np.float64]


def ablation_scores(
    codes: xr.DataArray,
    x: xr.DataArray,
    dictionary: xr.DataArray,
    *,
    offset: Any = None,
    target: Any = None,
    loss: Callable[[Floats], Any] | None = None,
    groups: Any = None,
    n_folds: int = 5,
    gap: int = 0,
    n_draws: int = 20,
    random_state: Any = 0,
) -> xr.Dataset:
    """Leave out each atom in turn and say what is lost.

    Parameters
    ----------
    codes : DataArray (stimulus | trial | time, atom)
        Of samples that the dictionary was not learned from, if the loss is to be held out.
    x : DataArray (same samples, unit)
        What was coded.
    dictionary : DataArray (atom, unit)
    offset : (unit,) array, optional
        Added to ``codes @ dictionary``; the mean residual by default.
    target : (sample,) or (sample, dimension) array or DataArray, optional
        What is decoded from the codes: behaviour, latents, labels as columns.
    loss : callable, optional
        From activations (sample, unit) to one loss a sample, such as a network's from the tapped layer onwards.
    groups : (sample,) array, optional
        Samples of one label share a fold of the decoding; single samples by default, blocks for times.
    n_folds, gap : int
        Folds, and samples left out between blocks of time.
    n_draws : int
        Draws of each null.
    random_state : int, numpy.random.Generator or None

    Returns
    -------
    Dataset over atom
        ``reconstruction``: R2 lost, other codes as they are; ``decoding``: held-out R2 lost with the map as it is;
        ``decoding_unique``: with the map learned anew; ``loss``: mean rise. Each with ``_null``, ``_null_low`` and
        ``_null_high`` (mean and 95 % of its null): the same length taken away along random directions; for decoding,
        codes permuted over samples. ``r_squared``, ``decoded_r_squared`` and ``whole_loss`` are those with all atoms.

    Raises
    ------
    InputError
        If atoms, units or samples do not fit.

    Notes
    -----
    An atom that others can replace loses much with the map as it is and nothing with the map learned anew.
    Cost: atoms x folds ridges for the decoding, (1 + n_draws) x atoms calls of `loss`.
    """
    rng = np.random.default_rng(random_state)
    z, values, atoms = _read(codes, x, dictionary)
    shift = (values - z @ atoms).mean(axis=0) if offset is None else np.asarray(offset, dtype=np.float64)
    if shift.shape != (values.shape[1],):
        raise InputError(f"offset needs one number for each of the {values.shape[1]} units; got shape {shift.shape}.")
    fitted, lost = reconstruction_losses(values, z, atoms, shift)
    null = np.array([_along_random(values, z, atoms, shift, rng) for _ in range(n_draws)])
    result = xr.Dataset(coords={"atom": codes["atom"].variable}).assign(_with_null("reconstruction", lost, null))
    result["r_squared"] = ((), fitted)
    if target is not None:
        result = result.assign(_decoding(codes, z, target, groups, n_folds, gap, n_draws, rng))
    if loss is not None:
        result = result.assign(_loss(values, z, atoms, loss, n_draws, rng))
    result.attrs = {"n_samples": len(values), "n_units": values.shape[1], "n_draws": n_draws}
    return result


def _read(codes: Any, x: Any, dictionary: Any) -> tuple[Floats, Floats, Floats]:
    given = {"codes": (codes, "atom"), "x": (x, "unit"), "dictionary": (dictionary, "unit")}
    for name, (part, last) in given.items():
        if not isinstance(part, xr.DataArray) or part.ndim != 2 or part.dims[-1] != last:
            got = part.dims if isinstance(part, xr.DataArray) else type(part).__name__
            raise InputError(f"{name} needs two dims, {last} the last of them; got {got}.")
    sample = codes.dims[0]
    if x.dims[0] != sample or not np.array_equal(x[sample].values, codes[sample].values):
        raise InputError(f"x and codes need the same samples in one order; got other labels of {x.dims[0]}.")
    for dim, other in (("atom", codes), ("unit", x)):
        if dim not in dictionary.dims or not np.array_equal(dictionary[dim].values, other[dim].values):
            raise InputError(f"dictionary has other labels of {dim} than {'codes' if dim == 'atom' else 'x'}.")
    z, values = as_matrix(codes, name="codes").values, as_matrix(x, name="x").values
    return z.astype(np.float64), values.astype(np.float64), dictionary.values.astype(np.float64)


def _random_directions(shape: tuple[int, ...], lengths: Floats, rng: np.random.Generator) -> Floats:
    rows = rng.standard_normal(shape)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True) * lengths[:, None]


def _along_random(x: Floats, z: Floats, atoms: Floats, offset: Floats, rng: np.random.Generator) -> Floats:
    """Loss of R2 where each atom's share is taken away along a random direction of its length."""
    residual, total = x - offset - z @ atoms, ((x - x.mean(axis=0)) ** 2).sum()
    others = _random_directions(atoms.shape, np.linalg.norm(atoms, axis=1), rng)
    more = 2 * (z * (residual @ others.T)).sum(axis=0) + (z**2).sum(axis=0) * (others**2).sum(axis=1)
    return more / total


def _decoding(
    codes: xr.DataArray, z: Floats, target: Any, groups: Any, n_folds: int, gap: int, n_draws: int, rng: Any
) -> dict[str, Any]:
    aims = np.asarray(target.values if isinstance(target, xr.DataArray) else target, dtype=np.float64)
    if len(aims) != len(z) or aims.ndim not in (1, 2) or not np.isfinite(aims).all():
        raise InputError(f"target needs finite numbers for each of the {len(z)} samples; got shape {aims.shape}.")
    aims = aims.reshape(len(z), -1)
    if codes.dims[0] == "time":
        folds = list(block_folds(len(z), n_folds, gap=gap))
    else:
        folds = list(group_folds(np.arange(len(z)) if groups is None else groups, n_folds, random_state=rng))
    fitted, silent, anew = decoding_losses(z, aims, folds)
    null = []
    for order in permutations(len(z), n_draws, random_state=rng):
        null.append(_null_of_decoding(z, aims, folds, order))
    parts = np.array(null)  # (draw, [silent, anew], atom)
    return {
        **_with_null("decoding", silent, parts[:, 0]),
        **_with_null("decoding_unique", anew, parts[:, 1]),
        "decoded_r_squared": ((), fitted),
    }


def _null_of_decoding(z: Floats, aims: Floats, folds: Any, order: NDArray[np.int64]) -> list[Floats]:
    """What an atom loses that has nothing to do with the target: all codes permuted together over samples."""
    _, silent, anew = decoding_losses(z[order], aims, folds)
    return [silent, anew]


def _loss(
    x: Floats, z: Floats, atoms: Floats, loss: Callable[[Floats], Any], n_draws: int, rng: np.random.Generator
) -> dict[str, Any]:
    def mean_loss(activations: Floats) -> float:
        each = np.asarray(loss(activations), dtype=np.float64)
        if each.shape != (len(x),):
            raise InputError(f"loss must give one number for each of the {len(x)} samples; got shape {each.shape}.")
        return float(each.mean())

    whole = mean_loss(x)
    lost = np.array([mean_loss(x - np.outer(z[:, k], atoms[k])) - whole for k in range(len(atoms))])
    null = np.empty((n_draws, len(atoms)))
    for draw in range(n_draws):
        others = _random_directions(atoms.shape, np.linalg.norm(atoms, axis=1), rng)
        null[draw] = [mean_loss(x - np.outer(z[:, k], others[k])) - whole for k in range(len(atoms))]
    return {**_with_null("loss", lost, null), "whole_loss": ((), whole)}


def _with_null(name: str, value: Floats, null: Floats) -> dict[str, Any]:
    low, high = np.quantile(null, [0.025, 0.975], axis=0)
    entries = {"": value, "_null": null.mean(axis=0), "_null_low": low, "_null_high": high}
    return {f"{name}{part}": ("atom", entry) for part, entry in entries.items()}
