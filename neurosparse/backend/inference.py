"""Given a dictionary: sparse codes with a certificate, and how well they foretell entries they did not see.

Samples (sample, unit) and a dictionary (atom, unit) enter as numpy arrays or torch tensors; codes (sample, atom) leave
as the same kind. On the CPU a compiled coordinate descent solves each row, on CUDA a batched FISTA solves all at once;
both stop by the same duality gap. Imports numpy, numba, torch, `errors` and `backend.devices`.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numba import njit

from neurosparse.backend.devices import batch_rows
from neurosparse.errors import InputError

Codes = Literal["nonnegative", "signed"]
Solver = Literal["auto", "coordinate", "fista"]
Array = np.ndarray | torch.Tensor
Tensor = torch.Tensor

# FISTA looks at the gap, and lets go of the rows that are done, once in so many steps.
CHECK_EVERY = 10
# Coordinate descent leaps to the optimum over the active codes after so many steps, if they are not more than this.
PATIENCE = 40
MAX_SUPPORT = 256


class Encoding(NamedTuple):
    """Sparse codes and what certifies them, one entry a sample.

    Attributes
    ----------
    codes : (sample, atom)
    objective : (sample,)
        ``1/2 ||x - z D||^2 + sum_j penalty_j |z_j|``.
    gap : (sample,)
        Duality gap over half the sample's squared norm: how far the objective can be from its minimum, relative to the
        objective of empty codes.
    iterations : (sample,)
        Coordinate steps, or FISTA steps.
    converged : (sample,) bool
        Whether the gap is within the tolerance.
    """

    codes: Any
    objective: Any
    gap: Any
    iterations: Any
    converged: Any


def encode(
    x: Array,
    dictionary: Array,
    penalty: float | Array,
    *,
    codes: Codes = "nonnegative",
    initial: Array | None = None,
    tol: float = 1e-4,
    max_iter: int = 10_000,
    solver: Solver = "auto",
) -> Encoding:
    """Codes z that minimise ``1/2 ||x - z D||^2 + sum_j penalty_j |z_j|`` for each sample x.

    Parameters
    ----------
    x : (sample, unit) array or tensor
        The offset already taken away. Finite.
    dictionary : (atom, unit) array or tensor
        D, on the same device. Atoms need not have unit norm; an atom of zeros stays unused.
    penalty : float or (atom,) array
        Above 0, in units of x (for atoms of unit norm).
    codes : {"nonnegative", "signed"}
        Whether z >= 0.
    initial : (sample, atom), optional
        Codes to start from, such as those of a nearby dictionary. Not changed.
    tol : float
        Where a row is done: duality gap at most ``tol * ||x||^2 / 2``.
    max_iter : int
        Steps a row at the most.
    solver : {"auto", "coordinate", "fista"}
        ``"auto"``: coordinate descent on the CPU, FISTA elsewhere.

    Returns
    -------
    Encoding
        Of the kind of `x`. Rows that did not converge are counted in it; who calls must warn.

    Raises
    ------
    InputError
        If shapes do not fit, a penalty is not above 0, or an option has no such name.

    Notes
    -----
    ``penalty`` is scikit-learn's ``alpha`` of ``sparse_encode`` and SPAMS's ``lambda1``; a sparse autoencoder's
    coefficient c of mean |z| against mean squared error is ``penalty = c * n_units / (2 * n_atoms)``.
    Coordinate descent takes the coordinate that moves most [1]_; a step costs O(atom), the Gram matrix atom^2 numbers.
    Rows that need many steps now and then leap to the optimum over their active codes [3]_.
    FISTA [2]_ restarts each row by itself when its momentum points uphill, and iterates on D rather than on the Gram
    where there are at least twice as many atoms as units. Deterministic on the CPU.

    References
    ----------
    .. [1] Li & Osher 2009, coordinate descent with greedy selection for compressed sensing.
    .. [2] Beck & Teboulle 2009, FISTA; O'Donoghue & Candes 2015, eq. 13 (adaptive restart).
    .. [3] Lee, Battle, Raina & Ng 2007, feature-sign search.
    """
    rows, atoms = _tensor(x), _tensor(dictionary)
    atoms = atoms.to(rows.dtype)
    weights = _penalties(penalty, rows, atoms, codes)
    if solver not in ("auto", "coordinate", "fista"):
        raise InputError(f"solver must be 'auto', 'coordinate' or 'fista'; got {solver!r}.")
    if solver == "coordinate" and rows.device.type != "cpu":
        raise InputError(f"solver 'coordinate' runs on the CPU only; x is on {rows.device}. Use solver='auto'.")
    n_samples, n_atoms = len(rows), len(atoms)
    start = rows.new_zeros((n_samples, n_atoms)) if initial is None else _tensor(initial).to(rows, copy=True)
    if start.shape != (n_samples, n_atoms):
        raise InputError(f"initial codes need shape {(n_samples, n_atoms)}; got {tuple(start.shape)}.")
    if codes == "nonnegative":
        start.clamp_(min=0)
    compiled = solver == "coordinate" or (solver == "auto" and rows.device.type == "cpu")
    solve = _coordinate if compiled else _fista
    step = batch_rows(8 * rows.element_size() * (n_atoms + rows.shape[1]), rows.device, n_rows=n_samples)
    parts = [
        solve(rows[i : i + step], atoms, weights, codes == "nonnegative", start[i : i + step], tol, max_iter)
        for i in range(0, n_samples, step)
    ]
    found = Encoding(*(torch.cat(entries) for entries in zip(*parts, strict=True)))
    return found if isinstance(x, torch.Tensor) else Encoding(*(entry.numpy() for entry in found))


def duality_gap(x: Array, dictionary: Array, codes: Array, penalty: float | Array, *, signed: bool = False) -> Any:
    """How far the objective of `codes` can be from its minimum, over half the squared norm, for each sample.

    ``gap = P(z) - max(0 over theta) D(theta)`` at ``theta = s r``, r the residual and s the largest scale of at most 1
    at which no atom's correlation with theta exceeds its penalty.

    Parameters
    ----------
    x, dictionary, codes, penalty
        As in `encode`; the codes may come from anywhere.
    signed : bool
        Whether codes may be negative.

    Returns
    -------
    (sample,) array or tensor
        0 for a sample of zeros with empty codes.
    """
    rows, atoms = _tensor(x), _tensor(dictionary)
    weights = _penalties(penalty, rows, atoms, "signed" if signed else "nonnegative")
    z = _tensor(codes).to(rows)
    residual = rows - z @ atoms
    gap = _certify(rows, residual, residual @ atoms.T, z, weights, not signed)[1]
    return gap if isinstance(x, torch.Tensor) else gap.numpy()


def objective(x: Array, dictionary: Array, codes: Array, penalty: float | Array) -> Any:
    """``1/2 ||x - z D||^2 + sum_j penalty_j |z_j|`` of each sample, (sample,)."""
    rows, atoms = _tensor(x), _tensor(dictionary)
    z = _tensor(codes).to(rows)
    value = 0.5 * (rows - z @ atoms).square().sum(1) + (_tensor(penalty).to(rows) * z.abs()).sum(1)
    return value if isinstance(x, torch.Tensor) else value.numpy()


def held_out_entries(
    x: Array,
    dictionary: Array,
    penalty: float,
    *,
    codes: Codes = "nonnegative",
    n_groups: int = 10,
    random_state: Any = 0,
    tol: float = 1e-3,
) -> Any:
    """Squared error of each sample's hidden units, foretold by codes inferred from its other units.

    The units fall into `n_groups` random groups; each group in turn is hidden, codes are inferred from the rest, and
    the hidden units are read off the dictionary. The sum over groups counts every entry once.

    Parameters
    ----------
    x : (sample, unit) array or tensor
        The offset already taken away; samples that the dictionary was not fitted on.
    dictionary : (atom, unit) array or tensor
    penalty : float
    codes : {"nonnegative", "signed"}
    n_groups : int
        At most the number of units.
    random_state : int or numpy.random.RandomState
    tol : float
        As in `encode`.

    Returns
    -------
    (sample,) array or tensor
        ``sum_u (x_u - xhat_u)^2``. Compare with ``sum_u x_u^2``, the error of the offset alone.

    Notes
    -----
    Unlike the error of a reconstruction it does not fall without end as atoms are added or the penalty is lowered.
    Costs `n_groups` encodings.
    """
    rows, atoms = _tensor(x), _tensor(dictionary)
    order = np.random.RandomState(random_state).permutation(rows.shape[1])
    error = rows.new_zeros(len(rows))
    for group in np.array_split(order, min(n_groups, len(order))):
        seen = torch.as_tensor(np.setdiff1d(order, group), device=rows.device)
        hidden = torch.as_tensor(group, device=rows.device)
        z = encode(rows[:, seen], atoms[:, seen], penalty, codes=codes, tol=tol).codes
        error += (rows[:, hidden] - z @ atoms[:, hidden]).square().sum(1)
    return error if isinstance(x, torch.Tensor) else error.numpy()


def _tensor(values: Any) -> Tensor:
    if isinstance(values, torch.Tensor):
        return values if values.is_floating_point() else values.to(torch.float64)
    values = np.asarray(values)
    if values.dtype not in (np.float32, np.float64):
        values = values.astype(np.float64)
    if not values.flags.writeable:  # torch warns of memory it might write to
        values = values.copy()
    return torch.from_numpy(np.ascontiguousarray(values)).reshape(values.shape)


def _penalties(penalty: float | Array, rows: Tensor, atoms: Tensor, codes: str) -> Tensor:
    """One penalty an atom, having checked that the pieces fit."""
    if rows.ndim != 2 or atoms.ndim != 2 or rows.shape[1] != atoms.shape[1]:
        raise InputError(
            f"x needs shape (sample, unit) and dictionary (atom, unit) with the same units; got {tuple(rows.shape)} "
            f"and {tuple(atoms.shape)}."
        )
    if codes not in ("nonnegative", "signed"):
        raise InputError(f"codes must be 'nonnegative' or 'signed'; got {codes!r}.")
    weights = _tensor(penalty).to(rows)
    if weights.ndim > 1 or (weights.ndim == 1 and len(weights) != len(atoms)):
        raise InputError(
            f"penalty needs one number, or one for each of {len(atoms)} atoms; got {tuple(weights.shape)}."
        )
    if not bool((weights > 0).all()) or not bool(weights.isfinite().all()):
        raise InputError(
            f"penalty must be above 0 and finite; got {float(weights.min())}. Without a penalty codes are not sparse: "
            "use non-negative least squares (scipy.optimize.nnls)."
        )
    return weights.expand(len(atoms)).contiguous()


def _coordinate(
    x: Tensor, atoms: Tensor, weights: Tensor, nonnegative: bool, z: Tensor, tol: float, max_iter: int
) -> Encoding:
    """The compiled solver; `z` is overwritten."""
    value, gap = np.zeros((2, len(x)), dtype=x.numpy().dtype)
    iterations = np.zeros(len(x), dtype=np.int64)
    z = z.contiguous()
    _descend(
        (atoms @ atoms.T).numpy(),
        (x @ atoms.T).contiguous().numpy(),
        x.square().sum(1).numpy(),
        weights.numpy(),
        nonnegative,
        z.numpy(),
        tol,
        max_iter,
        value,
        gap,
        iterations,
    )
    return Encoding(z, *map(torch.from_numpy, (value, gap, iterations, gap <= tol)))


@njit(cache=True, fastmath=True, error_model="numpy")
def _leap(
    gram: np.ndarray,
    correlation: np.ndarray,
    penalty: np.ndarray,
    z: np.ndarray,
    gradient: np.ndarray,
    support: np.ndarray,
    factor: np.ndarray,
    aims: np.ndarray,
) -> None:  # pragma: no cover (compiled)
    """Go to the optimum over the active codes with their signs as they are, or as far as the first sign would change.

    Where active atoms are alike, coordinate steps creep; along this line the objective falls all the way.
    """
    n_atoms = len(z)
    size = 0
    for j in range(n_atoms):
        if z[j] != 0.0:
            support[size] = j
            size += 1
            if size > MAX_SUPPORT - 1:
                return
    for p in range(size):  # Cholesky
        for q in range(p + 1):
            value = gram[support[p], support[q]]
            for r in range(q):
                value -= factor[p, r] * factor[q, r]
            if p == q:
                if value < 1e-7 * gram[support[p], support[p]]:
                    return
                factor[p, p] = np.sqrt(value)
            else:
                factor[p, q] = value / factor[q, q]
    for p in range(size):
        j = support[p]
        value = correlation[j] - (penalty[j] if z[j] > 0 else -penalty[j])
        for r in range(p):
            value -= factor[p, r] * aims[r]
        aims[p] = value / factor[p, p]
    for p in range(size - 1, -1, -1):
        value = aims[p]
        for r in range(p + 1, size):
            value -= factor[r, p] * aims[r]
        aims[p] = value / factor[p, p]
    share = 1.0
    blocker = -1
    for p in range(size):
        now = z[support[p]]
        if now * aims[p] <= 0.0 and now / (now - aims[p]) < share:
            share = now / (now - aims[p])
            blocker = support[p]
    for p in range(size):
        j = support[p]
        move = share * (aims[p] - z[j])
        if j == blocker:
            move = -z[j]
            z[j] = 0.0
        else:
            z[j] += move
        for l in range(n_atoms):
            gradient[l] -= move * gram[j, l]


@njit(cache=True, fastmath=True, error_model="numpy")
def _descend(
    gram: np.ndarray,
    correlation: np.ndarray,
    squared: np.ndarray,
    penalty: np.ndarray,
    nonnegative: bool,
    codes: np.ndarray,
    tol: float,
    max_iter: int,
    value: np.ndarray,
    gap: np.ndarray,
    iterations: np.ndarray,
) -> None:  # pragma: no cover (compiled)
    """Greedy coordinate descent, row by row: `codes`, `value`, `gap` and `iterations` are written in place."""
    n_samples, n_atoms = correlation.shape
    inverse = np.empty(n_atoms, dtype=gram.dtype)
    shrink = np.empty(n_atoms, dtype=gram.dtype)
    weight = np.empty(n_atoms, dtype=gram.dtype)  # of a move, which makes it a share of the penalty
    for j in range(n_atoms):
        inverse[j] = 1 / gram[j, j] if gram[j, j] > 1e-12 else 0.0
        shrink[j] = penalty[j] * inverse[j]
        weight[j] = gram[j, j] / penalty[j]
    gradient = np.empty(n_atoms, dtype=gram.dtype)  # d_j . r
    support = np.empty(n_atoms, dtype=np.int64)
    factor = np.empty((MAX_SUPPORT, MAX_SUPPORT), dtype=gram.dtype)
    aims = np.empty(MAX_SUPPORT, dtype=gram.dtype)
    for i in range(n_samples):
        z = codes[i]
        for j in range(n_atoms):
            gradient[j] = correlation[i, j]
        for j in range(n_atoms):
            if inverse[j] == 0.0:
                z[j] = 0.0
            if z[j] != 0.0:
                for l in range(n_atoms):
                    gradient[l] -= z[j] * gram[j, l]
        # The gap is of first order in the largest move left, so ask for a smaller one only where it is not met.
        threshold = 10 * tol
        step = 0
        since = 0  # steps since the last leap
        aim = z[0]
        while True:
            while step < max_iter:
                largest = 0.0
                best = 0
                for j in range(n_atoms):
                    target = z[j] + gradient[j] * inverse[j]
                    if nonnegative:
                        target = max(target - shrink[j], 0.0)
                    else:
                        target = max(target - shrink[j], 0.0) + min(target + shrink[j], 0.0)
                    share = abs(target - z[j]) * weight[j]
                    if share > largest:
                        largest = share
                        best = j
                        aim = target
                if largest <= threshold:
                    break
                move = aim - z[best]
                z[best] = aim
                for l in range(n_atoms):
                    gradient[l] -= move * gram[best, l]
                step += 1
                since += 1
                if since >= PATIENCE:
                    since = 0
                    _leap(gram, correlation[i], penalty, z, gradient, support, factor, aims)
            fit = 0.0
            left = 0.0
            size = 0.0
            scale = 1.0
            for j in range(n_atoms):
                slope = gradient[j] if nonnegative else abs(gradient[j])
                if slope * scale > penalty[j]:
                    scale = penalty[j] / slope
                if z[j] != 0.0:
                    fit += correlation[i, j] * z[j]
                    left += gradient[j] * z[j]
                    size += penalty[j] * abs(z[j])
            residual = max(squared[i] - fit - left, 0.0)
            dual = scale * (squared[i] - fit) - 0.5 * scale * scale * residual
            value[i] = 0.5 * residual + size
            excess = max(value[i] - dual, 0.0)
            gap[i] = 2 * excess / squared[i] if squared[i] > 0 else 0.0
            if gap[i] <= tol or step >= max_iter or threshold < 1e-14:
                break
            threshold *= 0.1
        iterations[i] = step


def _shrink(values: Tensor, by: Tensor, nonnegative: bool) -> Tensor:
    if nonnegative:
        return (values - by).clamp_(min=0)
    return values.sign() * (values.abs() - by).clamp_(min=0)


def _certify(
    x: Tensor, residual: Tensor, gradient: Tensor, z: Tensor, weights: Tensor, nonnegative: bool
) -> tuple[Tensor, Tensor]:
    """Objective and relative duality gap of each row."""
    slope = (gradient if nonnegative else gradient.abs()) / weights
    scale = 1 / slope.amax(1).clamp(min=1)  # (sample,)
    left = residual.square().sum(1)
    primal = 0.5 * left + (weights * z.abs()).sum(1)
    dual = scale * (residual * x).sum(1) - 0.5 * scale.square() * left
    half = 0.5 * x.square().sum(1)
    gap = (primal - dual).clamp(min=0) / half.clamp(min=torch.finfo(x.dtype).tiny)
    return primal, torch.where(half > 0, gap, primal)


def _fista(
    x: Tensor, atoms: Tensor, weights: Tensor, nonnegative: bool, z: Tensor, tol: float, max_iter: int
) -> Encoding:
    """Batched FISTA; rows leave the batch as they converge."""
    n_atoms, n_units = atoms.shape
    small = atoms @ atoms.T if n_atoms < n_units else atoms.T @ atoms
    curvature = torch.linalg.eigvalsh(small)[-1].clamp(min=torch.finfo(x.dtype).tiny) * (1 + 1e-5)
    gram = atoms @ atoms.T if n_atoms < 2 * n_units else None
    value, gap = x.new_empty((2, len(x)))
    iterations = torch.zeros(len(x), dtype=torch.int64, device=x.device)
    active = torch.arange(len(x), device=x.device)
    old, lead = z.clone(), z.clone()  # (active, atom)
    age = x.new_ones((len(x), 1))
    rows = x
    correlation = rows @ atoms.T
    for step in range(max_iter + 1):
        if step % CHECK_EVERY == 0 or step == max_iter:
            residual = rows - old @ atoms
            at, found = _certify(rows, residual, residual @ atoms.T, old, weights, nonnegative)
            z[active], value[active], gap[active], iterations[active] = old, at, found, step
            keep = found > tol
            if step == max_iter or not bool(keep.any()):
                break
            active, rows, correlation = active[keep], rows[keep], correlation[keep]
            old, lead, age = old[keep], lead[keep], age[keep]
        gradient = correlation - lead @ gram if gram is not None else (rows - lead @ atoms) @ atoms.T
        new = _shrink(lead + gradient / curvature, weights / curvature, nonnegative)
        uphill = ((lead - new) * (new - old)).sum(1, keepdim=True) > 0
        age = torch.where(uphill, 1.0, age)
        older = 0.5 * (1 + (1 + 4 * age.square()).sqrt())
        lead = torch.where(uphill, new, new + (age - 1) / older * (new - old))
        old, age = new, older
    return Encoding(z, value, gap, iterations, gap <= tol)
