"""How a code as a whole holds known concepts: probes of few features, and who is informative about what.

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
from sklearn.metrics import balanced_accuracy_score, log_loss

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
        Cs=[0.01, 0.3, 10.0], l1_ratios=(0.0,), scoring="neg_log_loss", cv=3, max_iter=200, use_legacy_attributes=False
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        probe.fit(scaled[split.train], concept[split.train])
    names, counts = np.unique(concept[split.train], return_counts=True)
    shares = np.broadcast_to(counts / counts.sum(), (len(split.test), len(names)))
    truth = concept[split.test]
    loss = log_loss(truth, probe.predict_proba(scaled[split.test]), labels=names)
    return float(1 - loss / log_loss(truth, shares, labels=names))


def importances(codes: Floats, concept: Floats, split: Split) -> tuple[Floats, float]:
    """Weight of each feature in a lasso of the concept, and the held-out R2 of that lasso.

    The penalty is chosen by cross-validation within the training rows. Codes are standardised; classes are predicted
    together, one column a class, and share their support.

    Returns
    -------
    weights : (feature,) non-negative float64 array
    r_squared : float
    """
    scaled, targets = _standardised(codes, split.train), _targets(concept, split)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the smallest penalties only, which are not chosen
        lasso = MultiTaskLassoCV(alphas=20, cv=3, max_iter=2000).fit(scaled[split.train], targets[split.train])
    score = _r_squared(targets[split.test], lasso.predict(scaled[split.test]), targets[split.train].mean(axis=0))
    return np.linalg.norm(lasso.coef_, axis=0), score


def _r_squared(truth: Floats, predicted: Floats, baseline: Floats) -> float:
    left, all_of_it = ((truth - predicted) ** 2).sum(), ((truth - baseline) ** 2).sum()
    return float(1 - left / all_of_it) if all_of_it > 0 else float("nan")


def _evenness(weights: Floats) -> Floats:
    """Entropy of each row over the log of its length: 1 where all weigh alike, 0 for a single one, NaN if none."""
    total = weights.sum(axis=1, keepdims=True)
    share = np.where(total > 0, weights / np.where(total > 0, total, 1.0), np.nan)
    logged = np.log(np.where(share > 0, share, 1.0))
    most = np.log(weights.shape[1]) if weights.shape[1] > 1 else 1.0
    return -(share * logged).sum(axis=1) / most


def dci(weights: Floats) -> tuple[Floats, Floats, float]:
    """Disentanglement of features and completeness of concepts, from importances (feature, concept).

    D_i = 1 - H(P_i.) over concepts, C_j = 1 - H(P_.j) over features, entropies to base of their number; the overall
    disentanglement weighs features by their share of all importance.

    Returns
    -------
    disentanglement : (feature,), NaN for a feature that no concept needs
    completeness : (concept,)
    overall : float

    References
    ----------
    C. Eastwood, C. Williams, ICLR 2018.
    """
    of_features, of_concepts = 1 - _evenness(weights), 1 - _evenness(weights.T)
    mass = weights.sum(axis=1)
    if mass.sum() == 0:
        return of_features, of_concepts, float("nan")
    return of_features, of_concepts, float(np.nansum(mass * of_features) / mass.sum())


def binned(values: Floats, n_bins: int) -> Ints:
    """Bins of equal width of each column, from 0; (sample, column)."""
    low, span = values.min(axis=0), np.ptp(values, axis=0)
    place = (values - low) / np.where(span > 0, span, 1.0) * n_bins
    return np.clip(place.astype(np.int64), 0, n_bins - 1)


def mutual_information(first: Ints, second: Ints) -> Floats:
    """Plug-in mutual information in nats of every pair of columns of two integer matrices, (first, second)."""
    n = len(first)
    one_hot = [np.eye(part.max() + 1)[part] for part in (first, second)]  # (sample, column, value)
    flat = [part.reshape(n, -1) for part in one_hot]
    joint = (flat[0].T @ flat[1] / n).reshape(*one_hot[0].shape[1:], *one_hot[1].shape[1:])
    left, right = (part.mean(axis=0) for part in one_hot)
    apart = left[:, :, None, None] * right[None, None]
    inside = joint > 0
    return np.where(inside, joint * np.log(np.where(inside, joint, 1.0) / np.where(inside, apart, 1.0)), 0.0).sum(
        axis=(1, 3)
    )


def entropies(columns: Ints) -> Floats:
    """Plug-in entropy in nats of each integer column."""
    shares = [np.bincount(column) / len(column) for column in columns.T]
    return np.array([-(share[share > 0] * np.log(share[share > 0])).sum() for share in shares])


def mutual_information_gap(information: Floats, entropy: Floats) -> Floats:
    """(I of the best feature - I of the second) / H of each concept, from (feature, concept); NaN with one feature.

    References
    ----------
    R. Chen et al., NeurIPS 2018.
    """
    if len(information) < 2:
        return np.full(information.shape[1], np.nan)
    second, first = np.sort(information, axis=0)[-2:]
    return np.where(entropy > 0, (first - second) / np.where(entropy > 0, entropy, 1.0), np.nan)


def info_mec(information: Floats, entropy: Floats) -> tuple[float, float]:
    """Modularity and compactness, InfoM and InfoC, from mutual information (feature, concept) and H of concepts.

    With NMI_ij = I_ij / H_j: the mean over features of max_j NMI_ij / sum_j NMI_ij, rescaled from its least, one over
    the number of concepts, to 0; and the same over concepts. Features that know nothing are left out.

    References
    ----------
    K. Hsu et al., NeurIPS 2023. Deviation: information from bins, not from nearest neighbours.
    """
    relative = information / np.where(entropy > 0, entropy, np.inf)
    known = relative[relative.sum(axis=1) > 1e-12]
    return _concentration(known), _concentration(known.T)


def _concentration(weights: Floats) -> float:
    if weights.size == 0 or weights.shape[1] < 2:
        return float("nan")
    total = weights.sum(axis=1)
    mean = float((weights.max(axis=1)[total > 0] / total[total > 0]).mean())
    least = 1 / weights.shape[1]
    return (mean - least) / (1 - least)
