"""Coordinate descent on the CPU: which form of it, in which blocks, on how many threads.

Rows are solved in blocks of a size that depends on the number of atoms alone, each on one thread that has its matrix
products to itself: the result is the same to the bit on any number of threads.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
import torch

from neurosparse.backend.devices import fast_int8, one_thread
from neurosparse.backend.inference.candidates import Desk, Found, cached, factored, screened, squared, tensors
from neurosparse.backend.inference.kernels import Task, gather_active, make_coarse, make_worth, pad, solve_whole
from neurosparse.backend.inference.problem import Problem, Tensor

Made = TypeVar("Made")

# All atoms are candidates at once up to so many: their Gram matrix then fits the second-level cache.
MAX_WHOLE = 512
# A larger Gram matrix is cached up to so many bytes, and where there are rows enough to pay for it.
MAX_GRAM = 2**29
MIN_ROWS_PER_ATOM = 0.25
# Products of 8-bit integers come first where there are rows enough to pay for making them.
MIN_SCREENED_ROWS = 32
# The other blocks are not, where more than this share of the first one's rows was handed over to full precision, or
# where its rows have more active codes than this: looked-up products of those are cheaper then.
MAX_HANDED = 0.25
MAX_ACTIVE = 128
# Rows of a Gram matrix that are made at a time.
GRAM_BLOCK = 256


def form_of(n_samples: int, n_atoms: int, itemsize: int, masked: bool, screens: bool = True) -> str:
    """``"whole"``: the Gram matrix is every row's; ``"cached"``: it is looked up; ``"factored"``: there is none.

    ``"screened"``: factored, by products of 8-bit integers first.
    """
    if masked:
        return "factored"
    if n_atoms <= MAX_WHOLE:
        return "whole"
    if screens and n_samples >= MIN_SCREENED_ROWS and fast_int8():
        return "screened"
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
    sizes = (n_samples, n_atoms, problem.x.element_size(), problem.observed is not None)
    form = form_of(*sizes)
    block = max(64, min(512, 2**20 // max(n_atoms, 1)))
    task = _task(problem, greedy, tol, max_iter)
    if form == "whole":
        if room is not None and n_samples <= block and n_atoms <= GRAM_BLOCK:
            return form, [_at_once(problem, start(0, n_samples), room, task)]
        gram = _gram(problem.atoms, n_threads)

        def whole(i: int, j: int) -> Found:
            part, before = problem.rows(i, j), start(i, j)
            z = part.x.new_zeros((j - i, n_atoms)) if room is None else room[i:j]
            if before is not None:
                z.copy_(before)
            found = _whole(part, gram, z, before is not None, task)
            if room is None:
                return active_codes(found)
            z.div_(problem.norms)
            return found

        return form, in_blocks(whole, n_samples, block, n_threads)

    desk, first = Desk(), []
    if form == "screened":
        coarse = make_coarse(problem.atoms.contiguous().numpy(), task.rate)
        with one_thread():
            found, n_handed = screened(problem.rows(0, block), coarse, start(0, block, dense=False), task, desk)
        first = [found]
        assert found.n_used is not None
        if n_handed > MAX_HANDED * len(found.codes) or int(found.n_used.sum()) > MAX_ACTIVE * len(found.codes):
            form = form_of(*sizes, screens=False)
    if form == "cached":
        gram = _gram(problem.atoms, n_threads)

    def few(i: int, j: int) -> Found:
        if i == 0 and first:
            found = first[0]
        else:
            part, before = problem.rows(i, j), start(i, j, dense=False)
            if form == "screened":
                found, _ = screened(part, coarse, before, task, desk)
            elif form == "cached":
                found = cached(part, gram, before, task, desk)
            else:
                found = factored(part, before, task, desk)
        if room is not None:
            spread(found, problem.norms, room[i:j])
        return found

    return form, in_blocks(few, n_samples, block, n_threads)


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
    solve_whole(correlation, squared(problem), known, task, warm, z.numpy(), worth)
    return Found(None, z, None, *tensors(worth, z))


def _with_void_atoms(task: Task, gram: np.ndarray) -> tuple[Task, np.ndarray]:
    """Penalties and Gram matrix of as many atoms as the kernels like best, those at the end of no norm."""
    n_atoms = len(gram)
    size = pad(n_atoms, gram.itemsize)
    if size == n_atoms:
        return task, gram
    penalty, known = np.ones(size, gram.dtype), np.zeros((size, size), gram.dtype)
    penalty[:n_atoms], known[:n_atoms, :n_atoms] = task.penalty, gram
    return task._replace(penalty=penalty, rate=1 / penalty), known
