"""The generating process of the identifiability theorem: clusters on a sphere, seen through an injective mixing.

Numbers enter, a `ClusterWorld` leaves. Imports ``population``; no files and no torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr
from scipy.stats import vonmises_fisher

from neurosparse import population
from neurosparse.backend.resampling import generator, is_real, whole_number
from neurosparse.errors import InputError

_SLOPE = 0.2  # of the leaky rectifier for negative input: above 0, so that nothing is lost


@dataclass(frozen=True, eq=False)
class ClusterWorld:
    """Latents around cluster centres on the sphere, and what is seen of them.

    Attributes
    ----------
    latents : DataArray (stimulus, unit)
        Unit vectors, drawn from the von Mises-Fisher distribution of their cluster. Coord ``cluster``.
    observations : DataArray (stimulus, unit)
        An injective, nonlinear function of the latents. Coord ``cluster``.
    centres : (cluster, dim) array
    facts : mapping
        Settings.
    """

    latents: xr.DataArray
    observations: xr.DataArray
    centres: np.ndarray
    facts: Mapping[str, Any] = field(repr=False)

    @property
    def clusters(self) -> np.ndarray:
        """Cluster of each stimulus, (stimulus,) int."""
        return np.asarray(self.latents["cluster"].values)


def cluster_world(
    n_dims: int = 5,
    n_clusters: int = 100,
    n_stimuli: int = 20_000,
    *,
    concentration: float = 10.0,
    n_observed: int | None = None,
    n_layers: int = 3,
    swapped: float = 0.0,
    random_state: Any = 0,
) -> ClusterWorld:
    """Draw clusters uniformly on the sphere, latents around them, and mix them injectively.

    ``c ~ uniform, z ~ vMF(v_c, concentration), x = g(z)`` with g of layers ``leaky(A_l . + b_l)``, A_l with orthonormal
    columns; the first layer widens to `n_observed`.

    Parameters
    ----------
    n_dims : int
        Dimension of the space that holds the sphere, at least 2.
    n_clusters : int
        At least `n_dims`, so that the centres can span the space, as the theorem asks.
    n_stimuli : int
    concentration : float
        kappa of the von Mises-Fisher distribution: large ones make clusters separable, where the theorem's optimum is
        never reached and linearity is lost.
    n_observed : int, optional
        At least `n_dims`, the default. More of them make the latents easier to read out linearly.
    n_layers : int
        Leaky layers of the mixing.
    swapped : float
        Share of stimuli whose label is drawn anew: a negative control.
    random_state : int, numpy SeedSequence or Generator, or None

    Returns
    -------
    ClusterWorld

    Raises
    ------
    InputError
        If sizes do not fit.

    References
    ----------
    P. Reizinger et al., Cross-entropy is all you need to invert the data generating process, ICLR (2025),
    arXiv:2410.21869, assumptions 1.
    """
    n_observed = n_dims if n_observed is None else n_observed
    sizes = {
        "n_dims": n_dims,
        "n_clusters": n_clusters,
        "n_observed": n_observed,
        "n_stimuli": n_stimuli,
        "n_layers": n_layers,
    }
    for name, size in sizes.items():
        whole_number(size, name)
    if n_dims < 2 or n_clusters < n_dims or n_observed < n_dims or n_stimuli < n_clusters or n_layers < 1:
        raise InputError(
            "a cluster world needs n_dims >= 2, n_clusters and n_observed >= n_dims, n_stimuli >= n_clusters and "
            f"n_layers >= 1; got {n_dims}, {n_clusters}, {n_observed}, {n_stimuli} and {n_layers}."
        )
    if not is_real(concentration) or not is_real(swapped) or not concentration > 0 or not 0 <= swapped <= 1:
        raise InputError(
            "concentration must be a positive number and swapped a share from 0 to 1; got "
            f"{concentration!r} and {swapped!r}."
        )
    rng = generator(random_state)
    centres = rng.standard_normal((n_clusters, n_dims))
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    clusters = rng.integers(0, n_clusters, n_stimuli)
    latents = np.empty((n_stimuli, n_dims))
    for cluster, centre in enumerate(centres):
        members = np.flatnonzero(clusters == cluster)
        if len(members):
            latents[members] = vonmises_fisher(centre, concentration).rvs(len(members), random_state=rng)
    observed = _mixed(latents, n_observed, n_layers, rng)
    moved = rng.random(n_stimuli) < swapped
    clusters[moved] = rng.integers(0, n_clusters, int(moved.sum()))
    facts = {
        "n_dims": n_dims,
        "n_clusters": n_clusters,
        "concentration": concentration,
        "n_layers": n_layers,
        "swapped": swapped,
        "random_state": str(random_state),
    }
    made = [
        population.from_arrays(
            values,
            dims=("stimulus", "unit"),
            stimulus=np.arange(n_stimuli),
            coords={"cluster": ("stimulus", clusters)},
            kind="simulated",
            source="neurosparse.simulation.cluster_world",
            provenance={"step": "cluster_world", **facts},
        )
        for values in (latents, observed)
    ]
    return ClusterWorld(made[0], made[1], centres, facts)


def _mixed(latents: np.ndarray, n_observed: int, n_layers: int, rng: np.random.Generator) -> np.ndarray:
    values = latents
    for _ in range(n_layers):
        columns = np.linalg.qr(rng.standard_normal((n_observed, values.shape[1])))[0]
        values = values @ columns.T * np.sqrt(n_observed / latents.shape[1]) + 0.5 * rng.uniform(-1, 1, n_observed)
        values = np.where(values > 0, values, _SLOPE * values)
    return np.asarray(values @ np.linalg.qr(rng.standard_normal((n_observed, n_observed)))[0])
