"""Codes for a dictionary, by whichever solver suits, with their certificate."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np
import scipy.sparse
import torch

from neurosparse.backend.devices import batch_rows
from neurosparse.backend.inference.coordinate import Found, active_codes, solve_by_coordinates, spread
from neurosparse.backend.inference.fista import solve_by_fista
from neurosparse.backend.inference.problem import Array, Codes, Problem, Tensor, as_tensor, check_shapes, pose, scaled
from neurosparse.backend.inference.pursuit import decode, prune, pursue, refit
from neurosparse.errors import InputError

Solver = Literal["auto", "coordinate", "cyclic", "fista", "pursuit"]
SOLVERS = ("auto", "coordinate", "cyclic", "fista", "pursuit")
# float32 carries gaps down to about 1e-6; for smaller ones float32 samples are solved in float64.
FLOAT32_TOL = 1e-5


class Encoding(NamedTuple):
    """Sparse codes and what certifies them, one entry a sample.

    Attributes
    ----------
    codes : (sample, atom)
        A ``scipy.sparse.csr_array`` where sparse codes were asked for.
    objective : (sample,)
        ``1/2 ||x - z D||^2 + sum_j penalty_j |z_j|`` over the observed units; of a pursuit without penalty, the first
        term.
    gap : (sample,)
        Duality gap over half the sample's squared norm: how far the objective can be from its minimum, relative to the
        objective of empty codes. NaN after a pursuit, which has no such bound.
    iterations : (sample,)
        Coordinate steps, FISTA steps, or atoms tried by a pursuit.
    converged : (sample,) bool
        Whether the gap is within the tolerance; of a pursuit, whether it ended with as many codes as asked for or
        with a residual that no atom would lower.
    kkt : (sample,)
        Largest violation of the optimality conditions as a share of the penalty. Of a pursuit: the largest slope that
        a refitted code has left, over the sample's norm.
    solver : str
        What was chosen: solver and form.
    penalty : float or (atom,)
        What was used; NaN for a pursuit.

    Codes refitted on request (`debias`, `prune`) are no minimum of the objective: the certificate is that of the
    codes before.
    """

    codes: Any
    objective: Any
    gap: Any
    iterations: Any
    converged: Any
    kkt: Any
    solver: str
    penalty: Any

    def to_numpy(self) -> Encoding:
        """The same with arrays on the host."""
        arrays = {
            name: value.cpu().numpy() for name, value in self._asdict().items() if isinstance(value, torch.Tensor)
        }
        return self._replace(**arrays)  # type: ignore[arg-type]

    def certificate(self) -> dict[str, float | str]:
        """The worst and the mean of it all, in numbers."""
        return {
            "solver": self.solver,
            "gap_max": float(self.gap.max()),
            "gap_mean": float(self.gap.mean()),
            "kkt_max": float(self.kkt.max()),
            "iterations_mean": float(self.iterations.sum()) / max(1, len(self.iterations)),
            "iterations_max": int(self.iterations.max()),
            "share_converged": float(self.converged.sum()) / max(1, len(self.converged)),
        }


def encode(
    x: Array,
    dictionary: Array,
    penalty: float | Array | Literal["auto"] | None = None,
    *,
    codes: Codes = "nonnegative",
    weights: Array | None = None,
    mask: Array | None = None,
    n_active: int | None = None,
    initial: Any = None,
    tol: float = 1e-4,
    max_iter: int = 10_000,
    solver: Solver = "auto",
    debias: bool = False,
    prune: bool = False,
    sparse: bool = False,
    n_threads: int | None = None,
) -> Encoding:
    """Codes z that minimise ``1/2 ||x - z D||^2 + sum_j penalty_j weights_j |z_j|`` for each sample x.

    Parameters
    ----------
    x : (sample, unit) array or tensor
        The offset already taken away. Finite where observed.
    dictionary : (atom, unit) array or tensor
        D, on the same device. Atoms need not have unit norm; an atom of zeros stays unused.
    penalty : float, (atom,) array, "auto" or None
        Above 0, in units of x (for atoms of unit norm). ``"auto"``: what gives `n_active` codes a sample on average
        (`penalty_for`). None: a pursuit of exactly `n_active` codes, without penalty.
    codes : {"nonnegative", "signed"}
        Whether z >= 0.
    weights : (atom,) array, optional
        Above 0; multiply the penalty.
    mask : (sample, unit) bool, optional
        True where observed. Each sample's objective is over its own observed units, exactly.
    n_active : int, optional
        Active codes a sample: the mean for ``penalty="auto"``, the most for a pursuit.
    initial : (sample, atom) array, tensor or scipy sparse array, optional
        Codes to start from, such as those of a nearby dictionary. Not changed.
    tol : float
        Where a row is done: duality gap at most ``tol * ||x||^2 / 2``.
    max_iter : int
        Steps a row at the most.
    solver : {"auto", "coordinate", "cyclic", "fista", "pursuit"}
        ``"auto"``: greedy coordinate descent on the CPU, FISTA elsewhere; ``"cyclic"`` takes coordinates in turn.
    debias : bool
        Refit the active codes by least squares (non-negative where codes are): no shrinkage.
    prune : bool
        Refit, and let go of codes without which ``1/2 ||r||^2`` rises by less than ``penalty_j^2 / 2``.
    sparse : bool
        Codes as ``scipy.sparse.csr_array``, on the CPU, of any size: no (sample, atom) array is made.
    n_threads : int, optional
        CPU threads; default: as many as torch uses. The result is the same to the bit.

    Returns
    -------
    Encoding
        Of the kind and precision of `x`. Rows that did not converge are counted in it; who calls must warn.

    Raises
    ------
    InputError
        If shapes do not fit, x is not finite, a penalty is not above 0, or an option has no such name.

    Notes
    -----
    ``penalty`` is scikit-learn's ``alpha`` of ``sparse_encode`` and SPAMS's ``lambda1``, and n_units times the
    ``alpha`` of scikit-learn's ``Lasso``; a sparse autoencoder's coefficient c of mean |z| against mean squared error
    is ``penalty = c * n_units / (2 * n_atoms)``.
    Coordinate descent takes the coordinate that moves most [1]_, among 64 candidates or a few more [2]_ where there
    are over 512 atoms; all atoms are looked at before a row is done. The Gram matrix is kept where it takes at most
    512 MB and there are samples enough to pay for it; else a few of its entries are made as they are needed. Rows that
    need many steps now and then leap to the optimum over their active codes [3]_.
    FISTA [4]_ restarts each row by itself when its momentum points uphill; from 1,024 atoms on it iterates on
    candidates of each row's own.
    Deterministic on the CPU, on any number of threads. float32 samples are solved in float64 where tol < 1e-5. The
    interpreter lock is released while rows are solved.

    References
    ----------
    .. [1] Li & Osher 2009, coordinate descent with greedy selection for compressed sensing.
    .. [2] Massias, Gramfort & Salmon 2018, working sets (here: by the largest ratio of slope to penalty).
    .. [3] Lee, Battle, Raina & Ng 2007, feature-sign search.
    .. [4] Beck & Teboulle 2009, FISTA; O'Donoghue & Candes 2015, eq. 13 (adaptive restart).
    .. [5] Pati, Rezaiifar & Krishnaprasad 1993, orthogonal matching pursuit.
    """
    from neurosparse.backend.inference.selection import penalty_for

    rows, atoms = as_tensor(x), as_tensor(dictionary)
    check_shapes(rows, atoms, codes)
    atoms = atoms.to(rows.dtype)
    _check_options(solver, rows, penalty, n_active, len(atoms))
    if isinstance(penalty, str):
        penalty = penalty_for(rows, atoms, int(n_active or 0), codes=codes, weights=weights, mask=mask)
    exact = rows.dtype == torch.float32 and tol < FLOAT32_TOL
    if exact:
        rows, atoms = rows.double(), atoms.double()
    problem = pose(rows, atoms, 1.0 if penalty is None else penalty, codes, weights, mask)
    if penalty is None:
        name, parts = _by_pursuit(problem, int(n_active or 0))
        found = _joined(problem, parts, None, sparse, tol, True)._replace(solver=name, penalty=float("nan"))
    else:
        start = _Start(initial, problem)
        found = _solved(problem, start, tol, max_iter, solver, debias, prune, sparse, n_threads)
        found = found._replace(penalty=penalty)
    return _of_kind(found, x, torch.float32 if exact else rows.dtype)


def encode_checked(
    x: Tensor,
    dictionary: Tensor,
    penalty: float,
    *,
    codes: Codes = "nonnegative",
    initial: Tensor | None = None,
    tol: float = 1e-4,
    max_iter: int = 10_000,
    solver: Solver = "auto",
) -> Encoding:
    """`encode` for inner loops: the same to the bit, of tensors and options that the caller has checked.

    Parameters
    ----------
    x, dictionary : (sample, unit), (atom, unit) tensor
        Finite, of one dtype on one device; `tol` is at least 1e-5 where that is float32.
    penalty, codes, initial, tol, max_iter, solver
        As in `encode`; one penalty for all atoms, above 0.
    """
    problem = scaled(x, dictionary, x.new_full((len(dictionary),), penalty), codes == "nonnegative", None)
    found = _solved(problem, _Start(initial, problem), tol, max_iter, solver)
    return found._replace(penalty=penalty)


def _solved(
    problem: Problem,
    start: _Start,
    tol: float,
    max_iter: int,
    solver: str,
    debias: bool = False,
    prune: bool = False,
    sparse: bool = False,
    n_threads: int | None = None,
) -> Encoding:
    room = None
    if not (sparse or debias or prune):
        room = problem.x.new_zeros((len(problem.x), len(problem.atoms)))
    threads = n_threads or torch.get_num_threads()
    name, parts = _by_descent(problem, start, room, tol, max_iter, solver, threads)
    if debias or prune:
        parts = _refitted(problem, parts, prune)
    return _joined(problem, parts, room, sparse, tol, False)._replace(solver=name)


class _Start:
    """The codes to start from, a block at a time, for unit atoms."""

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

    def __call__(self, start: int, stop: int) -> Tensor | None:
        if self.initial is None:
            return None
        block = self.initial[start:stop]
        if scipy.sparse.issparse(block):
            block = torch.from_numpy(block.toarray())
        z = (block.to(self.problem.x) * self.scale).contiguous()
        return z.clamp_(min=0) if self.problem.nonnegative else z


def _check_options(solver: str, rows: Tensor, penalty: Any, n_active: int | None, n_atoms: int) -> None:
    if solver not in SOLVERS:
        raise InputError(f"solver must be one of {', '.join(map(repr, SOLVERS))}; got {solver!r}.")
    if solver in ("coordinate", "cyclic") and rows.device.type != "cpu":
        raise InputError(f"solver {solver!r} runs on the CPU only; x is on {rows.device}. Use solver='auto'.")
    if isinstance(penalty, str) and penalty != "auto":
        raise InputError(f"penalty must be a number above 0, one for each atom, 'auto' or None; got {penalty!r}.")
    if (solver == "pursuit") != (penalty is None) and (solver == "pursuit" or solver != "auto"):
        raise InputError(
            f"solver='pursuit' goes with n_active and no penalty, the others with a penalty; got solver={solver!r} and "
            f"penalty={penalty!r}."
        )
    needed = penalty is None or isinstance(penalty, str)
    if needed and (n_active is None or not 1 <= n_active <= n_atoms):
        raise InputError(f"n_active must be from 1 to the {n_atoms} atoms where there is no penalty; got {n_active}.")
    if not needed and n_active is not None:
        raise InputError("n_active goes with penalty='auto' (a mean) or no penalty (a pursuit); got a penalty as well.")


def _by_descent(
    problem: Problem, start: _Start, room: Tensor | None, tol: float, max_iter: int, solver: str, n_threads: int
) -> tuple[str, list[Found]]:
    x = problem.x
    if solver != "fista" and x.device.type == "cpu":
        form, parts = solve_by_coordinates(
            problem, start, room, tol, max_iter, greedy=solver != "cyclic", n_threads=n_threads
        )
        forms = {"whole": "whole Gram", "cached": "candidates, Gram", "factored": "candidates, factored"}
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
            room[i : i + step] = z
    return f"fista: {form}", parts


def _by_pursuit(problem: Problem, n_active: int) -> tuple[str, list[Found]]:
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


def _ordered(found: Found) -> Found:
    """The codes in use first, and their number."""
    assert found.atom is not None
    order = (found.codes == 0).long().argsort(dim=1, stable=True)
    return found._replace(
        atom=found.atom.gather(1, order), codes=found.codes.gather(1, order), n_used=(found.codes != 0).sum(1)
    )


def _refitted(problem: Problem, parts: list[Found], pruned: bool) -> list[Found]:
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


def _joined(
    problem: Problem, parts: list[Found], room: Tensor | None, sparse: bool, tol: float, pursuit: bool
) -> Encoding:
    """All blocks as one, with codes of the atoms as they came; those in `room` if they are there already."""
    shape = (len(problem.x), len(problem.atoms))
    value, gap, iterations, kkt = (
        _as_one([getattr(part, name) for part in parts], problem.x)
        for name in ("objective", "gap", "iterations", "kkt")
    )
    converged = kkt <= 1e-4 if pursuit else gap <= tol
    if sparse:
        z: Any = _compressed(problem, parts, shape)
    else:
        if room is None:
            room = problem.x.new_zeros(shape)
            for part, rows in zip(parts, room.split([len(part.codes) for part in parts]), strict=True):
                spread(part, rows)
        z = room.div_(problem.norms)
    return Encoding(z, value, gap, iterations, converged, kkt, "", None)


def _as_one(pieces: list[Tensor], like: Tensor) -> Tensor:
    if len(pieces) == 1:
        return pieces[0]
    return torch.cat(pieces) if pieces else like.new_empty(0)


def _compressed(problem: Problem, parts: list[Found], shape: tuple[int, int]) -> scipy.sparse.csr_array:
    data, columns, counts = [], [], []
    for part in parts:
        assert part.atom is not None
        used = part.codes != 0
        data.append((part.codes / problem.norms[part.atom])[used].cpu().numpy())
        columns.append(part.atom[used].int().cpu().numpy())
        counts.append(used.sum(1).cpu().numpy())
    pointer = np.concatenate([[0], *counts]).cumsum()
    if not data:
        return scipy.sparse.csr_array(shape)
    z = scipy.sparse.csr_array((np.concatenate(data), np.concatenate(columns), pointer), shape=shape)
    z.sort_indices()
    return z


def _of_kind(found: Encoding, x: Any, dtype: torch.dtype) -> Encoding:
    """In the precision of the samples, and numpy where they were numpy."""
    if isinstance(x, torch.Tensor) and found.objective.dtype == dtype and not scipy.sparse.issparse(found.codes):
        return found

    def back(values: Any) -> Any:
        if isinstance(values, scipy.sparse.sparray):
            return values.astype(np.float32) if dtype == torch.float32 else values
        if not isinstance(values, torch.Tensor):
            return values
        values = values.to(dtype) if values.is_floating_point() else values
        return values if isinstance(x, torch.Tensor) else values.numpy()

    return Encoding(*map(back, found))
