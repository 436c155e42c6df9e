"""Coordinate descent on the CPU: which form of it, in which blocks, on how many threads.

Rows are solved in blocks of a size that depends on the number of atoms alone, each on one thread that has its matrix
products to itself: the result is the same to the bit on any number of threads.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from scipy.sparse import issparse

from neurosparse.backend.devices import one_thread
from neurosparse.backend.inference.kernels import (
    FIRST_MOVE,
    Active,
    Local,
    Task,
    Worth,
    gather_active,
    make_local,
    make_worth,
    pad,
    solve_cached,
    solve_round,
    solve_whole,
    squared_norms,
)
from neurosparse.backend.inference.problem import Problem, Tensor

Made = TypeVar("Made")

# All atoms are candidates at once up to so many: their Gram matrix then fits the second-level cache.
MAX_WHOLE = 512
# A larger Gram matrix is cached up to so many bytes, and where there are rows enough to pay for it.
MAX_GRAM = 2**29
MIN_ROWS_PER_ATOM = 0.25
MIN_CANDIDATES = 512
# Rows of a Gram matrix that are made at a time.
GRAM_BLOCK = 256


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


class _Desk(threading.local):
    """What a thread works with, block after block: large memory freed and asked for anew in other sizes piles up."""

    local: Local | None = None
    slopes: Tensor | None = None

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


def form_of(n_samples: int, n_atoms: int, itemsize: int, masked: bool) -> str:
    """``"whole"``: the Gram matrix is every row's; ``"cached"``: it is looked up; ``"factored"``: there is none."""
    if masked:
        return "factored"
    if n_atoms <= MAX_WHOLE:
        return "whole"
    pays = n_samples >= MIN_ROWS_PER_ATOM * n_atoms and n_atoms**2 * itemsize <= MAX_GRAM
    return "cached" if pays else "factored"


