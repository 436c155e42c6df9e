"""Linear maps scored on samples that they have not seen: ridge with its penalty chosen inside the training rows.

Float arrays with samples in rows enter and arrays leave. Imports numpy, scipy and ``errors`` alone; anyone above the
backend may import it. Symbols: n training rows, m test rows, d rank of the predictors, k unpenalised columns (the
intercept, and drift where there is one), t targets, l penalties, g inner folds.
"""

from neurosparse.backend.linear.inner import inner_choice, inner_correlations, inner_errors
from neurosparse.backend.linear.lowrank import LowRank, LowRankScores, cross_validated_low_rank
from neurosparse.backend.linear.panel import map_singular_values, matched_correlations, participation_ratio
from neurosparse.backend.linear.ridge import RidgeFold, isometric, ridge_fold, ridge_predict
from neurosparse.backend.linear.scoring import correlations, fisher_mean, held_out_scores
from neurosparse.backend.linear.share import Share, linear_share
from neurosparse.backend.linear.validation import PENALTIES, RidgeScores, cross_validated_ridge

__all__ = [
    "PENALTIES",
    "LowRank",
    "LowRankScores",
    "RidgeFold",
    "RidgeScores",
    "Share",
    "correlations",
    "cross_validated_low_rank",
    "cross_validated_ridge",
    "fisher_mean",
    "held_out_scores",
    "inner_choice",
    "inner_correlations",
    "inner_errors",
    "isometric",
    "linear_share",
    "map_singular_values",
    "matched_correlations",
    "participation_ratio",
    "ridge_fold",
    "ridge_predict",
]
