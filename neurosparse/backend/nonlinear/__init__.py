"""What a map that need not be linear predicts of the same targets on the same folds: the ceiling of a linear one.

Float arrays with samples in rows enter, held-out predictions leave. Imports numpy, scikit-learn, ``errors`` and the
room `linear`.
"""

from neurosparse.backend.nonlinear.ceiling import NonlinearScores, nonlinear_ceiling
from neurosparse.backend.nonlinear.kernels import quadratic_features, radial_features
from neurosparse.backend.nonlinear.planted import plant_quadratics

__all__ = ["NonlinearScores", "nonlinear_ceiling", "plant_quadratics", "quadratic_features", "radial_features"]
