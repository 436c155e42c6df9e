"""Biological neurons: NWB files to populations. The only room that knows pynwb and h5py.

A path enters `open_nwb`, populations leave the recording that it gives. Loaded on first use: pynwb takes a second.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from neurosparse.recordings.load_report import LoadReport, report_of
    from neurosparse.recordings.nwb import Recording, open_nwb

__all__ = ["LoadReport", "Recording", "open_nwb", "report_of"]

_PLACES = {"LoadReport": "load_report", "report_of": "load_report", "Recording": "nwb", "open_nwb": "nwb"}


def __getattr__(name: str) -> Any:
    if name in _PLACES:
        return getattr(importlib.import_module(f"neurosparse.recordings.{_PLACES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
