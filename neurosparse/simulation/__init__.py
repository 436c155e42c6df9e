"""Worlds with known latents and dictionaries: what a method should find is written down before it is asked.

``sparse_world`` draws a world, ``write_world`` makes a real NWB file of it, ``world_network`` builds a network that
sees its images, ``gaussian_like`` is the control that has no sparse features at all. ``cluster_world`` is the process
of the identifiability theorem and ``classifier_features`` an encoder trained on it. Loaded on first use: importing this
room costs no torch and no pynwb.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

_HOMES = {
    "ClusterWorld": "clusters",
    "classifier_features": "classifier",
    "cluster_world": "clusters",
    "Firing": "firing",
    "World": "worlds",
    "sparse_world": "worlds",
    "write_world": "nwb_file",
    "world_network": "model",
    "gaussian_like": "controls",
}
__all__ = [
    "ClusterWorld",
    "Firing",
    "World",
    "classifier_features",
    "cluster_world",
    "gaussian_like",
    "sparse_world",
    "world_network",
    "write_world",
]

if TYPE_CHECKING:
    from neurosparse.simulation.classifier import classifier_features
    from neurosparse.simulation.clusters import ClusterWorld, cluster_world
    from neurosparse.simulation.controls import gaussian_like
    from neurosparse.simulation.firing import Firing
    from neurosparse.simulation.model import world_network
    from neurosparse.simulation.nwb_file import write_world
    from neurosparse.simulation.worlds import World, sparse_world


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
