"""Artificial neurons: a torch module and stimuli become populations ``(stimulus, unit)``, one a layer.

``activations`` taps the layers of any module, ``pretrained`` gives networks whose weights install from a package and
their random control, ``pixels`` is the baseline that knows nothing. Loaded on first use: importing this room costs
no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

_HOMES = {"activations": "taps", "pixels": "images", "pretrained": "weights"}
_MODULES = ("images", "taps", "weights")
__all__ = ["activations", "pixels", "pretrained"]

if TYPE_CHECKING:
    from neurosparse.networks.images import pixels
    from neurosparse.networks.taps import activations
    from neurosparse.networks.weights import pretrained


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
