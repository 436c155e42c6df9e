"""How well a profile tells one class of samples from the rest: the class is picked on one half and scored on the other.

Profiles (sample, profile) and classes (sample,) from 0 enter.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.stats import rankdata

from neurosparse.backend.psychophysics.products import left_product

Floats = NDArray[np.floating]
Doubles = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

MEASURES = ("dprime", "class_contrast", "auc")
# Numbers of one product over several draws: 80 MB in single precision.
_CHUNK = 20_000_000


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
    inside = members.sum(axis=1)[:, None], members @ centred, members @ centred**2
    every = tuple(part.sum(axis=0) for part in inside)
    return _of_moments(inside, every, centre, np.abs(centred).max(axis=0, initial=0.0))


def _of_moments(inside: Any, every: Any, centre: Floats, largest: Floats) -> dict[str, Floats]:
    """d' and contrast from count, sum and sum of squares inside the class, and of all samples, about `centre`."""
    outside = [all_of_it - part for part, all_of_it in zip(inside, every, strict=True)]
    means, variances = [], []
    for count, total, square in (inside, outside):
        mean = _ratio(total, np.broadcast_to(count, total.shape))
        means.append(mean)
        variances.append(_ratio(np.maximum(square - count * mean**2, 0.0), np.broadcast_to(count - 1, total.shape)))
    gap = means[0] - means[1]
    spread = np.sqrt((variances[0] + variances[1]) / 2)
    # What rounding leaves of a constant profile is no spread.
    spread = np.where(spread > 1e-6 * largest, spread, 0.0)
    return {"dprime": _ratio(gap, spread), "class_contrast": _ratio(gap, means[0] + means[1] + 2 * centre)}


def class_auc(ranks: Floats, members: Floats) -> Floats:
    """Probability that a sample of the class is more active than one outside it, ties 1/2; (class, profile).

    `ranks` (sample, profile) are those of `scipy.stats.rankdata`; `members` (class, sample) is 0 or 1.
    """
    return _auc(members @ ranks, members.sum(axis=1)[:, None], ranks.shape[0])


def _auc(rank_sum: Floats, n: Floats, n_samples: int) -> Floats:
    return _ratio(rank_sum - n * (n + 1) / 2, np.broadcast_to(n * (n_samples - n), rank_sum.shape))


def _chosen(statistic: Floats, pick: Ints) -> Doubles:
    """The entry of each profile's pick; classes and profiles are the last two axes."""
    taken = np.take_along_axis(statistic, pick[..., None, :], axis=-2)
    return np.asarray(taken[..., 0, :], dtype=np.float64)


def _best(statistic: Floats) -> Ints:
    return np.where(np.isnan(statistic), -np.inf, statistic).argmax(axis=-2)


class _Half:
    """One half of the samples: its moments and ranks, and their products with many draws at once."""

    def __init__(self, values: Doubles, rows: Bools, classes: Ints, measures: tuple[str, ...], device: Any) -> None:
        self.rows, self.values = rows, values[rows]
        self.classes, self.measures = classes[rows], measures
        self.has_moments = measures != ("auc",)
        if self.has_moments:
            self.centre = self.values.mean(axis=0)
            centred = (self.values - self.centre).astype(np.float32)
            self.largest = np.abs(centred).max(axis=0, initial=0.0)
            self.centred, self.square = centred, centred**2
            self.times_centred, self.times_square = (left_product(part, device) for part in (centred, self.square))
        if "auc" in measures:
            self.ranks = np.ascontiguousarray(rankdata(np.ascontiguousarray(self.values.T), axis=1).T)
            self.times_ranks = left_product(self.ranks, device)

    def statistics(self, n_classes: int) -> dict[str, Floats]:
        """{measure: (class, profile)} of the classes as they are."""
        members = _members(self.classes, n_classes)
        found = class_statistics(self.values, members) if self.has_moments else {}
        return found | ({"auc": class_auc(self.ranks, members)} if "auc" in self.measures else {})

    def permuted(self, classes: Ints, n_classes: int) -> dict[str, Floats]:
        """{measure: (draw, class, profile)} of other classes (draw, sample)."""
        draws = classes[:, self.rows]
        members = (np.arange(n_classes)[:, None] == draws[:, None]).reshape(-1, draws.shape[1])
        found: dict[str, Floats] = {}
        if self.has_moments:
            single = members.astype(np.float32)
            parts = single.sum(axis=1)[:, None], self.times_centred(single), self.times_square(single)
            inside = tuple(part.reshape(len(draws), n_classes, -1) for part in parts)
            every = tuple(part.sum(axis=1, keepdims=True) for part in inside)
            found |= _of_moments(inside, every, self.centre.astype(np.float32), self.largest)
        if "auc" in self.measures:
            n = members.sum(axis=1)[:, None].astype(np.float64)
            auc = _auc(self.times_ranks(members.astype(np.float64)), n, self.ranks.shape[0])
            found["auc"] = auc.reshape(len(draws), n_classes, -1)
        return found

    def resampled_moments(self, pick: Ints, weights: Ints) -> dict[str, Floats]:
        """d' and contrast of the class picked for each profile, samples counted by `weights`; (draw, profile)."""
        times = weights[:, self.rows].astype(np.float32)
        every = times.sum(axis=1)[:, None], self.times_centred(times), self.times_square(times)
        inside = tuple(np.zeros_like(every[1]) for _ in range(3))
        for chosen in np.unique(pick):
            columns, members = np.flatnonzero(pick == chosen), np.flatnonzero(self.classes == chosen)
            own = times[:, members]
            inside[0][:, columns] = own.sum(axis=1)[:, None]
            inside[1][:, columns] = own @ self.centred[np.ix_(members, columns)]
            inside[2][:, columns] = own @ self.square[np.ix_(members, columns)]
        return _of_moments(inside, every, self.centre.astype(np.float32), self.largest)

    def resampled_auc(self, pick: Ints, auc: Doubles, weights: Ints) -> Doubles:
        """AUC of the picked class, linear in the weights: each sample's share in it is kept as it is."""
        times = weights[:, self.rows].astype(np.float64)
        draws = np.full((len(weights), len(pick)), np.nan)
        for chosen in np.unique(pick):
            columns, inside = np.flatnonzero(pick == chosen), self.classes == chosen
            n_inside, n_outside = int(inside.sum()), int((~inside).sum())
            if not n_inside or not n_outside:
                continue
            below = _below(self.values, np.flatnonzero(inside), columns)  # of the class, below each sample
            beaten = (self.ranks[np.ix_(inside, columns)] - below[inside] - 0.5) / n_outside
            total = -auc[columns]
            for part, share in ((inside, beaten), (~inside, 1 - below[~inside] / n_inside)):
                own = times[:, part]
                total = total + own @ share / np.maximum(own.sum(axis=1, keepdims=True), 1)
            draws[:, columns] = total
        return draws


