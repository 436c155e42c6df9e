"""scikit-learn: what a user would call."""

from __future__ import annotations

import numpy as np
from contenders.similarity_shared import codes, facts


def cca(n: int, p: int):
    from sklearn.cross_decomposition import CCA

    x, y = codes(n, p)

    def work():
        model = CCA(n_components=10).fit(x, y)
        a, b = model.transform(x, y)
        return [np.corrcoef(a[:, i], b[:, i])[0, 1] for i in range(10)]

    return work, facts


def ridge(n: int, p: int):
    """One penalty for all targets: RidgeCV's own five folds cannot choose one a target."""
    from sklearn.linear_model import RidgeCV
    from sklearn.model_selection import KFold, cross_val_predict

    x, y = codes(n, p)
    model = RidgeCV(alphas=np.logspace(-3, 3, 7) * n, cv=KFold(5))

    def work():
        predicted, folds = cross_val_predict(model, x, y, cv=KFold(5)), KFold(5).split(x)
        scores = [
            1 - ((y[test] - predicted[test]) ** 2).sum(0) / ((y[test] - y[train].mean(0)) ** 2).sum(0)
            for train, test in folds
        ]
        return np.mean(scores, axis=0)

    return work, facts
