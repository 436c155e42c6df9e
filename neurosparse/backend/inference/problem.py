"""The problem as every solver sees it: checked, on one device, its atoms of unit norm."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch

from neurosparse.errors import InputError

Codes = Literal["nonnegative", "signed"]
Array = np.ndarray | torch.Tensor
Tensor = torch.Tensor


@dataclass(frozen=True)
class Problem:
    """Rows and unit atoms, with what undoes the scaling.

    Attributes
    ----------
    x : (sample, unit) tensor
        0 where not observed.
    atoms : (atom, unit) tensor
        Of unit norm, or 0.
    norms : (atom,) tensor
        Of the atoms as they came; 1 where they are 0.
    penalty : (atom,) tensor
        Over the norm, so that it applies to codes times the norm.
    nonnegative : bool
    observed : (sample, unit) tensor of 0 and 1, or None
    """

    x: Tensor
    atoms: Tensor
    norms: Tensor
    penalty: Tensor
    nonnegative: bool
    observed: Tensor | None

    def rows(self, start: int, stop: int) -> Problem:
        """The problem of some rows alone."""
        if start == 0 and stop >= len(self.x):
            return self
        observed = None if self.observed is None else self.observed[start:stop]
        return Problem(self.x[start:stop], self.atoms, self.norms, self.penalty, self.nonnegative, observed)

    def residual(self, fitted: Tensor) -> Tensor:
        """``x - fitted`` where observed, else 0."""
        return self.x - fitted if self.observed is None else (self.x - fitted) * self.observed


def pose(x: Tensor, dictionary: Tensor, penalty: Any, codes: str, weights: Any = None, mask: Any = None) -> Problem:
    """The problem, having checked that its pieces fit."""
    check_shapes(x, dictionary, codes)
    observed = None if mask is None else _observed(mask, x)
    if observed is not None:
        x = torch.where(observed > 0, x, 0)
    if not _finite(x) or not _finite(dictionary):
        raise InputError("x and dictionary need finite numbers; got NaN or infinity. Mark missing entries with mask.")
    penalties = checked_penalty(penalty, x, dictionary, codes, weights)
    return scaled(x, dictionary, penalties, codes == "nonnegative", observed)


def scaled(x: Tensor, dictionary: Tensor, penalties: Tensor, nonnegative: bool, observed: Tensor | None) -> Problem:
    """The problem with atoms of unit norm; nothing is checked."""
    norms = dictionary.norm(dim=1)
    norms += norms == 0
    return Problem(x, dictionary / norms[:, None], norms, penalties / norms, nonnegative, observed)


def blank(shape: tuple[int, int], like: Tensor) -> Tensor:
    """Zeros; on the CPU numpy's, whose large arrays come in large pages, five times as fast."""
    if like.device.type != "cpu":
        return like.new_zeros(shape)
    return torch.from_numpy(np.zeros(shape, like.numpy().dtype))


def as_tensor(values: Any) -> Tensor:
    """Floating numbers as a contiguous tensor; memory is shared where it can be."""
    if isinstance(values, torch.Tensor):
        return (values if values.is_floating_point() else values.to(torch.float64)).detach()
    values = np.asarray(values)
    if values.dtype not in (np.float32, np.float64):
        values = values.astype(np.float64)
    if not values.flags.writeable:  # torch warns of memory it might write to
        values = values.copy()
    return torch.from_numpy(np.ascontiguousarray(values)).reshape(values.shape)


def checked_penalty(penalty: Any, x: Tensor, dictionary: Tensor, codes: str, weights: Any = None) -> Tensor:
    """One penalty an atom, ``penalty * weights``, having checked that the pieces fit."""
    check_shapes(x, dictionary, codes)
    n_atoms = len(dictionary)
    if weights is None and isinstance(penalty, float) and 0 < penalty < math.inf:
        return x.new_full((n_atoms,), penalty)
    found = x.new_ones(n_atoms)
    for name, values in (("penalty", penalty), ("weights", weights)):
        if values is None:
            continue
        each = as_tensor(values).to(x)
        if each.ndim > 1 or (each.ndim == 1 and len(each) != n_atoms):
            raise InputError(f"{name} needs one number, or one for each of {n_atoms} atoms; got {tuple(each.shape)}.")
        if not bool((each > 0).all()) or not bool(each.isfinite().all()):
            raise InputError(
                f"{name} must be above 0 and finite; got {float(each.min())}. Without a penalty codes are not sparse: "
                "use non-negative least squares (scipy.optimize.nnls)."
            )
        found = found * each
    return found.contiguous()


def check_shapes(x: Tensor, dictionary: Tensor, codes: str) -> None:
    """Raise unless samples and atoms have the same units, and `codes` is a name."""
    if x.ndim != 2 or dictionary.ndim != 2 or x.shape[1] != dictionary.shape[1]:
        raise InputError(
            f"x needs shape (sample, unit) and dictionary (atom, unit) with the same units; got {tuple(x.shape)} "
            f"and {tuple(dictionary.shape)}."
        )
    if codes not in ("nonnegative", "signed"):
        raise InputError(f"codes must be 'nonnegative' or 'signed'; got {codes!r}.")


def _finite(values: Tensor) -> bool:
    """Whether all are finite: a sum that is says so at once, one that is not may have overflowed."""
    return math.isfinite(float(values.sum())) or bool(values.isfinite().all())


def _observed(mask: Any, x: Tensor) -> Tensor:
    mask = torch.as_tensor(mask)
    if mask.dtype != torch.bool or mask.shape != x.shape:
        raise InputError(
            f"mask needs booleans of the shape of x, {tuple(x.shape)}, True where observed; got {mask.dtype} of shape "
            f"{tuple(mask.shape)}."
        )
    return mask.to(x)