@njit(cache=True)
def _below(values: Any, inside: Any, columns: Any) -> Any:
    """How many of the rows `inside` lie below each row, ties 1/2; (sample, column)."""
    found = np.empty((len(values), len(columns)))
    for place, column in enumerate(columns):
        own = np.sort(values[inside, column])
        for row in range(len(values)):
            value = values[row, column]
            found[row, place] = (np.searchsorted(own, value) + np.searchsorted(own, value, side="right")) / 2
    return found


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
    device : {"auto", "cpu", "cuda"} or torch.device
        Of the matrix products.

    Notes
    -----
    O(draw x class x sample x profile) for the null, one rank of the samples a half beside it.
    """

    def __init__(
        self, values: Doubles, classes: Ints, halves: Bools, measures: tuple[str, ...], device: Any = "cpu"
    ) -> None:
        self.classes, self.measures, self.n_classes = classes, measures, int(classes.max()) + 1
        both = [(rows, ~rows) for rows in halves]
        self._pairs = [tuple(_Half(values, rows, classes, measures, device) for rows in pair) for pair in both]
        self._observed = [[half.statistics(self.n_classes) for half in pair] for pair in self._pairs]

    def scores(self) -> dict[str, Doubles]:
        """(profile,) each."""
        found = [self._held_out(*turn) for pair in self._observed for turn in (pair, pair[::-1])]
        return {name: np.mean([each[name] for each in found], axis=0) for name in self.measures}

    def null(self, permuted: Ints) -> dict[str, Doubles]:
        """(draw, profile) each, of classes permuted over samples and picked anew."""
        n_profiles = self._pairs[0][0].values.shape[1]
        found: dict[str, list[Doubles]] = {name: [np.empty((0, n_profiles))] for name in self.measures}
        step = max(_CHUNK // (self.n_classes * max(n_profiles, len(self.classes))), 1)
        for start in range(0, len(permuted), step):
            classes = self.classes[permuted[start : start + step]]
            pairs = [[half.permuted(classes, self.n_classes) for half in pair] for pair in self._pairs]
            turns = [self._held_out(*turn) for pair in pairs for turn in (pair, pair[::-1])]
            for name in self.measures:
                found[name].append(np.mean([each[name] for each in turns], axis=0))
        return {name: np.concatenate(draws) for name, draws in found.items()}

    def bootstrap(self, weights: Ints) -> dict[str, Doubles]:
        """(draw, profile) each, with the picks fixed and the samples they are scored on counted by `weights`.

        The AUC's draws are linear in the weights: each sample's share in it is kept as it is.
        """
        found: dict[str, list[Floats]] = {name: [] for name in self.measures}
        for pair, observed in zip(self._pairs, self._observed, strict=True):
            for at in (1, 0):
                learned, judged, half = observed[1 - at], observed[at], pair[at]
                if self.measures != ("auc",):
                    moments = half.resampled_moments(_best(learned["dprime"]), weights)
                    for name in set(found) - {"auc"}:
                        found[name].append(moments[name])
                if "auc" in found:
                    pick = _best(learned["auc"])
                    found["auc"].append(half.resampled_auc(pick, _chosen(judged["auc"], pick), weights))
        return {name: np.mean(np.asarray(draws, dtype=np.float64), axis=0) for name, draws in found.items()}

    def _held_out(self, learned: dict[str, Floats], judged: dict[str, Floats]) -> dict[str, Doubles]:
        """The statistic on one half of the class that is largest on the other."""
        by = {name: "auc" if name == "auc" else "dprime" for name in self.measures}
        return {name: _chosen(judged[name], _best(learned[by[name]])) for name in self.measures}
