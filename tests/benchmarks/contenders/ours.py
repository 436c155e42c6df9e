"""neurosparse at its tasks; each function warms up on a tiny file and gives (work, facts)."""

from __future__ import annotations

import numpy as np

import neurosparse


def counts(path: str, tiny: str, bin_width: float):
    def load(path):
        with neurosparse.open_nwb(path) as recording:
            return recording.spikes(bin_width=bin_width)

    load(tiny)
    return (lambda: load(path)), facts


def trials(path: str, tiny: str, bin_width: float, window: list[float]):
    def load(path):
        with neurosparse.open_nwb(path) as recording:
            return recording.spikes(bin_width=bin_width, align="trials", window=tuple(window))

    load(tiny)
    return (lambda: load(path)), facts


def frames(path: str, tiny: str, window: list[float]):
    def load(path):
        with neurosparse.open_nwb(path) as recording:
            return recording.calcium(align="trials", window=tuple(window))

    load(tiny)
    return (lambda: load(path)), facts


def inspect(path: str, tiny: str):
    def look(path):
        with neurosparse.open_nwb(path) as recording:
            return repr(recording), recording.contents

    look(tiny)
    return (lambda: look(path)), (lambda told: {"parts": len(told[1])})


def facts(x):
    return {
        "shape": list(x.shape),
        "dtype": str(x.dtype),
        "trial_axis": 0,
        "output_mb": x.nbytes / 1e6,
        "sum": float(np.nansum(x.values, dtype=float)),
    }
