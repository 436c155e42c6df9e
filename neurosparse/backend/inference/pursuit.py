"""Codes with so many active atoms and no penalty: orthogonal matching pursuit, refits on a support, and its pruning.

Batched in torch on any device. Supports are (sample, code) indices with a mask of the codes in use; least squares are
solved in float64.
"""

from __future__ import annotations

import torch

from neurosparse.backend.inference.problem import Problem, Tensor

# No atom is added that would lower the squared residual by less than this share of the sample's.
LEAST_GAIN = 1e-10
RIDGE = 1e-12


def pursue(problem: Problem, n_active: int) -> tuple[Tensor, Tensor, Tensor]:
    """The atom most correlated with the residual, then all codes refitted, until `n_active` are active.

    Returns
    -------
    index : (sample, n_active) int tensor
    codes : (sample, n_active) tensor
        Of unit atoms; 0 where not in use.
    iterations : (sample,) int tensor
        Atoms that were tried; with non-negative codes a refit can drop some again.
    """
    x, atoms = problem.x, problem.atoms
    index = torch.zeros((len(x), n_active), dtype=torch.int64, device=x.device)
    codes = torch.zeros((len(x), n_active), dtype=torch.float64, device=x.device)
    iterations = torch.zeros(len(x), dtype=torch.int64, device=x.device)
    norms = None if problem.observed is None else (problem.observed @ atoms.square().T).sqrt()  # (sample, atom)
    squared = x.square().sum(1)
    open_, residual = squared > 0, x
    for _ in range(2 * n_active):
        slopes = residual @ atoms.T
        if norms is not None:
            slopes = torch.where(norms > 1e-6, slopes / norms, 0)
        slopes = slopes if problem.nonnegative else slopes.abs()
        used = codes != 0
        slopes.scatter_(1, index, torch.where(used, -torch.inf, slopes.gather(1, index)))
        slope, best = slopes.max(1)
        open_ = open_ & (slope > 0) & (slope.square() > LEAST_GAIN * squared) & ~used.all(1)
        if not bool(open_.any()):
            break
        rows = torch.nonzero(open_)[:, 0]
        slot = (~used[rows]).long().argmax(1)  # the first that is free
        index[rows, slot] = best[rows]
        allowed = used[rows]
        allowed[torch.arange(len(rows), device=x.device), slot] = True
        part = _rows(problem, rows)
        codes[rows] = refit(part, index[rows], codes[rows], allowed)
        iterations[rows] += 1
        residual = residual.clone()
        residual[rows] = part.residual(decode(index[rows], codes[rows], atoms))
    return index, codes.to(x), iterations


def decode(index: Tensor, codes: Tensor, atoms: Tensor) -> Tensor:
    """``z D`` of codes (sample, code), (sample, unit)."""
    return (codes.to(atoms)[:, None, :] @ atoms[index])[:, 0]


def refit(problem: Problem, index: Tensor, codes: Tensor, allowed: Tensor) -> Tensor:
    """Least squares on the allowed codes of each row; for non-negative codes from `codes`, by active sets, exactly.

    References
    ----------
    Lawson & Hanson 1974, ch. 23, on many rows at once.
    """
    gram, target = _normal_equations(problem, index)
    if not problem.nonnegative:
        return _solve(gram, target, allowed)
    z = torch.where(allowed, codes.double().clamp(min=0), 0)
    free = allowed & (z > 0)
    scale = target.abs().amax(1, keepdim=True).clamp(min=torch.finfo(torch.float64).tiny)
    for _ in range(3 * index.shape[1] + 3):
        while True:  # to the optimum over the free codes, or as far as the first would change its sign
            aim = _solve(gram, target, free)
            wrong = free & (aim <= 0)
            if not bool(wrong.any()):
                break
            part = torch.where(wrong, z / (z - aim).clamp(min=1e-300), 1.0).amin(1, keepdim=True)
            z = z + part * (aim - z)
            free = free & ~(wrong & (z <= 1e-12 * scale))
            z = torch.where(free, z, 0)
        z = aim
        slope = torch.where(allowed & ~free, target - (z[:, None, :] @ gram)[:, 0], 0)
        best = slope.argmax(1, keepdim=True)
        rising = slope.gather(1, best) > 1e-10 * scale
        if not bool(rising.any()):
            break
        free = free.scatter(1, best, free.gather(1, best) | rising)
    return z


def prune(problem: Problem, index: Tensor, codes: Tensor, penalty: Tensor) -> Tensor:
    """Refitted codes without those whose loss would raise 1/2 ||r||^2 by less than penalty^2 / 2, weakest first."""
    gram, _ = _normal_equations(problem, index)
    z = codes.double()
    threshold = penalty[index].double().square()  # (sample, code)
    while True:
        used = z != 0
        inverse = torch.linalg.inv(_restricted(gram, used)).diagonal(dim1=1, dim2=2)
        loss = torch.where(used, z.square() / inverse.clamp(min=1e-300) / threshold, torch.inf)
        least, weakest = loss.min(1, keepdim=True)
        drop = least < 1
        if not bool(drop.any()):
            return z
        used = used.scatter(1, weakest, used.gather(1, weakest) & ~drop)
        rows = drop[:, 0]
        z = z.clone()
        z[rows] = refit(_rows(problem, rows), index[rows], z[rows], used[rows])


def _normal_equations(problem: Problem, index: Tensor) -> tuple[Tensor, Tensor]:
    atoms = problem.atoms[index].double()  # (sample, code, unit)
    if problem.observed is not None:
        atoms = atoms * problem.observed.double()[:, None, :]
    return atoms @ atoms.mT, (atoms @ problem.x.double()[:, :, None])[:, :, 0]


def _restricted(gram: Tensor, free: Tensor) -> Tensor:
    """The Gram matrix of the free codes; the identity for the others."""
    both = free[:, :, None] & free[:, None, :]
    return torch.where(both, gram, 0) + torch.diag_embed(torch.where(free, RIDGE, 1.0))


def _solve(gram: Tensor, target: Tensor, free: Tensor) -> Tensor:
    factor, _ = torch.linalg.cholesky_ex(_restricted(gram, free))
    return torch.cholesky_solve(torch.where(free, target, 0)[:, :, None], factor)[:, :, 0]


def _rows(problem: Problem, rows: Tensor) -> Problem:
    observed = None if problem.observed is None else problem.observed[rows]
    return Problem(problem.x[rows], problem.atoms, problem.norms, problem.penalty, problem.nonnegative, observed)
