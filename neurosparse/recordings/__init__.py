"""Biological neurons: NWB files to populations. The only room that knows pynwb and h5py.

A path enters `open_nwb`, populations leave the recording that it gives. Loaded on first use: pynwb takes a second.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from neurosparse.recordings.nwb import Recording, open_nwb

__all__ = ["Recording", "open_nwb"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(importlib.import_module("neurosparse.recordings.nwb"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
