"""The population: one labelled array for recorded and artificial neurons, and everything that is done to it.

A population is an ``xarray.DataArray`` whose last dim is ``unit`` (``atom`` for sparse codes) and whose other dims are
samples: ``(time, unit)``, ``(trial, unit)``, ``(trial, time, unit)``, ``(stimulus, unit)`` or
``(stimulus, time, unit)``. Arrays and files enter, DataArrays leave. Imports numpy, pandas, xarray, ``files``,
``errors`` and the backend's resampling: no torch, no pynwb, no figures.
"""

from neurosparse.population.averaging import average, scale_by_noise
from neurosparse.population.building import from_arrays
from neurosparse.population.checking import DIMS, check
from neurosparse.population.combining import concat, join
from neurosparse.population.history import provenance, record
from neurosparse.population.repeats import reliability, split_halves
from neurosparse.population.samples import Matrix, as_matrix, folds
from neurosparse.population.selecting import restrict, select, subsample_units
from neurosparse.population.storage import open, save

__all__ = [
    "DIMS",
    "Matrix",
    "as_matrix",
    "average",
    "check",
    "concat",
    "folds",
    "from_arrays",
    "join",
    "open",
    "provenance",
    "record",
    "reliability",
    "restrict",
    "save",
    "scale_by_noise",
    "select",
    "split_halves",
    "subsample_units",
]