def solve_by_coordinates(
    problem: Problem,
    start: Callable[..., Any],
    room: Tensor | None,
    tol: float,
    max_iter: int,
    *,
    greedy: bool,
    n_threads: int,
) -> tuple[str, list[Found]]:
    """Codes of every row in blocks; `start` gives a block's codes to start from, for unit atoms.

    With `room` (sample, atom), zeros, the codes of the atoms as they came are left there as well.
    """
    n_samples, n_atoms = len(problem.x), len(problem.atoms)
    form = form_of(n_samples, n_atoms, problem.x.element_size(), problem.observed is not None)
    block = max(64, min(512, 2**20 // max(n_atoms, 1)))
    task = _task(problem, greedy, tol, max_iter)
    if form == "whole" and room is not None and n_samples <= block and n_atoms <= GRAM_BLOCK:
        return form, [_at_once(problem, start(0, n_samples), room, task)]
    gram = problem.x.new_empty((0, 0)) if form == "factored" else _gram(problem.atoms, n_threads)
    desk = _Desk()

    def work(i: int, j: int) -> Found:
        part, before = problem.rows(i, j), start(i, j, dense=form == "whole")
        if form != "whole":
            found = (_cached if form == "cached" else _factored)(part, gram, before, task, desk)
            if room is not None:
                spread(found, problem.norms, room[i:j])
            return found
        z = part.x.new_zeros((j - i, n_atoms)) if room is None else room[i:j]
        if before is not None:
            z.copy_(before)
        found = _whole(part, gram, z, before is not None, task)
        if room is None:
            return active_codes(found)
        z.div_(problem.norms)
        return found

    return form, in_blocks(work, n_samples, block, n_threads)


def in_blocks(work: Callable[[int, int], Made], n: int, size: int, n_threads: int) -> list[Made]:
    """``work(start, stop)`` for blocks of `size`, each on one thread, `n_threads` at a time."""
    starts = range(0, n, size)
    if n_threads < 2 or len(starts) < 2:
        with one_thread():
            return [work(i, min(i + size, n)) for i in starts]
    before = torch.get_num_threads()
    try:
        with ThreadPoolExecutor(n_threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            return list(pool.map(lambda i: work(i, min(i + size, n)), starts))
    finally:  # the workers' setting became that of threads still to come
        torch.set_num_threads(before)


def _task(problem: Problem, greedy: bool, tol: float, max_iter: int) -> Task:
    penalty = problem.penalty.numpy()
    finest = 1e-7 if problem.x.dtype == torch.float32 else 1e-14
    return Task(penalty, 1 / penalty, problem.nonnegative, greedy, tol, max_iter, finest)


def _at_once(problem: Problem, before: Tensor | None, room: Tensor, task: Task) -> Found:
    """One block alone, without what many need: a learner comes here thousands of times with a few hundred rows."""
    with one_thread():
        if before is not None:
            room.copy_(before)
        found = _whole(problem, problem.atoms @ problem.atoms.T, room, before is not None, task)
        room.div_(problem.norms)
        return found


def _gram(atoms: Tensor, n_threads: int) -> Tensor:
    """Products of all atoms: those right of the diagonal are made, and copied below it."""
    gram = atoms.new_empty((len(atoms), len(atoms)))

    def fill(i: int, j: int) -> None:
        torch.mm(atoms[i:j], atoms[i:].T, out=gram[i:j, i:])
        gram[j:, i:j] = gram[i:j, j:].T

    in_blocks(fill, len(atoms), GRAM_BLOCK, n_threads)
    return gram


def active_codes(found: Found) -> Found:
    """The active codes alone, with their atoms."""
    if found.atom is not None:
        return found
    codes = found.codes.cpu().numpy()
    count = np.zeros(len(codes), np.int64)
    width, most = 0, min(32, codes.shape[1])
    while most > width:  # once more, where rows have more than was foreseen
        width = most
        atom, values = np.zeros((len(codes), width), np.int64), np.zeros((len(codes), width), codes.dtype)
        most = gather_active(codes, width, atom, values, count)
    kept = [torch.from_numpy(array).to(found.codes.device) for array in (atom[:, : max(1, most)], values, count)]
    return found._replace(atom=kept[0], codes=kept[1][:, : max(1, most)], n_used=kept[2])


def spread(found: Found, norms: Tensor, room: Tensor) -> None:
    """Active codes to their places among all atoms, as they came; places not in use hold atom 0 and code 0."""
    assert found.atom is not None
    room.scatter_add_(1, found.atom, found.codes / norms[found.atom])


def _whole(problem: Problem, gram: Tensor, z: Tensor, warm: bool, task: Task) -> Found:
    worth, (task, known) = make_worth(len(z)), _with_void_atoms(task, gram.numpy())
    correlation = (problem.x @ problem.atoms.T).numpy()
    solve_whole(correlation, _squared(problem), known, task, warm, z.numpy(), worth)
    return Found(None, z, None, *_tensors(worth, z))


def _with_void_atoms(task: Task, gram: np.ndarray) -> tuple[Task, np.ndarray]:
    """Penalties and Gram matrix of as many atoms as the kernels like best, those at the end of no norm."""
    n_atoms = len(gram)
    size = pad(n_atoms, gram.itemsize)
    if size == n_atoms:
        return task, gram
    penalty, known = np.ones(size, gram.dtype), np.zeros((size, size), gram.dtype)
    penalty[:n_atoms], known[:n_atoms, :n_atoms] = task.penalty, gram
    return task._replace(penalty=penalty, rate=1 / penalty), known


def _squared(problem: Problem) -> np.ndarray:
    squared = np.empty(len(problem.x))
    squared_norms(problem.x.contiguous().numpy(), squared)
    return squared


def _cached(problem: Problem, gram: Tensor, start: Any, task: Task, desk: _Desk) -> Found:
    worth, (local, active) = make_worth(len(problem.x)), _room(problem, start, desk)
    correlation = desk.products(problem.x, problem.atoms)
    solve_cached(correlation, _squared(problem), gram.numpy(), task, local, active, worth)
    return _trimmed(active, worth)


def _factored(problem: Problem, gram: Tensor, start: Any, task: Task, desk: _Desk) -> Found:
    x, atoms = problem.x.contiguous(), problem.atoms.contiguous()
    worth, (local, active) = make_worth(len(x)), _room(problem, start, desk)
    fitted = None if start is None else torch.as_tensor(start @ (atoms.numpy() if issparse(start) else atoms))
    residual = (x if fitted is None else problem.residual(fitted)).clone().contiguous()
    observed = (gram if problem.observed is None else problem.observed.contiguous()).numpy()
    threshold, done = np.full(len(x), FIRST_MOVE * task.tol), np.zeros(len(x), dtype=bool)
    left, units = residual.numpy(), atoms.numpy()
    while not done.all():
        rows = np.flatnonzero(~done)
        slopes = desk.products(residual[torch.from_numpy(rows)], atoms)
        solve_round(rows, slopes, x.numpy(), left, observed, units, task, local, active, threshold, worth, done)
    return _trimmed(active, worth)


def _room(problem: Problem, start: Any, desk: _Desk) -> tuple[Local, Active]:
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


def _tensors(worth: Worth, like: Tensor) -> list[Tensor]:
    value, gap, kkt, iterations = map(torch.from_numpy, worth)
    return [value.to(like), gap.to(like), kkt.to(like), iterations]


def _trimmed(active: Active, worth: Worth) -> Found:
    """Without the columns that no row uses; what stands behind a row's last code is cleared."""
    atom, z, count = map(torch.from_numpy, active)
    width = max(1, int(count.max())) if len(count) else 1
    used = torch.arange(width) < count[:, None]
    atom, z = torch.where(used, atom[:, :width], 0).long(), torch.where(used, z[:, :width], 0)
    return Found(atom, z, count, *_tensors(worth, z))
