"""How well a profile tells one class of samples from the rest: the class is picked on one half and scored on the other.

Profiles (sample, profile) and classes (sample,) from 0 enter.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

Floats = NDArray[np.floating]
Doubles = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

MEASURES = ("dprime", "class_contrast", "auc")


def _members(classes: Ints, n_classes: int, dtype: type = np.float64) -> Floats:
    return np.asarray(np.arange(n_classes)[:, None] == classes, dtype=dtype)


def _ratio(above: Floats, below: Floats) -> Floats:
    """NaN where nothing is below, also where a class has too few samples."""
    usable = below > 0
    return np.where(usable, above / np.where(usable, below, 1.0), np.nan)


def class_statistics(values: Floats, members: Floats) -> dict[str, Floats]:
    """d' and contrast of every class against the rest, {name: (class, profile)}.

    d' = (m1 - m0) / sqrt((v1 + v0) / 2) of means m and variances v (ddof 1) inside and outside of the class; contrast
    = (m1 - m0) / (m1 + m0), the class-conditional selectivity, which means something for non-negative profiles only.

    Parameters
    ----------
    values : (sample, profile) float array
    members : (class, sample) float array
        How often each sample occurs in each class; 0 elsewhere.

    References
    ----------
    A. Morcos et al., ICLR 2018 (contrast).
    """
    # About the mean, so that single precision keeps the variances.
    centre = values.mean(axis=0)
    centred = values - centre
    n = members.sum(axis=1)[:, None]
    first, second = members @ centred, members @ centred**2
    inside = n, first, second
    outside = n.sum() - n, first.sum(axis=0) - first, second.sum(axis=0) - second
    means, variances = [], []
    for count, total, square in (inside, outside):
        mean = _ratio(total, np.broadcast_to(count, total.shape))
        means.append(mean)
        variances.append(_ratio(np.maximum(square - count * mean**2, 0.0), np.broadcast_to(count - 1, total.shape)))
    gap = means[0] - means[1]
    spread = np.sqrt((variances[0] + variances[1]) / 2)
    # What rounding leaves of a constant profile is no spread.
    spread = np.where(spread > 1e-6 * np.abs(centred).max(axis=0, initial=0.0), spread, 0.0)
    return {"dprime": _ratio(gap, spread), "class_contrast": _ratio(gap, means[0] + means[1] + 2 * centre)}


def class_auc(ranks: Floats, members: Floats) -> Floats:
    """Probability that a sample of the class is more active than one outside it, ties 1/2; (class, profile).

    `ranks` (sample, profile) are those of `scipy.stats.rankdata`; `members` (class, sample) is 0 or 1.
    """
    n = members.sum(axis=1)[:, None]
    above = members @ ranks - n * (n + 1) / 2
    return _ratio(above, np.broadcast_to(n * (ranks.shape[0] - n), above.shape))


def _chosen(statistic: Floats, pick: Ints) -> Doubles:
    return np.asarray(np.take_along_axis(statistic, pick[None], axis=0)[0], dtype=np.float64)


def _best(statistic: Floats) -> Ints:
    return np.where(np.isnan(statistic), -np.inf, statistic).argmax(axis=0)


def _turns(halves: Bools) -> Iterator[tuple[Bools, Bools]]:
    for first in halves:
        yield first, ~first
        yield ~first, first


class Selectivity:
    """Scores of profiles for the class that each prefers, picked on one half of the samples and scored on the other.

    Parameters
    ----------
    values : (sample, profile) float64 array
    classes : (sample,) int64 array
        From 0; every class should have members in both halves.
    halves : (split, sample) bool array
        Near-duplicates share a half. Each half picks for the other; scores are averaged over all turns.
    measures : names out of `MEASURES`
        d' and contrast are those of the class with the largest d'; `auc` of the class with the largest AUC.
    """

    def __init__(self, values: Floats, classes: Ints, halves: Bools, measures: tuple[str, ...]) -> None:
        self.values, self.classes, self.halves = values, classes, halves
        self.measures, self.n_classes = measures, int(classes.max()) + 1
        self._single = values.astype(np.float32)
        self._ranks = (
            [tuple(rankdata(values[part], axis=0) for part in turn) for turn in _turns(halves)]
            if "auc" in measures
            else None
        )

    def scores(self) -> dict[str, Doubles]:
        """(profile,) each."""
        return self._asked(self.classes, self.values)

    def null(self, permuted: Ints) -> dict[str, Doubles]:
        """(draw, profile) each, of classes permuted over samples and picked anew."""
        draws = [self._asked(self.classes[index], self._single) for index in permuted]
        return {name: np.array([draw[name] for draw in draws]).reshape(len(permuted), -1) for name in self.measures}

    def bootstrap(self, weights: Ints) -> dict[str, Doubles]:
        """(draw, profile) each, with the picks fixed and the samples they are scored on counted by `weights`.

        The AUC's draws are linear in the weights: each sample's share in it is kept as it is.
        """
        found = {name: np.zeros((len(weights), self.values.shape[1])) for name in self.measures}
        turns = list(_turns(self.halves))
        for turn, (train, test) in enumerate(turns):
            if found.keys() & {"dprime", "class_contrast"}:
                self._add_moments(found, train, test, weights)
            if "auc" in found:
                found["auc"] += self._linear_auc(turn, train, test, weights)
        return {name: draws / len(turns) for name, draws in found.items()}

    def _asked(self, classes: Ints, values: Floats) -> dict[str, Doubles]:
        found: dict[str, list[Doubles]] = {name: [] for name in self.measures}
        for turn, (train, test) in enumerate(_turns(self.halves)):
            members = _members(classes, self.n_classes, values.dtype.type)
            if self.measures != ("auc",):
                pick = _best(class_statistics(values[train], members[:, train])["dprime"])
                scored = class_statistics(values[test], members[:, test])
                for name in set(found) - {"auc"}:
                    found[name].append(_chosen(scored[name], pick))
            if self._ranks is not None:
                learned, judged = self._ranks[turn]
                pick = _best(class_auc(learned, members[:, train]))
                found["auc"].append(_chosen(class_auc(judged, members[:, test]), pick))
        return {name: np.mean(each, axis=0) for name, each in found.items()}

    def _add_moments(self, found: dict[str, Doubles], train: Bools, test: Bools, weights: Ints) -> None:
        members = _members(self.classes, self.n_classes, np.float32)
        pick = _best(class_statistics(self.values[train], _members(self.classes, self.n_classes)[:, train])["dprime"])
        values = self._single[test]
        for draw, weight in enumerate(weights):
            scored = class_statistics(values, members[:, test] * weight[test].astype(np.float32))
            for name in set(found) - {"auc"}:
                found[name][draw] += _chosen(scored[name], pick)

    def _linear_auc(self, turn: int, train: Bools, test: Bools, weights: Ints) -> Floats:
        assert self._ranks is not None
        learned, judged = self._ranks[turn]
        members = _members(self.classes, self.n_classes)
        pick = _best(class_auc(learned, members[:, train]))
        auc = _chosen(class_auc(judged, members[:, test]), pick)
        draws = np.full((len(weights), len(pick)), np.nan)
        for chosen in np.unique(pick):
            columns = np.flatnonzero(pick == chosen)
            inside = self.classes[test] == chosen
            if not inside.any() or inside.all():
                continue
            shares = []
            for part, sign in ((inside, 1.0), (~inside, -1.0)):
                own = rankdata(judged[np.ix_(part, columns)], axis=0)
                beaten = (judged[np.ix_(part, columns)] - own) / (~part).sum()
                share = beaten if sign > 0 else 1 - beaten
                times = weights[:, test][:, part].astype(np.float64)
                shares.append(times @ share / np.maximum(times.sum(axis=1, keepdims=True), 1))
            draws[:, columns] = shares[0] + shares[1] - auc[columns]
        return draws
