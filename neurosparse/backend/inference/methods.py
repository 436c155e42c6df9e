"""Blocks of codes by each of the solvers, and their refits: each block with the certificate of what was solved."""

from __future__ import annotations

from typing import Any

import scipy.sparse
import torch

from neurosparse.backend.devices import batch_rows
from neurosparse.backend.inference.candidates import Found
from neurosparse.backend.inference.coordinate import active_codes, solve_by_coordinates
from neurosparse.backend.inference.fista import solve_by_fista
from neurosparse.backend.inference.problem import Problem, Tensor, as_tensor
from neurosparse.backend.inference.pursuit import decode, prune, pursue, refit
from neurosparse.errors import InputError


class Start:
    """The codes to start from, a block at a time, for unit atoms: dense, or as they came."""

    def __init__(self, initial: Any, problem: Problem) -> None:
        self.problem = problem
        self.initial = initial
        if initial is None:
            return
        if not scipy.sparse.issparse(initial):
            self.initial = as_tensor(initial)
        self.scale = problem.norms * (problem.atoms != 0).any(1)
        expected = (len(problem.x), len(problem.atoms))
        if tuple(self.initial.shape) != expected:
            raise InputError(f"initial codes need shape {expected}; got {tuple(self.initial.shape)}.")

    def __call__(self, start: int, stop: int, *, dense: bool = True) -> Any:
        if self.initial is None:
            return None
        block = self.initial[start:stop]
        if scipy.sparse.issparse(block):
            if not dense:
                return self._scaled(block)
            block = torch.from_numpy(block.toarray())
        z = (block.to(self.problem.x) * self.scale).contiguous()
        return z.clamp_(min=0) if self.problem.nonnegative else z

    def _scaled(self, block: Any) -> scipy.sparse.csr_array:
        block = scipy.sparse.csr_array(block, copy=True)
        scale = self.scale.cpu().numpy()
        block.data = block.data.astype(scale.dtype) * scale[block.indices]
        if self.problem.nonnegative:
            block.data = block.data.clip(min=0)
        block.eliminate_zeros()
        return block


def by_descent(
    problem: Problem, start: Start, room: Tensor | None, tol: float, max_iter: int, solver: str, n_threads: int
) -> tuple[str, list[Found]]:
    x = problem.x
    if solver != "fista" and x.device.type == "cpu":
        form, parts = solve_by_coordinates(
            problem, start, room, tol, max_iter, greedy=solver != "cyclic", n_threads=n_threads
        )
        forms = {
            "whole": "whole Gram",
            "cached": "candidates, Gram",
            "factored": "candidates, factored",
            "screened": "candidates, 8 bits",
        }
        return f"{'cyclic' if solver == 'cyclic' else 'coordinate'}: {forms[form]}", parts
    n_atoms, n_units = problem.atoms.shape
    numbers = 8 * (n_atoms + n_units) + (128 * (n_units + 3 * 128) if n_atoms > 512 else 0)
    form, parts = "", []
    step = batch_rows(x.element_size() * numbers, x.device, n_rows=max(1, len(x)))
    for i in range(0, len(x), step):
        part = problem.rows(i, i + step)
        z = start(i, i + step)
        z = x.new_zeros((len(part.x), n_atoms)) if z is None else z
        form, (z, value, gap, kkt, steps) = solve_by_fista(part, z, tol, max_iter)
        found = Found(None, z, None, value, gap, kkt, steps)
        parts.append(active_codes(found) if room is None else found)
        if room is not None:
            torch.div(z, problem.norms, out=room[i : i + step])
    return f"fista: {form}", parts


def by_pursuit(problem: Problem, n_active: int) -> tuple[str, list[Found]]:
    x = problem.x
    n_atoms, n_units = problem.atoms.shape
    numbers = 4 * (n_atoms + n_units) + 4 * n_active * (n_units + 2 * n_active)
    step = batch_rows(x.element_size() * numbers, x.device, n_rows=max(1, len(x)), limit=_pursuit_limit(x))
    parts = []
    for i in range(0, len(x), step):
        part = problem.rows(i, i + step)
        index, z, steps = pursue(part, n_active)
        residual = part.residual(decode(index, z, part.atoms))
        slopes = torch.where(z != 0, (part.atoms[index] @ residual[:, :, None])[:, :, 0], 0)
        kkt = slopes.abs().amax(1) / part.x.norm(dim=1).clamp(min=torch.finfo(x.dtype).tiny)
        value = 0.5 * residual.square().sum(1)
        parts.append(_ordered(Found(index, z, None, value, torch.full_like(value, torch.nan), kkt, steps)))
    return "pursuit", parts


def _pursuit_limit(x: Tensor) -> int | None:
    return 2**28 if x.device.type == "cpu" else None


def refitted(problem: Problem, parts: list[Found], pruned: bool) -> list[Found]:
    """The same supports, or less, with codes of least squares."""
    done, at = [], 0
    for found in parts:
        part = problem.rows(at, at + len(found.codes))
        at += len(found.codes)
        found = _ordered(found)
        assert found.atom is not None
        codes = torch.empty_like(found.codes)
        width = found.codes.shape[1]
        step = batch_rows(8 * width * (part.x.shape[1] + 4 * width), part.x.device, limit=2**27)
        for i in range(0, len(codes), step):
            some, index, z = part.rows(i, i + step), found.atom[i : i + step], found.codes[i : i + step]
            fitted = refit(some, index, z, z != 0)
            # The penalty of codes of unit atoms, which is what a code must be worth.
            fitted = prune(some, index, fitted, problem.penalty) if pruned else fitted
            codes[i : i + step] = fitted.to(codes)
        done.append(_ordered(found._replace(codes=codes)))
    return done


def _ordered(found: Found) -> Found:
    """The codes in use first, and their number."""
    assert found.atom is not None
    order = (found.codes == 0).long().argsort(dim=1, stable=True)
    return found._replace(
        atom=found.atom.gather(1, order), codes=found.codes.gather(1, order), n_used=(found.codes != 0).sum(1)
    )
