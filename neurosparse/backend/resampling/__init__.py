"""Splits, nulls, bootstraps and ceilings on arrays: the one place where data are divided or shuffled.

Numpy arrays enter (samples in rows, units in columns) and numpy arrays or index lists leave. Imports numpy, scipy and
``errors`` alone; anyone above the backend may import it. Randomness is always an argument.
"""

from neurosparse.backend.resampling.bootstrap import bootstrap_weights, percentile_interval
from neurosparse.backend.resampling.checks import (
    generator,
    is_real,
    label_codes,
    real_numbers,
    truth_value,
    whole_number,
)
from neurosparse.backend.resampling.duplicates import near_duplicates
from neurosparse.backend.resampling.folds import block_folds, group_folds
from neurosparse.backend.resampling.halves import label_means, random_halves, repeated, split_half_means
from neurosparse.backend.resampling.nulls import autocorrelation_time, circular_shifts, p_value, permutations
from neurosparse.backend.resampling.reliability import (
    column_correlations,
    signal_power,
    spearman_brown,
    split_half_reliability,
)

__all__ = [
    "autocorrelation_time",
    "block_folds",
    "bootstrap_weights",
    "circular_shifts",
    "column_correlations",
    "generator",
    "group_folds",
    "is_real",
    "label_codes",
    "label_means",
    "near_duplicates",
    "p_value",
    "percentile_interval",
    "permutations",
    "random_halves",
    "real_numbers",
    "repeated",
    "signal_power",
    "spearman_brown",
    "split_half_means",
    "split_half_reliability",
    "truth_value",
    "whole_number",
]
