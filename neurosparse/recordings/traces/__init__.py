"""A time series as a population: over time, in windows, or one sample a trial.

`Series` and `Request` enter, populations leave.
"""

from neurosparse.recordings.traces.choosing import chosen_frames
from neurosparse.recordings.traces.loading import load_rois, load_series, load_trials, measure_of

__all__ = ["chosen_frames", "load_rois", "load_series", "load_trials", "measure_of"]
