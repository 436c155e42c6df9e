"""Sparse codes for a dictionary that is given, and their certificate."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse
import xarray as xr

from neurosparse.backend.inference import Codes, Solver, certificate_of
from neurosparse.errors import InputError
from neurosparse.population import as_matrix
from neurosparse.sparse_coding.rows import dictionary_values, encode_rows, label_codes, posed

# Entries of samples by atoms that are looked at together.
CERTIFIED = 2**22


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
    About 0.3 million samples a second at 64 units and 256 atoms, 20 thousand at 256 and 2,048, one CPU thread and
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
    x: Any, dictionary: Any, *, penalty: float | Any = None, offset: Any = None, nan: str = "raise", **options: Any
) -> scipy.sparse.csr_array:
    """`sparse_encode` for very many atoms: the codes that are not zero, without labels and never as a whole array.

    Parameters
    ----------
    x, dictionary, penalty, offset, nan
        As in `sparse_encode`.
    **options
        Its ``codes``, ``n_active``, ``weights``, ``debias``, ``prune``, ``solver``, ``tol``, ``max_iter``, ``device``.

    Returns
    -------
    scipy.sparse.csr_array (sample, atom)
        Whatever kind `x` is; rows in the order of its samples, those that ``nan="drop"`` left out missing.

    Raises
    ------
    InputError
        As `sparse_encode` does.

    Warns
    -----
    ConvergenceWarning
        As `sparse_encode` does; `certify_codes` takes the codes as they are.
    """
    _, rows, observed = posed(x, offset, nan)
    atoms = dictionary_values(dictionary, x)
    return encode_rows(rows, atoms, penalty, mask=observed, sparse=True, **options).codes


def certify_codes(
    x: Any,
    dictionary: Any,
    z: Any,
    *,
    penalty: float | Any,
    codes: Codes = "nonnegative",
    weights: Any = None,
    offset: Any = None,
    nan: str = "raise",
) -> xr.Dataset:
    """How close codes are to the best there are, computed from the codes alone.

    Parameters
    ----------
    x, dictionary, penalty, codes, weights, offset, nan
        As `sparse_encode` was given them.
    z : population (..., atom), array or tensor (sample, atom), or scipy sparse array
        The codes.

    Returns
    -------
    Dataset
        Over ``sample``: ``objective``, ``gap`` (duality gap over half the squared norm), ``kkt`` (largest violation of
        the optimality conditions, as a share of the penalty), ``n_active``. In float64.

    Raises
    ------
    InputError
        If shapes or unit labels do not fit, or codes are negative that must not be.

    Notes
    -----
    A few samples at a time: sparse codes are never dense as a whole.
    """
    _, rows, observed = posed(x, offset, nan)
    atoms = dictionary_values(dictionary, x)
    found: Any = scipy.sparse.csr_array(z) if scipy.sparse.issparse(z) else _code_values(z, nan)
    if found.shape != (len(rows), len(atoms)):
        raise InputError(f"z needs shape {(len(rows), len(atoms))}, one code a sample and atom; got {found.shape}.")
    n_negative = int((found < 0).sum())
    if codes == "nonnegative" and n_negative:
        raise InputError(f"z has {n_negative} negative entries, but codes = 'nonnegative'. Give codes='signed'.")
    size = max(1, CERTIFIED // len(atoms))
    pieces = []
    for start in range(0, len(rows), size):
        some = slice(start, start + size)
        part = found[some].toarray() if scipy.sparse.issparse(found) else found[some]
        mask = None if observed is None else observed[some]
        worth = certificate_of(
            rows[some].astype(float), atoms, part, penalty, signed=codes == "signed", weights=weights, mask=mask
        )
        pieces.append((*worth, (part != 0).sum(1)))
    objective, gap, kkt, n_active = (("sample", np.concatenate(column)) for column in zip(*pieces, strict=True))
    return xr.Dataset(
        {"objective": objective, "gap": gap, "kkt": kkt, "n_active": n_active},
        attrs={"n_samples": len(rows), "n_units": rows.shape[1], "n_atoms": len(atoms), "codes": codes},
    )


def _code_values(z: Any, nan: str) -> np.ndarray:
    return as_matrix(z, nan="drop" if nan == "drop" else "raise", name="z").values
