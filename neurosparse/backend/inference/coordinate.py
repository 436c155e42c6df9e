"""Coordinate descent on the CPU: which form of it, in which blocks, on how many threads.

Rows are solved in blocks of a size that depends on the number of atoms alone, each on one thread that has its matrix
products to itself: the result is the same to the bit on any number of threads.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch

from neurosparse.backend.devices import one_thread
from neurosparse.backend.inference.kernels import (
    FIRST_MOVE,
    gather_active,
    make_local,
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
    start: Callable[[int, int], Tensor | None],
    room: Tensor | None,
    tol: float,
    max_iter: int,
    *,
    greedy: bool,
    n_threads: int,
) -> tuple[str, list[Found]]:
    """Codes of every row in blocks; `start` gives a block's codes to start from, for unit atoms.

    With `room` (sample, atom), zeros, all codes are left there as well.
    """
    n_samples, n_atoms = len(problem.x), len(problem.atoms)
    form = form_of(n_samples, n_atoms, problem.x.element_size(), problem.observed is not None)
    block = max(64, min(512, 2**20 // max(n_atoms, 1)))
    if form == "whole" and room is not None and n_samples <= block and n_atoms <= GRAM_BLOCK:
        return form, [_at_once(problem, start(0, n_samples), room, (greedy, tol, max_iter))]
    gram = problem.x.new_empty((0, 0)) if form == "factored" else _gram(problem.atoms, n_threads)
    options = (greedy, tol, max_iter)

    def work(i: int, j: int) -> Found:
        part, before = problem.rows(i, j), start(i, j)
        if form != "whole":
            found = (_cached if form == "cached" else _factored)(part, gram, before, options)
            if room is not None:
                spread(found, room[i:j])
            return found
        z = part.x.new_zeros((j - i, n_atoms)) if room is None else room[i:j]
        if before is not None:
            z.copy_(before)
        found = _whole(part, gram, z, before is not None, options)
        return active_codes(found) if room is None else found

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


def _at_once(problem: Problem, before: Tensor | None, room: Tensor, options: tuple) -> Found:
    """One block alone, without what many need: a learner comes here thousands of times with a few hundred rows."""
    with one_thread():
        if before is not None:
            room.copy_(before)
        return _whole(problem, problem.atoms @ problem.atoms.T, room, before is not None, options)


def _gram(atoms: Tensor, n_threads: int) -> Tensor:
    parts = in_blocks(lambda i, j: atoms[i:j] @ atoms.T, len(atoms), GRAM_BLOCK, n_threads)
    return parts[0] if len(parts) == 1 else torch.cat(parts)


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


def spread(found: Found, room: Tensor) -> None:
    """Active codes to their places among all atoms; places not in use hold atom 0 and code 0."""
    assert found.atom is not None
    room.scatter_add_(1, found.atom, found.codes)


def _whole(problem: Problem, gram: Tensor, z: Tensor, warm: bool, options: tuple) -> Found:
    greedy, tol, max_iter = options
    penalty, known = _with_void_atoms(problem.penalty.numpy(), gram.numpy())
    numbers = _certificate(len(z))
    solve_whole(
        (problem.x @ problem.atoms.T).numpy(),
        _squared(problem),
        known,
        penalty,
        1 / penalty,
        problem.nonnegative,
        greedy,
        warm,
        tol,
        max_iter,
        _finest(problem),
        z.numpy(),
        *numbers,
    )
    return Found(None, z, None, *_tensors(numbers, z))


def _with_void_atoms(penalty: np.ndarray, gram: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Penalties and Gram matrix of as many atoms as the kernels like best, those at the end of no norm."""
    n_atoms = len(penalty)
    size = pad(n_atoms, penalty.itemsize)
    if size == n_atoms:
        return penalty, gram
    penalties, known = np.ones(size, penalty.dtype), np.zeros((size, size), gram.dtype)
    penalties[:n_atoms], known[:n_atoms, :n_atoms] = penalty, gram
    return penalties, known


def _finest(problem: Problem) -> float:
    """The move, as a share of the penalty, below which rounding decides."""
    return 1e-7 if problem.x.dtype == torch.float32 else 1e-14


