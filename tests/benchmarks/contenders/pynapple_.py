"""pynapple at the same tasks, as its documentation does them."""

from __future__ import annotations

import numpy as np
import pynapple as nap


def counts(path: str, tiny: str, bin_width: float):
    def load(path):
        return nap.load_file(path)["units"].count(bin_width)

    load(tiny)
    return (lambda: load(path)), facts


def trials(path: str, tiny: str, bin_width: float, window: list[float]):
    def load(path):
        session = nap.load_file(path)
        starts = session["trials"].start
        around = nap.IntervalSet(starts + window[0], starts + window[1])
        return nap.build_tensor(session["units"], around, bin_size=bin_width)

    load(tiny)
    return (lambda: load(path)), facts


def frames(path: str, tiny: str, window: list[float]):
    def load(path):
        session = nap.load_file(path)
        starts = session["trials"].start
        around = nap.IntervalSet(starts + window[0], starts + window[1])
        return nap.build_tensor(session["RoiResponseSeries"], around)

    load(tiny)
    return (lambda: load(path)), facts


def facts(x):
    values = np.asarray(x)
    return {
        "shape": list(values.shape),
        "dtype": str(values.dtype),
        "trial_axis": 1,
        "output_mb": values.nbytes / 1e6,
        "sum": float(np.nansum(values, dtype=float)),
    }
