"""Sparse codes for a dictionary that is given, and their certificate."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse
import xarray as xr

from neurosparse.backend.inference import Codes, Solver, duality_gap, objective
from neurosparse.errors import InputError
from neurosparse.population import as_matrix
from neurosparse.sparse_coding.rows import dictionary_values, encode_rows, label_codes, posed


def sparse_encode(
    x: Any,
    dictionary: Any,
    *,
    penalty: float | Any = None,
    codes: Codes = "nonnegative",
    n_active: int | None = None,
    weights: Any = None,
    offset: Any = None,
    debias: bool = False,
    prune: bool = False,
    solver: Solver = "auto",
    tol: float = 1e-4,
    max_iter: int = 10_000,
    device: Any = "auto",
    nan: str = "raise",
) -> Any:
    """Sparse codes z of each sample: the minimum of ``1/2 ||x - offset - z D||^2 + sum_j penalty_j weights_j |z_j|``.

    Parameters
    ----------
    x : population, (sample, unit) array or tensor
        Of a population all dims but the last are samples. float32 stays float32.
    dictionary : (atom, unit) DataArray, array or tensor
        D. As a DataArray with unit labels it must have those of `x`, in their order.
    penalty : float, (atom,) array or "auto"; or None with `n_active`
        Above 0, in units of `x` for atoms of unit norm; see Notes for the units of others. ``"auto"``: the number that
        gives `n_active` codes a sample on average. None: no penalty, but `n_active` codes by orthogonal matching
        pursuit.
    codes : {"nonnegative", "signed"}
    n_active : int, optional
        Active codes a sample: on average with ``penalty="auto"``, at most without a penalty.
    weights : (atom,) array, optional
        Above 0; multiply the penalty.
    offset : (unit,) array, optional
        Taken away from `x` first.
    debias : bool
        Refit the active codes by least squares, which takes the shrinkage away.
    prune : bool
        Refit, and let go of codes without which the loss rises by less than ``penalty_j^2 / 2``.
    solver : {"auto", "coordinate", "cyclic", "fista", "pursuit"}
        ``"auto"``: compiled coordinate descent on the CPU, batched FISTA on CUDA.
    tol : float
        Largest duality gap of a sample, as a share of half its squared norm.
    max_iter : int
        Steps a sample at the most.
    device : {"auto", "cpu", "cuda"} or torch.device
    nan : {"raise", "drop", "mask"}
        Whether a sample with NaN is an error, gets codes of NaN, or codes of its other units.

    Returns
    -------
    population (..., atom), array or tensor (sample, atom)
        Of the kind of `x`. The attrs of a population say ``solver``, ``penalty``, ``gap_max``, ``kkt_max``,
        ``iterations_mean`` and ``share_converged``; refitted codes are certified as they were before the refit.

    Raises
    ------
    InputError
        If shapes or unit labels do not fit, `x` holds NaN, or the penalty is not above 0.

    Warns
    -----
    ConvergenceWarning
        If samples did not reach `tol`; their number and the largest gap are named.

    Notes
    -----
    ``penalty`` is the ``alpha`` of scikit-learn's ``sparse_encode``, n_units times the ``alpha`` of its ``Lasso``, and
    the ``lambda1`` of SPAMS; c of a sparse autoencoder's mean-squared error plus c mean |z| is
    ``penalty = c * n_units / (2 * n_atoms)``.
    About 0.2 million samples a second at 64 units and 256 atoms, 15 thousand at 256 and 2,048, one CPU thread and
    float32. `certify_codes` checks any codes independently of how they were found; `sparse_encode_csr` gives codes that
    stay sparse.
    """
    samples, rows, observed = posed(x, offset, nan)
    found = encode_rows(
        rows,
        dictionary_values(dictionary, x),
        penalty,
        codes=codes,
        tol=tol,
        max_iter=max_iter,
        device=device,
        n_active=n_active,
        weights=weights,
        mask=observed,
        debias=debias,
        prune=prune,
        solver=solver,
    )
    used = found.penalty if np.ndim(found.penalty) == 0 else "one an atom"
    return label_codes(samples, found.codes, penalty=used, **found.certificate())


def sparse_encode_csr(
    x: Any,
    dictionary: Any,
    *,
    penalty: float | Any = None,
    codes: Codes = "nonnegative",
    n_active: int | None = None,
    offset: Any = None,
    nan: str = "raise",
    device: Any = "auto",
    tol: float = 1e-4,
    max_iter: int = 10_000,
    **options: Any,
) -> scipy.sparse.csr_array:
    """`sparse_encode` for very many atoms: the codes that are not zero, without labels and never as a whole array.

    Parameters
    ----------
    x, dictionary, penalty, codes, n_active, offset, nan, device, tol, max_iter
        As in `sparse_encode`.
    **options
        Its ``weights``, ``debias``, ``prune``, ``solver``.

    Returns
    -------
    scipy.sparse.csr_array (sample, atom)
        Whatever kind `x` is; rows in the order of its samples, those that ``nan="drop"`` left out missing.

    Raises
    ------
    InputError
        As `sparse_encode` does.
    """
    _, rows, observed = posed(x, offset, nan)
    atoms = dictionary_values(dictionary, x)
    found = encode_rows(
        rows,
        atoms,
        penalty,
        codes=codes,
        tol=tol,
        max_iter=max_iter,
        device=device,
        n_active=n_active,
        mask=observed,
        sparse=True,
        **options,
    )
    return found.codes


def certify_codes(
    x: Any,
    dictionary: Any,
    z: Any,
    *,
    penalty: float | Any,
    codes: Codes = "nonnegative",
    offset: Any = None,
) -> xr.Dataset:
    """How close codes are to the best there are, computed from the codes alone.

    Parameters
    ----------
    x, dictionary, penalty, codes, offset
        As `sparse_encode` was given them.
    z : population (..., atom), array or tensor (sample, atom)
        The codes.

    Returns
    -------
    Dataset
        Over ``sample``: ``objective``, ``gap`` (duality gap over half the squared norm), ``kkt`` (largest violation of
        the optimality conditions, as a share of the penalty), ``n_active``.

    Raises
    ------
    InputError
        If shapes or unit labels do not fit, or codes are negative that must not be.
    """
    rows = as_matrix(x).values - (0.0 if offset is None else np.asarray(offset, dtype=float))
    atoms, codes_found = dictionary_values(dictionary, x), as_matrix(z, name="z").values
    if codes_found.shape != (len(rows), len(atoms)):
        raise InputError(
            f"z needs shape {(len(rows), len(atoms))}, one code a sample and atom; got {codes_found.shape}."
        )
    if codes == "nonnegative" and (codes_found < 0).any():
        raise InputError(
            f"z has {int((codes_found < 0).sum())} negative entries, but codes = 'nonnegative'. Give codes='signed'."
        )
    weights = np.broadcast_to(np.asarray(penalty, dtype=float), len(atoms))
    slope = (rows - codes_found @ atoms) @ atoms.T
    bound = slope - weights if codes == "nonnegative" else np.abs(slope) - weights
    violation = np.where(codes_found == 0, np.maximum(bound, 0), np.abs(slope - weights * np.sign(codes_found)))
    signed = codes == "signed"
    return xr.Dataset(
        {
            "objective": ("sample", objective(rows, atoms, codes_found, weights)),
            "gap": ("sample", duality_gap(rows, atoms, codes_found, weights, signed=signed)),
            "kkt": ("sample", (violation / weights).max(1)),
            "n_active": ("sample", (codes_found != 0).sum(1)),
        },
        attrs={"n_samples": len(rows), "n_units": rows.shape[1], "n_atoms": len(atoms), "codes": codes},
    )