def _squared(problem: Problem) -> np.ndarray:
    squared = np.empty(len(problem.x))
    squared_norms(problem.x.contiguous().numpy(), squared)
    return squared


def _cached(problem: Problem, gram: Tensor, start: Tensor | None, options: tuple) -> Found:
    greedy, tol, max_iter = options
    penalty = problem.penalty.numpy()
    local, index, z, count = _room(problem, start)
    numbers = _certificate(len(z))
    solve_cached(
        (problem.x @ problem.atoms.T).numpy(),
        _squared(problem),
        gram.numpy(),
        penalty,
        1 / penalty,
        local,
        problem.nonnegative,
        greedy,
        tol,
        max_iter,
        _finest(problem),
        index.numpy(),
        z.numpy(),
        count.numpy(),
        *numbers,
    )
    return _trimmed(index, z, count, numbers)


def _factored(problem: Problem, gram: Tensor, start: Tensor | None, options: tuple) -> Found:
    greedy, tol, max_iter = options
    x, atoms, penalty = problem.x.contiguous(), problem.atoms.contiguous(), problem.penalty.numpy()
    local, index, z, count = _room(problem, start)
    numbers = _certificate(len(z))
    residual = (x if start is None else problem.residual(start @ atoms)).clone().contiguous()
    observed = x.new_empty((0, 0)) if problem.observed is None else problem.observed.contiguous()
    threshold = np.full(len(x), FIRST_MOVE * tol)
    done = np.zeros(len(x), dtype=bool)
    while not done.all():
        rows = np.flatnonzero(~done)
        solve_round(
            rows,
            (residual[torch.from_numpy(rows)] @ atoms.T).numpy(),
            x.numpy(),
            residual.numpy(),
            observed.numpy(),
            atoms.numpy(),
            penalty,
            1 / penalty,
            local,
            problem.nonnegative,
            greedy,
            tol,
            max_iter,
            _finest(problem),
            index.numpy(),
            z.numpy(),
            count.numpy(),
            threshold,
            *numbers,
            done,
        )
    return _trimmed(index, z, count, numbers)


def _room(problem: Problem, start: Tensor | None) -> tuple[Any, Tensor, Tensor, Tensor]:
    """A thread's workspace, and active codes (sample, candidate): those to start from."""
    (n_samples, n_units), n_atoms = problem.x.shape, len(problem.atoms)
    count = torch.zeros(n_samples, dtype=torch.int64) if start is None else (start != 0).sum(1)
    needed = int(count.max()) if n_samples else 0
    # At an optimum no more atoms than units need be active, save by a tie.
    capacity = min(n_atoms, max(MIN_CANDIDATES, 2 * n_units, needed + MIN_CANDIDATES // 2))
    index = torch.zeros((n_samples, capacity), dtype=torch.int32)
    z = problem.x.new_zeros((n_samples, capacity))
    if start is not None:
        sample, atom = torch.nonzero(start, as_tuple=True)
        place = torch.arange(len(sample)) - (count.cumsum(0) - count)[sample]
        index[sample, place] = atom.int()
        z[sample, place] = start[sample, atom]
    return make_local(n_atoms, n_units, capacity, problem.x.numpy().dtype), index, z, count


def _certificate(n_samples: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Room for objective, gap, KKT violation and iterations."""
    value, gap, kkt = np.zeros((3, n_samples))
    return value, gap, kkt, np.zeros(n_samples, dtype=np.int64)


def _tensors(numbers: tuple[np.ndarray, ...], z: Tensor) -> list[Tensor]:
    value, gap, kkt, iterations = map(torch.from_numpy, numbers)
    return [value.to(z), gap.to(z), kkt.to(z), iterations]


def _trimmed(index: Tensor, z: Tensor, count: Tensor, numbers: tuple[np.ndarray, ...]) -> Found:
    """Without the columns that no row uses; what stands behind a row's last code is cleared."""
    width = max(1, int(count.max())) if len(count) else 1
    used = torch.arange(width) < count[:, None]
    index, z = torch.where(used, index[:, :width], 0).long(), torch.where(used, z[:, :width], 0)
    return Found(index, z, count, *_tensors(numbers, z))
