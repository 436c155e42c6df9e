"""Blocks of rows that are solved on a few candidate atoms each: who is to be one is told in three ways.

By the Gram matrix of all atoms, by products with the residual, or by products of 8-bit integers first.
"""

from __future__ import annotations

import threading
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.sparse import issparse

from neurosparse.backend.inference.kernels import (
    FIRST_MOVE,
    Active,
    Coarse,
    Local,
    Rest,
    Suspects,
    Task,
    Worth,
    begin_screened,
    gather_active,
    make_local,
    make_rest,
    make_suspects,
    make_worth,
    screen_round,
    solve_cached,
    solve_round,
    squared_norms,
)
from neurosparse.backend.inference.problem import Problem, Tensor

MIN_CANDIDATES = 512


class Found(NamedTuple):
    """Codes of a block of rows, all of them or the active ones alone, and their certificate.

    Attributes
    ----------
    atom : (sample, code) int tensor, or None
        Atoms of the codes; None where `codes` is (sample, atom).
    codes : (sample, code) tensor
    n_used : (sample,) int tensor, or None
        How many of the codes are in use.
    """

    atom: Tensor | None
    codes: Tensor
    n_used: Tensor | None
    objective: Tensor
    gap: Tensor
    kkt: Tensor
    iterations: Tensor


class Desk(threading.local):
    """What a thread works with, block after block: large memory freed and asked for anew in other sizes piles up."""

    local: Local | None = None
    suspects: Suspects | None = None
    rest: Rest | None = None
    slopes: Tensor | None = None
    coarse: Tensor | None = None

    def candidates(self, n_atoms: int, n_units: int, capacity: int, dtype: np.dtype) -> Local:
        """Room for so many candidates."""
        if self.local is None or len(self.local.atom) < capacity:
            self.local = make_local(n_atoms, n_units, capacity, dtype)
        return self.local

    def products(self, rows: Tensor, atoms: Tensor) -> np.ndarray:
        """``rows @ atoms.T``, until the next."""
        if self.slopes is None or len(self.slopes) < len(rows):
            self.slopes = rows.new_empty((len(rows), len(atoms)))
        return torch.mm(rows, atoms.T, out=self.slopes[: len(rows)]).numpy()

    def coarse_products(self, rows: Tensor, atoms: Tensor) -> np.ndarray:
        """The same of 8-bit integers, exact, in 32 bits."""
        if self.coarse is None or len(self.coarse) < len(rows):
            self.coarse = torch.empty((len(rows), len(atoms)), dtype=torch.int32)
        return multiply_int8(rows, atoms, self.coarse[: len(rows)]).numpy()

    def screening(self, n_samples: int, n_atoms: int, n_units: int, dtype: np.dtype) -> tuple[Suspects, Rest]:
        """Room for what screened rows leave, and for the atoms that one of them suspects."""
        if self.suspects is None:
            self.suspects = make_suspects(n_atoms, dtype)
        if self.rest is None or len(self.rest.residual) < n_samples:
            self.rest = make_rest(n_samples, n_units, dtype)
        return self.suspects, self.rest


def cached(problem: Problem, gram: Tensor, start: Any, task: Task, desk: Desk) -> Found:
    """Each row to its end, by the Gram matrix of all atoms."""
    worth, (local, active) = make_worth(len(problem.x)), _room(problem, start, desk)
    correlation = desk.products(problem.x, problem.atoms)
    solve_cached(correlation, squared(problem), gram.numpy(), task, local, active, worth)
    return _trimmed(active, worth)


def factored(problem: Problem, start: Any, task: Task, desk: Desk) -> Found:
    """Round by round, by the products of all atoms with what is left of each row."""
    atoms = problem.atoms.contiguous()
    worth, (local, active) = make_worth(len(problem.x)), _room(problem, start, desk)
    fitted = None if start is None else torch.as_tensor(start @ (atoms.numpy() if issparse(start) else atoms))
    residual = (problem.x if fitted is None else problem.residual(fitted)).clone().contiguous()
    threshold, done = np.full(len(residual), FIRST_MOVE * task.tol), np.zeros(len(residual), dtype=bool)
    _round_by_round(problem, residual, threshold, done, task, local, active, worth, desk)
    return _trimmed(active, worth)


