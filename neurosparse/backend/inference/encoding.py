"""Codes for a dictionary, by whichever solver suits, with their certificate."""

from __future__ import annotations

from typing import Any, Literal

import torch

from neurosparse.backend.inference.methods import Start, by_descent, by_pursuit, refitted
from neurosparse.backend.inference.problem import (
    Array,
    Codes,
    Problem,
    Tensor,
    as_tensor,
    blank,
    check_shapes,
    pose,
    scaled,
)
from neurosparse.backend.inference.result import Encoding, joined, of_kind
from neurosparse.errors import InputError

Solver = Literal["auto", "coordinate", "cyclic", "fista", "pursuit"]
SOLVERS = ("auto", "coordinate", "cyclic", "fista", "pursuit")
# float32 carries gaps down to about 1e-6; for smaller ones float32 samples are solved in float64.
FLOAT32_TOL = 1e-5


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
    are over 512 atoms; all atoms are looked at before a row is done. Where the processor multiplies 8-bit integers
    fast (AVX-512 VNNI, AMX) and there are 32 samples, all are looked at in 8 bits, what that may be wrong by is
    bounded, and those within it of their penalty are looked at in full precision [6]_; a row begins with those above
    three standard deviations of chance [7]_. The certificate is exact. Elsewhere the Gram matrix is kept where it
    takes at most 512 MB and there are samples enough to pay for it; else a few of its entries are made as they are
    needed. Rows that need many steps now and then leap to the optimum over their active codes [3]_.
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
    .. [6] Dantas & Gribonval 2019, screening with atoms that are known within a bound.
    .. [7] Donoho, Tsaig, Drori & Starck 2012, stagewise pursuit.
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
        name, parts = by_pursuit(problem, int(n_active or 0))
        found = joined(problem, parts, None, sparse, tol, True)._replace(solver=name, penalty=float("nan"))
    else:
        start = Start(initial, problem)
        found = _solved(problem, start, tol, max_iter, solver, debias, prune, sparse, n_threads)
        found = found._replace(penalty=penalty)
    return of_kind(found, x, torch.float32 if exact else rows.dtype)


def encode_checked(
    x: Tensor,
    dictionary: Tensor,
    penalty: float | Tensor,
    *,
    codes: Codes = "nonnegative",
    initial: Any = None,
    tol: float = 1e-4,
    max_iter: int = 10_000,
    solver: Solver = "auto",
    sparse: bool = False,
) -> Encoding:
    """`encode` for inner loops: the same to the bit, of tensors and options that the caller has checked.

    Parameters
    ----------
    x, dictionary : (sample, unit), (atom, unit) tensor
        Finite, of one dtype on one device; `tol` is at least 1e-5 where that is float32.
    penalty, codes, initial, tol, max_iter, solver, sparse
        As in `encode`; above 0, one penalty for all atoms or a tensor (atom,) like x.
    """
    penalties = penalty if isinstance(penalty, Tensor) else x.new_full((len(dictionary),), penalty)
    problem = scaled(x, dictionary, penalties, codes == "nonnegative", None)
    found = _solved(problem, Start(initial, problem), tol, max_iter, solver, sparse=sparse)
    return found._replace(penalty=penalty)


def _solved(
    problem: Problem,
    start: Start,
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
        room = blank((len(problem.x), len(problem.atoms)), problem.x)
    threads = n_threads or torch.get_num_threads()
    name, parts = by_descent(problem, start, room, tol, max_iter, solver, threads)
    if debias or prune:
        parts = refitted(problem, parts, prune)
    return joined(problem, parts, room, sparse, tol, False)._replace(solver=name)


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
