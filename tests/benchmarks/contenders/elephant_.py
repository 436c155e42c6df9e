"""elephant at counting, dense; spike times come in one read of the file, which is quicker than neo's own reader."""

from __future__ import annotations

import h5py
import neo
import numpy as np
import quantities as pq
from elephant.conversion import BinnedSpikeTrain


def counts(path: str, tiny: str, bin_width: float):
    def load(path):
        with h5py.File(path, "r") as file:
            times = file["units/spike_times"][:]
            ends = file["units/spike_times_index"][:].astype(np.int64)
        stop = np.ceil(times.max() / bin_width) * bin_width
        trains = [neo.SpikeTrain(one, t_stop=stop, units="s") for one in np.split(times, ends[:-1])]
        return BinnedSpikeTrain(trains, bin_size=bin_width * pq.s, t_start=0 * pq.s, t_stop=stop * pq.s).to_array()

    load(tiny)
    return (lambda: load(path)), facts


def facts(x):
    return {"shape": list(x.shape), "dtype": str(x.dtype), "output_mb": x.nbytes / 1e6, "sum": float(x.sum())}
