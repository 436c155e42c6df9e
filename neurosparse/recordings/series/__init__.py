"""Time series as lazy arrays with their clock, scale, orientation and the units they stand for.

pynwb series enter, `Series` leave; calcium and any other (time, unit) series are read through it.
"""

from neurosparse.recordings.series.axes import orient
from neurosparse.recordings.series.reading import read_series
from neurosparse.recordings.series.rows import cell_columns, series_units, trial_table
from neurosparse.recordings.series.stored import Series

__all__ = ["Series", "cell_columns", "orient", "read_series", "series_units", "trial_table"]
