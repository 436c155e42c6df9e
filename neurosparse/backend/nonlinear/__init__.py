"""What a map that need not be linear predicts of the same targets on the same folds: the ceiling of a linear one.
And how much of the targets is a polynomial of the predictors, predicted or not.

Float arrays with samples in rows enter, held-out predictions leave. Imports numpy, scikit-learn, ``errors`` and the
rooms `linear` and `resampling`.
"""

from neurosparse.backend.nonlinear.ceiling import NonlinearScores, nonlinear_ceiling
from neurosparse.backend.nonlinear.kernels import quadratic_features, radial_features
from neurosparse.backend.nonlinear.planted import plant_quadratics
from neurosparse.backend.nonlinear.shares import Share, nonlinear_shares

__all__ = [
    "NonlinearScores",
    "Share",
    "nonlinear_ceiling",
    "nonlinear_shares",
    "plant_quadratics",
    "quadratic_features",
    "radial_features",
]
