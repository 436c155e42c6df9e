"""What linear probes read of a concept from a code: from a few features, from all, and how much each one weighs.

Codes (sample, feature) and one concept (sample,) enter. What is chosen is chosen on training samples, what is scored is
scored on test samples.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV, MultiTaskLassoCV, RidgeCV
from sklearn.metrics import balanced_accuracy_score

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_RIDGE = np.logspace(-3, 5, 9)


@dataclass(frozen=True)
class Split:
    """Training and test rows, and a concept's values; discrete concepts hold classes from 0."""

    train: Ints
    test: Ints
    discrete: bool


def _targets(concept: Floats, split: Split) -> Floats:
    """Columns that a linear map predicts: the classes one by one, or the values, (sample, column)."""
    if not split.discrete:
        return concept[:, None]
    return np.asarray(concept[:, None] == np.unique(concept), dtype=np.float64)


def _standardised(codes: Floats, train: Ints) -> Floats:
    centred = codes - codes[train].mean(axis=0)
    scale = centred[train].std(axis=0)
    return centred / np.where(scale > 1e-12 * np.abs(codes).max(axis=0, initial=0.0), scale, np.inf)


def ranked_features(codes: Floats, concept: Floats, split: Split) -> Ints:
    """Features from the most to the least telling on the training rows: the variance that the concept explains."""
    scaled, targets = _standardised(codes, split.train)[split.train], _targets(concept, split)[split.train]
    targets = targets - targets.mean(axis=0)
    shares = np.maximum((targets**2).sum(axis=0), 1e-300)
    return np.argsort(-((scaled.T @ targets) ** 2 / shares).max(axis=1), kind="stable")


def sparse_probe(codes: Floats, concept: Floats, split: Split, n_features: int) -> float:
    """Held-out score of a probe on the `n_features` features that tell most on the training rows.

    Balanced accuracy of a logistic regression for a discrete concept (chance one over the number of classes), R2 of a
    ridge regression for a continuous one (chance 0).

    References
    ----------
    W. Gurnee et al., arXiv 2305.01610.
    """
    chosen = ranked_features(codes, concept, split)[:n_features]
    scaled = _standardised(codes, split.train)[:, chosen]
    train, test = scaled[split.train], scaled[split.test]
    if split.discrete:
        probe = LogisticRegression(C=10.0, class_weight="balanced", max_iter=300)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # separable classes: the side is what counts
            probe.fit(train, concept[split.train])
        return float(balanced_accuracy_score(concept[split.test], probe.predict(test)))
    fitted = RidgeCV(_RIDGE).fit(train, concept[split.train])
    return _r_squared(concept[split.test, None], fitted.predict(test)[:, None], concept[split.train, None].mean(axis=0))


def explicitness(codes: Floats, concept: Floats, split: Split) -> float:
    """Held-out share of a concept that a linear probe of all features explains, InfoE.

    1 - L / H for a discrete concept, L the cross-entropy of a logistic regression on test samples and H that of the
    training frequencies; R2 of a ridge regression for a continuous one. Chance 0, below 0 where the probe overfits.

    References
    ----------
    K. Hsu et al., NeurIPS 2023.
    """
    if not split.discrete:
        return sparse_probe(codes, concept, split, codes.shape[1])
    scaled = _standardised(codes, split.train)
    probe = LogisticRegressionCV(
        Cs=[0.01, 0.3, 10.0], l1_ratios=(0.0,), scoring=_log_likelihood, cv=3, max_iter=200, use_legacy_attributes=False
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        probe.fit(scaled[split.train], concept[split.train])
    names, counts = np.unique(concept[split.train], return_counts=True)
    chance = np.log(counts / counts.sum())[np.searchsorted(names, concept[split.test])].mean()
    return float(1 - _log_likelihood(probe, scaled[split.test], concept[split.test]) / chance)


def _log_likelihood(probe: LogisticRegression, rows: Floats, classes: Floats) -> float:
    """Mean log-likelihood of the classes: scikit-learn's scorer without its checks, which took most of the time."""
    likely = probe.predict_proba(rows)[np.arange(len(rows)), np.searchsorted(probe.classes_, classes)]
    return float(np.log(np.maximum(likely, np.finfo(np.float64).eps)).mean())


def importances(codes: Floats, concept: Floats, split: Split) -> tuple[Floats, float, Floats]:
    """Weight of each feature in a lasso of the concept, the held-out R2 of that lasso, and what it gains where.

    The penalty is chosen by cross-validation within the training rows. Codes are standardised; classes are predicted
    together, one column a class, and share their support.

    Returns
    -------
    weights : (feature,) non-negative float64 array
    r_squared : float
    gains : (test sample,) float64 array
        Squared error of the training mean less that of the lasso.
    """
    scaled, targets = _standardised(codes, split.train), _targets(concept, split)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the smallest penalties only, which are not chosen
        lasso = MultiTaskLassoCV(alphas=20, cv=3, max_iter=2000).fit(scaled[split.train], targets[split.train])
    truth, predicted, mean = targets[split.test], lasso.predict(scaled[split.test]), targets[split.train].mean(axis=0)
    gains = ((truth - mean) ** 2 - (truth - predicted) ** 2).sum(axis=1)
    return np.linalg.norm(lasso.coef_, axis=0), _r_squared(truth, predicted, mean), gains


def _r_squared(truth: Floats, predicted: Floats, baseline: Floats) -> float:
    left, all_of_it = ((truth - predicted) ** 2).sum(), ((truth - baseline) ** 2).sum()
    return float(1 - left / all_of_it) if all_of_it > 0 else float("nan")
