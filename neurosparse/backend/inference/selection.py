"""Which penalty: the one that gives so many active codes, and how well codes foretell entries they did not see."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from neurosparse.backend.inference.encoding import encode
from neurosparse.backend.inference.problem import Array, Codes, as_tensor, check_shapes, pose
from neurosparse.errors import InputError

# Samples that the search looks at, and how near the number of active codes must come.
PROBE = 1000
NEAR = 0.02
MAX_TRIALS = 25


def penalty_for(
    x: Array,
    dictionary: Array,
    n_active: float,
    *,
    codes: Codes = "nonnegative",
    weights: Array | None = None,
    mask: Array | None = None,
    tol: float = 1e-4,
) -> float:
    """The penalty at which a sample has `n_active` active codes on average, found by bisection.

    Parameters
    ----------
    x, dictionary, codes, weights, mask, tol
        As in `encode`. At most 1,000 samples, evenly spaced, are looked at.
    n_active : float
        Above 0, at most the number of atoms.

    Returns
    -------
    float
        The number of active codes comes within 2 %, or as near as 25 trials bring it; with more codes than the units
        allow, the penalty ends at a millionth of the largest one.

    Raises
    ------
    InputError
        If no atom correlates with any sample.
    """
    rows = as_tensor(x)
    atoms = as_tensor(dictionary).to(rows)
    check_shapes(rows, atoms, codes)
    if not 0 < n_active <= len(atoms):
        raise InputError(f"n_active must be above 0 and at most the {len(atoms)} atoms; got {n_active}.")
    probe = torch.linspace(0, len(rows) - 1, min(PROBE, len(rows))).round().long().to(rows.device)
    seen = None if mask is None else torch.as_tensor(mask)[probe.cpu()]
    problem = pose(rows[probe], atoms, 1.0, codes, weights, seen)
    slopes = problem.x @ problem.atoms.T / problem.penalty
    largest = float((slopes if codes == "nonnegative" else slopes.abs()).max()) if slopes.numel() else 0.0
    if not largest > 0:
        raise InputError("no atom correlates with any sample: no penalty gives active codes. Check x and dictionary.")
    low, high, penalty = 1e-6 * largest, largest, 0.2 * largest
    z: Any = None
    for _ in range(MAX_TRIALS):
        found = encode(
            rows[probe], atoms, penalty, codes=codes, weights=weights, mask=seen, initial=z, tol=tol, sparse=True
        )
        z = found.codes
        mean = z.nnz / z.shape[0]
        if abs(mean - n_active) <= NEAR * n_active:
            break
        low, high = (penalty, high) if mean > n_active else (low, penalty)
        if high <= low * (1 + 1e-6):
            break
        penalty = float(np.sqrt(low * high))
    return penalty


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
    rows, atoms = as_tensor(x), as_tensor(dictionary)
    order = np.random.RandomState(random_state).permutation(rows.shape[1])
    error = rows.new_zeros(len(rows))
    for group in np.array_split(order, min(n_groups, len(order))):
        seen = torch.as_tensor(np.setdiff1d(order, group), device=rows.device)
        hidden = torch.as_tensor(group, device=rows.device)
        z = encode(rows[:, seen], atoms[:, seen], penalty, codes=codes, tol=tol).codes
        error += (rows[:, hidden] - z @ atoms[:, hidden]).square().sum(1)
    return error if isinstance(x, torch.Tensor) else error.numpy()
