"""Compressed sensing in numbers: how many units so many sparse features need, by theory and measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from neurosparse.backend.resampling import generator, is_real, real_numbers, whole_number
from neurosparse.errors import InputError
from neurosparse.identifiability.constituents import finite_rows

Array = NDArray[np.float64]

CONSTANTS = (1.0, 1.5, 2.0)


def compressed_sensing_bounds(
    n: Any, m: Any, k: Any, *, constants: Sequence[float] = CONSTANTS, dictionary: Any = None
) -> xr.Dataset:
    """What sparse recovery needs of n features on m units with k of them active.

    Parameters
    ----------
    n, m, k : int or sequence of int
        Numbers of features, units and active features, 1 <= k < n.
    constants : sequence of float
        The c of ``m = c k ln(n / k)``: near 1 in the measured transition, 2 with room to spare (`phase_diagram`).
    dictionary : array or DataArray (atom, unit), optional
        Its own coherence beside the best possible one.

    Returns
    -------
    xarray.Dataset over those of (n_features, n_units, n_active) that were given as sequences
        - ``c``: m / (k ln(n / k)), what these sizes have
        - ``units_needed`` (and constant): c k ln(n / k); ``capacity`` (and constant, without n_features):
          k exp(m / (c k)), the most features
        - ``welch``: sqrt((n - m) / (m (n - 1))), the least coherence of any n atoms; 0 where n <= m
        - ``guaranteed_active``: (1 + 1 / welch) / 2, below which every code is recovered at best; and
          ``guaranteed_active_here`` with the coherence of `dictionary`, in attrs
        - ``strong_units``: the m' that solves m' = 2 k ln(n / m'), Donoho and Tanner's strong threshold for n >> m

    Raises
    ------
    InputError
        If a size is below 1 or k is not below n.

    Notes
    -----
    Guarantees by coherence hold for every code and are far from what is usual: k grows with sqrt(m) there, with
    m / ln(n / k) for most random dictionaries. All of them speak of a known dictionary without noise. Recovery by the
    L1 norm is a convex problem; only the L0 problem and finding the dictionary are not.

    References
    ----------
    L. Welch, IEEE Transactions on Information Theory 20:397-399 (1974). D. Donoho and M. Elad, PNAS 100:2197-2202
    (2003). D. Donoho and J. Tanner, Journal of the AMS 22:1-53 (2009). Capacity as in D. Klindt et al.,
    arXiv:2503.01824 (2025), equation 7 solved for n.

    Examples
    --------
    >>> found = compressed_sensing_bounds(1000, 93, 10)
    >>> round(float(found["c"]), 2)
    2.02
    """
    sizes = [np.unique(_whole(one, name)) for one, name in ((n, "n"), (m, "m"), (k, "k"))]
    if any(one.min() < 1 for one in sizes) or sizes[2].max() >= sizes[0].min():
        raise InputError(
            f"bounds need n > k >= 1 and m >= 1; got n {sizes[0].tolist()}, m {sizes[1].tolist()}, "
            f"k {sizes[2].tolist()}."
        )
    c = real_numbers(constants, "constants")
    if not (c > 0).all():
        raise InputError(f"constants must be positive numbers; got {constants!r}.")
    names = ("n_features", "n_units", "n_active")
    features, units, active = (
        xr.DataArray(one.astype(float), dims=name, coords={name: one}) for name, one in zip(names, sizes, strict=True)
    )
    constant = xr.DataArray(c, dims="constant", coords={"constant": c})
    bits = active * np.log(features / active)
    welch: xr.DataArray = (features - units).clip(0.0) / (units * (features - 1))
    welch = welch**0.5
    result = xr.Dataset(
        {
            "c": units / bits,
            "units_needed": constant * bits,
            "capacity": active * np.exp(np.minimum(units / (constant * active), 700.0)),
            "welch": welch,
            "guaranteed_active": (1 + 1 / welch.where(welch > 0)) / 2,
            "strong_units": _strong_units(features, active),
        }
    )
    result = _without_scalars(result, {"n_features": n, "n_units": m, "n_active": k})
    result.attrs = {"assumes": "a known random dictionary, no noise, codes active independently"}
    if dictionary is not None:
        from neurosparse.backend.superposition.capacity import coherence  # the solvers take a second to import

        mu = coherence(finite_rows(dictionary, "dictionary", "(atom, unit)"))
        result.attrs |= {"coherence": mu, "guaranteed_active_here": (1 + 1 / mu) / 2 if mu > 0 else float("inf")}
    return result


def _whole(sizes: Any, name: str) -> NDArray[np.int64]:
    try:
        values = np.atleast_1d(np.asarray(sizes))
    except ValueError:  # rows of unequal length
        values = np.empty(0)
    if values.ndim != 1 or not values.size or values.dtype.kind not in "iuf" or (values % 1 != 0).any():
        raise InputError(f"{name} must be a whole number or a list of them; got {sizes!r}.")
    return values.astype(np.int64)


def _without_scalars(result: xr.Dataset, given: dict[str, Any]) -> xr.Dataset:
    """Dims that were given as one number become scalar coords."""
    return result.isel({name: 0 for name, one in given.items() if np.ndim(one) == 0})


def _strong_units(features: xr.DataArray, active: xr.DataArray) -> xr.DataArray:
    """The largest root of m = 2 k ln(n / m), by bisection: the right side falls with m, so there is one, below n."""
    low, high = xr.zeros_like(features * active), xr.ones_like(active) * features
    for _ in range(80):
        middle = 0.5 * (low + high)
        short = middle < 2 * active * np.log(features / middle.where(middle > 0, 1e-300))
        low, high = low.where(~short, middle), high.where(short, middle)
    return high


def phase_diagram(
    n: int | Sequence[int] = 100,
    k: int | Sequence[int] = (3, 5, 10),
    c: float | Sequence[float] = (0.5, 1.0, 1.5, 2.0, 3.0),
    *,
    n_samples: int = 500,
    n_draws: int = 3,
    penalty: float = 0.1,
    random_state: Any = 0,
) -> xr.Dataset:
    """How well sparse inference with the true dictionary recovers codes as units become fewer.

    For each n, k and c, ``m = ceil(c k ln(n / k))`` units hold n features in a random dictionary, k of them active with
    values uniform on 0 to 1, and the codes are solved for with that dictionary.

    Parameters
    ----------
    n, k : int or sequence of int
        Features, and active ones.
    c : sequence of float
        Units, as multiples of k ln(n / k).
    n_samples, n_draws : int
        Samples of each random dictionary, and how many dictionaries.
    penalty : float
        Of the L1 norm.
    random_state : int, numpy.random.Generator or None

    Returns
    -------
    xarray.Dataset over c, and n_features and n_active where they were given as sequences
        ``mcc`` (mean matched correlation), ``mcc_sd`` over draws, ``mcc_null`` with a random dictionary instead;
        ``support_f1``; ``n_units``; ``transition`` (without c), the c at which mcc passes halfway from null to 1.

    Raises
    ------
    InputError
        If a size or the penalty is out of range.

    Notes
    -----
    Proportional to the number of cells, n m samples each: the default takes some ten seconds on one core.
    """
    features, active = _whole(n, "n"), _whole(k, "k")
    grid = np.sort(real_numbers(c, "c"))
    if features.min() < 2 or active.min() < 1 or active.max() >= features.min() or not (grid > 0).all():
        raise InputError(
            f"a phase diagram needs n > k >= 1 and c > 0; got n {features.tolist()}, k {active.tolist()}, "
            f"c {grid.tolist()}."
        )
    whole_number(n_samples, "n_samples", 10)
    whole_number(n_draws, "n_draws")
    if not is_real(penalty) or not penalty > 0:
        raise InputError(f"penalty must be positive; got {penalty!r}.")
    from neurosparse.backend.superposition.capacity import draw, recovered  # the solvers take a second to import

    rng = generator(random_state)
    shape = (len(features), len(active), len(grid))
    n_units = np.empty(shape, dtype=np.int64)
    found = np.empty((*shape, n_draws, 3))
    for i, j, l in np.ndindex(shape):
        size, alive = int(features[i]), int(active[j])
        n_units[i, j, l] = int(np.ceil(grid[l] * alive * np.log(size / alive)))
        for number in range(n_draws):
            atoms, codes = draw(size, int(n_units[i, j, l]), alive, n_samples, rng)
            other, _ = draw(size, int(n_units[i, j, l]), alive, 1, rng)
            found[i, j, l, number] = (
                *recovered(atoms, codes, atoms, penalty),
                recovered(atoms, codes, other, penalty)[0],
            )
    dims = ("n_features", "n_active", "c")
    mcc, null = found[..., 0].mean(axis=3), found[..., 2].mean(axis=3)
    result = xr.Dataset(
        {
            "mcc": (dims, mcc),
            "mcc_sd": (dims, found[..., 0].std(axis=3)),
            "mcc_null": (dims, null),
            "support_f1": (dims, found[..., 1].mean(axis=3)),
            "n_units": (dims, n_units),
            "transition": (dims[:2], _crossing(grid, mcc, null)),
        },
        coords={"n_features": features, "n_active": active, "c": grid},
    )
    result = _without_scalars(result, {"n_features": n, "n_active": k})
    result.attrs = {
        "direction": "higher is better",
        "null": "codes of a random dictionary of the same size, matched the same way",
        "assumes": "the true dictionary, no noise",
        "n_samples": n_samples,
        "n_draws": n_draws,
        "penalty": penalty,
    }
    return result


def _crossing(grid: Array, mcc: Array, null: Array) -> Array:
    """First c, interpolated, at which mcc is halfway from the null of that c to 1; NaN where it never is."""
    share = (mcc - null) / np.maximum(1 - null, 1e-12)
    crossing = np.full(mcc.shape[:2], np.nan)
    for i, j in np.ndindex(crossing.shape):
        above = np.flatnonzero(share[i, j] >= 0.5)
        if above.size == 0:
            continue
        first = int(above[0])
        if first == 0:
            crossing[i, j] = grid[0]
            continue
        low, high = share[i, j, first - 1], share[i, j, first]
        crossing[i, j] = grid[first - 1] + (0.5 - low) / (high - low) * (grid[first] - grid[first - 1])
    return crossing
