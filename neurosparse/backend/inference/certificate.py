"""What codes are worth, computed from the codes alone: objective, duality gap, violation of optimality."""

from __future__ import annotations

from typing import Any

import torch

from neurosparse.backend.inference.problem import Array, Problem, Tensor, as_tensor, pose


def certificate_of(
    x: Array,
    dictionary: Array,
    codes: Array,
    penalty: float | Array,
    *,
    signed: bool = False,
    weights: Array | None = None,
    mask: Array | None = None,
) -> tuple[Any, Any, Any]:
    """Objective, duality gap and violation of the optimality conditions of each sample, from the codes alone.

    Parameters
    ----------
    x, dictionary, codes, penalty, weights, mask
        As in `encode`; the codes may come from anywhere.
    signed : bool
        Whether codes may be negative.

    Returns
    -------
    three (sample,) arrays or tensors
        What `objective`, `duality_gap` and `kkt_violation` give.
    """
    rows = as_tensor(x)
    problem = pose(rows, as_tensor(dictionary).to(rows), penalty, "signed" if signed else "nonnegative", weights, mask)
    z = as_tensor(codes).to(rows) * problem.norms
    residual = problem.residual(z @ problem.atoms)
    found = certify(problem, z, residual, residual @ problem.atoms.T)
    return found if isinstance(x, torch.Tensor) else tuple(each.numpy() for each in found)  # type: ignore[return-value]


def duality_gap(
    x: Array, dictionary: Array, codes: Array, penalty: float | Array, *, signed: bool = False, **options: Any
) -> Any:
    """How far the objective of `codes` can be from its minimum, over half the squared norm, for each sample.

    ``gap = P(z) - D(theta)`` at ``theta = s r``, r the residual and s the largest scale of at most 1
    at which no atom's correlation with theta exceeds its penalty. Parameters as for `certificate_of`.

    Returns
    -------
    (sample,) array or tensor
        0 for a sample of zeros with empty codes.
    """
    return certificate_of(x, dictionary, codes, penalty, signed=signed, **options)[1]


def kkt_violation(
    x: Array, dictionary: Array, codes: Array, penalty: float | Array, *, signed: bool = False, **options: Any
) -> Any:
    """Largest violation of the optimality conditions, as a share of the atom's penalty, for each sample.

    ``|d_j . r - penalty_j sign z_j| / penalty_j`` of an active code, ``max(0, |d_j . r| / penalty_j - 1)`` of another
    (without the modulus for non-negative codes). Parameters and returns as for `duality_gap`.
    """
    return certificate_of(x, dictionary, codes, penalty, signed=signed, **options)[2]


def objective(
    x: Array,
    dictionary: Array,
    codes: Array,
    penalty: float | Array,
    *,
    weights: Array | None = None,
    mask: Array | None = None,
) -> Any:
    """``1/2 ||x - z D||^2 + sum_j penalty_j weights_j |z_j|`` of each sample over its observed units, (sample,)."""
    rows, atoms = as_tensor(x), as_tensor(dictionary)
    z = as_tensor(codes).to(rows)
    residual = rows - z @ atoms
    if mask is not None:
        residual = torch.where(torch.as_tensor(mask).to(rows.device), residual, 0)
    each = as_tensor(penalty).to(rows) * (1.0 if weights is None else as_tensor(weights).to(rows))
    value = 0.5 * residual.square().sum(1) + (each * z.abs()).sum(1)
    return value if isinstance(x, torch.Tensor) else value.numpy()


def certify(problem: Problem, z: Tensor, residual: Tensor, slopes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Objective, relative duality gap and KKT violation of each row; z as codes of unit atoms."""
    ratio = slopes / problem.penalty  # (sample, atom)
    sized = ratio if problem.nonnegative else ratio.abs()
    scale = 1 / sized.amax(1).clamp(min=1)  # (sample,)
    left = residual.square().sum(1)
    primal = 0.5 * left + (problem.penalty * z.abs()).sum(1)
    dual = scale * (residual * problem.x).sum(1) - 0.5 * scale.square() * left
    half = 0.5 * problem.x.square().sum(1)
    gap = (primal - dual).clamp(min=0) / half.clamp(min=torch.finfo(half.dtype).tiny)
    violation = torch.where(z == 0, (sized - 1).clamp(min=0), (ratio - z.sign()).abs()).amax(1)
    return primal, torch.where(half > 0, gap, primal), violation
