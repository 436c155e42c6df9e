"""Batched FISTA in torch, for CUDA and any other device: over all atoms, or over each row's own working set."""

from __future__ import annotations

import torch

from neurosparse.backend.inference.certificate import certify
from neurosparse.backend.inference.problem import Problem, Tensor

# FISTA looks at the gap, and lets go of the rows that are done, once in so many steps.
CHECK_EVERY = 10
# Working sets are for this many atoms and more; within a set so many steps are made before the others are looked at.
MIN_ATOMS = 1024
INNER_STEPS = 60
FIRST_WANT = 64

Solved = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]  # codes, objective, gap, kkt, iterations


def solve_by_fista(problem: Problem, z: Tensor, tol: float, max_iter: int) -> tuple[str, Solved]:
    """Codes from `z`, for unit atoms; which form was used."""
    n_atoms, n_units = problem.atoms.shape
    if n_atoms >= MIN_ATOMS:
        return "working sets", _working(problem, z, tol, max_iter)
    gram = problem.atoms @ problem.atoms.T if n_atoms < 2 * n_units and problem.observed is None else None
    return "factored" if gram is None else "Gram", _all_atoms(problem, gram, z, tol, max_iter)


def _all_atoms(problem: Problem, gram: Tensor | None, z: Tensor, tol: float, max_iter: int) -> Solved:
    n_atoms, n_units = problem.atoms.shape
    atoms = problem.atoms
    small = atoms @ atoms.T if n_atoms < n_units else atoms.T @ atoms
    curvature = torch.linalg.eigvalsh(small)[-1].clamp(min=torch.finfo(z.dtype).tiny) * (1 + 1e-5)
    value, gap, kkt = z.new_empty((3, len(z)))
    iterations = torch.zeros(len(z), dtype=torch.int64, device=z.device)
    active = torch.arange(len(z), device=z.device)
    old, lead = z.clone(), z.clone()  # (active, atom)
    age = z.new_ones((len(z), 1))
    left = problem
    correlation = left.x @ atoms.T
    for step in range(max_iter + 1):
        if step % CHECK_EVERY == 0 or step == max_iter:
            residual = left.residual(old @ atoms)
            at, found, violation = certify(left, old, residual, residual @ atoms.T)
            z[active], value[active], gap[active], kkt[active] = old, at, found, violation
            iterations[active] = step
            keep = found > tol
            if step == max_iter or not bool(keep.any()):
                break
            active, left, correlation = active[keep], _some(left, keep), correlation[keep]
            old, lead, age = old[keep], lead[keep], age[keep]
        gradient = left.residual(lead @ atoms) @ atoms.T if gram is None else correlation - lead @ gram
        old, lead, age = _accelerate(
            shrink(lead + gradient / curvature, problem.penalty / curvature, problem.nonnegative), old, lead, age
        )
    return z, value, gap, kkt, iterations


def _working(problem: Problem, z: Tensor, tol: float, max_iter: int) -> Solved:
    """Rounds of FISTA on the candidates of each row; a row is done when the gap over all atoms is met."""
    value, gap, kkt = z.new_empty((3, len(z)))
    iterations = torch.zeros(len(z), dtype=torch.int64, device=z.device)
    active = torch.arange(len(z), device=z.device)
    left, codes, step = problem, z.clone(), 0
    while True:
        residual = left.residual(codes @ left.atoms)
        slopes = residual @ left.atoms.T  # (active, atom)
        at, found, violation = certify(left, codes, residual, slopes)
        z[active], value[active], gap[active], kkt[active] = codes, at, found, violation
        iterations[active] = step
        keep = found > tol
        if step >= max_iter or not bool(keep.any()):
            return z, value, gap, kkt, iterations
        active, left, codes, slopes = active[keep], _some(left, keep), codes[keep], slopes[keep]
        steps = min(INNER_STEPS, max_iter - step)
        codes = _round(left, codes, slopes, steps)
        step += steps


def _round(problem: Problem, codes: Tensor, slopes: Tensor, steps: int) -> Tensor:
    """The codes after FISTA on the active atoms and those whose slope most exceeds their penalty."""
    busy = codes != 0
    want = int(busy.sum(1).max())
    width = min(codes.shape[1], -(-max(FIRST_WANT, 2 * want) // 32) * 32)
    ratio = slopes / problem.penalty
    ratio = torch.where(busy, torch.inf, ratio if problem.nonnegative else ratio.abs())
    chosen = ratio.topk(width, dim=1).indices  # (sample, candidate)
    atoms = problem.atoms[chosen]  # (sample, candidate, unit)
    if problem.observed is not None:
        atoms = atoms * problem.observed[:, None, :]
    gram = atoms @ atoms.mT
    curvature = _largest_eigenvalue(gram)
    penalty = problem.penalty[chosen] / curvature
    old = codes.gather(1, chosen)
    target = slopes.gather(1, chosen) + _times(old, gram)
    lead, age = old.clone(), old.new_ones((len(old), 1))
    for _ in range(steps):
        gradient = target - _times(lead, gram)
        old, lead, age = _accelerate(shrink(lead + gradient / curvature, penalty, problem.nonnegative), old, lead, age)
    return torch.zeros_like(codes).scatter_(1, chosen, old)


def _largest_eigenvalue(gram: Tensor) -> Tensor:
    """From above, within 14 % at 64 candidates: ``tr(G^32)^(1/32)``; (sample, 1)."""
    scale = gram.diagonal(dim1=1, dim2=2).sum(1).clamp(min=torch.finfo(gram.dtype).tiny)[:, None, None]
    power = gram / scale
    grown = torch.log(scale)
    for doublings in range(4):
        power = power @ power
        size = power.abs().amax((1, 2), keepdim=True).clamp(min=torch.finfo(gram.dtype).tiny)
        power = power / size
        grown = grown + torch.log(size) / 2 ** (doublings + 1)
    trace = power.square().sum((1, 2))[:, None, None].clamp(min=torch.finfo(gram.dtype).tiny)
    return (torch.exp(grown + torch.log(trace) / 32) * (1 + 1e-4))[:, :, 0]


def _times(codes: Tensor, gram: Tensor) -> Tensor:
    return (codes[:, None, :] @ gram)[:, 0]


def _accelerate(new: Tensor, old: Tensor, lead: Tensor, age: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The next iterate, its lead and the age of the momentum, which ends where it points uphill."""
    uphill = ((lead - new) * (new - old)).sum(1, keepdim=True) > 0
    age = torch.where(uphill, 1.0, age)
    older = 0.5 * (1 + (1 + 4 * age.square()).sqrt())
    return new, torch.where(uphill, new, new + (age - 1) / older * (new - old)), older


def shrink(values: Tensor, by: Tensor, nonnegative: bool) -> Tensor:
    """Soft thresholding, of one side or both."""
    if nonnegative:
        return (values - by).clamp_(min=0)
    return values.sign() * (values.abs() - by).clamp_(min=0)


def _some(problem: Problem, keep: Tensor) -> Problem:
    observed = None if problem.observed is None else problem.observed[keep]
    return Problem(problem.x[keep], problem.atoms, problem.norms, problem.penalty, problem.nonnegative, observed)
