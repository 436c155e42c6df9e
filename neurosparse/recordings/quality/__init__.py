"""A first look at a recording: each unit in numbers, and which questions so many stimuli and repeats can carry.

Spike trains, a series or a (trial, unit) population enter, an xarray Dataset over units leaves.
"""

from neurosparse.recordings.quality.alone import of_series, of_trains
from neurosparse.recordings.quality.telling import as_dataset, questions, told
from neurosparse.recordings.quality.trials import of_trials, reliabilities

__all__ = ["as_dataset", "of_series", "of_trains", "of_trials", "questions", "reliabilities", "told"]
