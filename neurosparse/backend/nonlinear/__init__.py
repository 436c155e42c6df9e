"""What a map that need not be linear predicts of the same targets on the same folds: the ceiling of a linear one.
And how much of the targets is a function of the predictors and not linear, predicted or not.

Float arrays with samples in rows enter, held-out predictions leave. Imports numpy, scikit-learn, ``errors`` and the
rooms `linear` and `resampling`.
"""

from neurosparse.backend.nonlinear.ceiling import NonlinearScores, nonlinear_ceiling
from neurosparse.backend.nonlinear.kernels import bumps_on_a_plane, quadratic_features, radial_features
from neurosparse.backend.nonlinear.planted import plant_quadratics, planted_shares
from neurosparse.backend.nonlinear.shares import ShareForm, share_form

__all__ = [
    "NonlinearScores",
    "ShareForm",
    "bumps_on_a_plane",
    "nonlinear_ceiling",
    "plant_quadratics",
    "planted_shares",
    "quadratic_features",
    "radial_features",
    "share_form",
]
