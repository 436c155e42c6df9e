"""scikit-learn at sparse codes as its own `sparse_encode` gives them, in float64, the faster for it.

In float32 its tolerance, which it does not let be chosen, is out of reach, and every row takes all 1,000 sweeps.
"""

from __future__ import annotations

from contenders.codes_shared import keeper, problem
from sklearn.decomposition import sparse_encode


def encode(folder: str, penalty: float, share: dict[str, float]):
    x, atoms, few = (values.astype(float) for values in problem(folder, "scikit-learn sparse_encode", share))
    options = {"algorithm": "lasso_cd", "alpha": penalty, "positive": True}
    sparse_encode(few, atoms, **options)
    return (lambda: sparse_encode(x, atoms, **options)), keeper(folder, "sklearn_encode")