def screened(problem: Problem, coarse: Coarse, start: Any, task: Task, desk: Desk) -> tuple[Found, int]:
    """Round by round, by products of 8-bit integers; and how many rows had to be finished in full precision."""
    x, atoms = problem.x.contiguous().numpy(), problem.atoms.contiguous().numpy()
    worth, (local, active) = make_worth(len(x)), _room(problem, start, desk)
    suspects, rest = desk.screening(len(x), len(atoms), x.shape[1], x.dtype)
    threshold, handed, rows = np.full(len(x), FIRST_MOVE * task.tol), np.zeros(len(x), dtype=bool), np.arange(len(x))
    begin_screened(x, atoms, task, local, active, rest)
    left, whole = torch.from_numpy(rest.coarse), torch.from_numpy(coarse.atoms)
    while len(rows):
        products = desk.coarse_products(left[: len(rows)], whole)
        n_left = screen_round(
            rows, products, x, atoms, coarse, task, local, suspects, active, rest, threshold, worth, handed
        )
        rows = rows[:n_left]
    if handed.any():
        residual = torch.from_numpy(rest.residual[: len(x)])
        _round_by_round(problem, residual, threshold, ~handed, task, local, active, worth, desk)
    return _trimmed(active, worth), int(handed.sum())


def multiply_int8(rows: Tensor, atoms: Tensor, out: Tensor) -> Tensor:
    """``rows @ atoms.T`` of int8 into int32, exact where `devices.fast_int8` holds."""
    return torch._int_mm(rows, atoms.T, out=out)


def _round_by_round(
    problem: Problem,
    residual: Tensor,
    threshold: np.ndarray,
    done: np.ndarray,
    task: Task,
    local: Local,
    active: Active,
    worth: Worth,
    desk: Desk,
) -> None:
    x, atoms = problem.x.contiguous().numpy(), problem.atoms.contiguous()
    observed = np.empty((0, 0), x.dtype) if problem.observed is None else problem.observed.contiguous().numpy()
    left, units = residual.numpy(), atoms.numpy()
    while not done.all():
        rows = np.flatnonzero(~done)
        slopes = desk.products(residual[torch.from_numpy(rows)], atoms)
        solve_round(rows, slopes, x, left, observed, units, task, local, active, threshold, worth, done)


def squared(problem: Problem) -> np.ndarray:
    """``||x||^2`` of each row."""
    found = np.empty(len(problem.x))
    squared_norms(problem.x.contiguous().numpy(), found)
    return found


def tensors(worth: Worth, like: Tensor) -> list[Tensor]:
    """Objective, gap, violation and steps of each row."""
    value, gap, kkt, iterations = map(torch.from_numpy, worth)
    return [value.to(like), gap.to(like), kkt.to(like), iterations]


def _room(problem: Problem, start: Any, desk: Desk) -> tuple[Local, Active]:
    """A thread's workspace, and active codes: those to start from."""
    (n_samples, n_units), n_atoms = problem.x.shape, len(problem.atoms)
    count = np.zeros(n_samples, np.int64)
    if start is not None:
        count = np.diff(start.indptr).astype(np.int64) if issparse(start) else np.count_nonzero(start.numpy(), axis=1)
    needed = int(count.max()) if n_samples else 0
    # At an optimum no more atoms than units need be active, save by a tie.
    capacity = min(n_atoms, max(MIN_CANDIDATES, 2 * n_units, needed + MIN_CANDIDATES // 2))
    local = desk.candidates(n_atoms, n_units, capacity, problem.x.numpy().dtype)
    atom = np.zeros((n_samples, len(local.atom)), np.int32)
    z = np.zeros(atom.shape, problem.x.numpy().dtype)
    if issparse(start):
        sample = np.repeat(np.arange(n_samples), count)
        place = np.arange(len(sample)) - start.indptr[sample]
        atom[sample, place], z[sample, place] = start.indices, start.data
    elif start is not None:
        gather_active(start.numpy(), needed, atom, z, count)
    return local, Active(atom, z, count)


def _trimmed(active: Active, worth: Worth) -> Found:
    """Without the columns that no row uses; what stands behind a row's last code is cleared."""
    atom, z, count = map(torch.from_numpy, active)
    width = max(1, int(count.max())) if len(count) else 1
    used = torch.arange(width) < count[:, None]
    atom, z = torch.where(used, atom[:, :width], 0).long(), torch.where(used, z[:, :width], 0)
    return Found(atom, z, count, *tensors(worth, z))
