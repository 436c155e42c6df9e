"""What each score is: its name in words, its direction, its chance level, what it does not see, and what it needs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from neurosparse.errors import InputError

_HIGHER, _SPARSER = "higher is better", "higher is sparser"
_SHUFFLE = "which stimuli drive a profile: shuffling stimuli leaves it as it is"

ABOUT: dict[str, dict[str, Any]] = {
    "mis": {
        "long_name": "machine interpretability score (hard two-alternative task)",
        "direction": _HIGHER,
        "chance": 0.5,
        "blind_to": "responses between the two extremes; anything that stimulus_similarity does not see; features with "
        "two poles score above those with one",
    },
    "lifetime_sparseness": {
        "long_name": "lifetime sparseness (Vinje-Gallant)",
        "direction": _SPARSER,
        "blind_to": _SHUFFLE,
    },
    "hoyer_sparseness": {
        "long_name": "lifetime sparseness (Hoyer)",
        "direction": _SPARSER,
        "blind_to": "which stimuli drive a profile, and with which sign",
    },
    "kurtosis": {
        "long_name": "excess kurtosis over samples",
        "direction": f"{_SPARSER}; 0 for a Gaussian",
        "blind_to": "which stimuli drive a profile; outliers rule it",
    },
    "population_sparseness": {
        "long_name": "population sparseness of a sample (Vinje-Gallant)",
        "direction": _SPARSER,
        "blind_to": "which profiles respond; differences of scale between profiles count as sparseness",
    },
    "soft_mis": {
        "long_name": "machine interpretability score (soft two-alternative task)",
        "direction": _HIGHER,
        "chance": 0.5,
        "blind_to": "as mis; its distance from .5 depends on alpha, which is tied to the scale of the similarity",
    },
    "monosemanticity": {
        "long_name": "monosemanticity: similarity of stimuli, weighed by the responses to both",
        "direction": _HIGHER,
        "blind_to": "a profile's offset and sign; a dense profile scores near its null whatever it prefers",
    },
    "intrusion": {
        "long_name": "stimulus intrusion: share of intruders that similarity finds among a profile's favourites",
        "direction": _HIGHER,
        "chance": 0.2,
        "blind_to": "all but the top of the profile, and what the profiles share: intruders are others' favourites",
    },
    "index_v1": {
        "long_name": "interpretability index v1: mean similarity of the five most exciting stimuli",
        "direction": _HIGHER,
        "blind_to": "all but five stimuli; its scale is that of the similarity",
    },
    "index_v2": {
        "long_name": "interpretability index v2: soft pairing of queries and references",
        "direction": _HIGHER,
        "chance": 0.5,
        "blind_to": "responses between the two extremes; needs 800 stimuli",
    },
    "dprime": {
        "long_name": "d' for the class preferred on the other half of the stimuli",
        "direction": _HIGHER,
        "chance": 0.0,
        "blind_to": "all classes but one; the shape of the distributions",
        "needs": "labels",
    },
    "class_contrast": {
        "long_name": "class-conditional selectivity (m1 - m0) / (m1 + m0) for the class preferred on the other half",
        "direction": _HIGHER,
        "blind_to": "how much responses vary; an offset lowers it; sparse profiles of small classes score below 0 by "
        "chance: read it beside its null; undefined for signed profiles",
        "needs": "labels",
    },
    "auc": {
        "long_name": "area under the ROC curve for the class preferred on the other half of the stimuli",
        "direction": _HIGHER,
        "chance": 0.5,
        "blind_to": "all classes but one; how far apart responses are beyond their order",
        "needs": "labels",
    },
    "information": {
        "long_name": "information per spike about the covariate (Skaggs)",
        "direction": _HIGHER,
        "units": "bit",
        "blind_to": "all but the sparseness of the map: where fields are broad (48 degrees of a circle), a rectified "
        "rotation, silent on half of it, has more bits than two of them mixed; noise adds to it: read it beside its "
        "null; undefined for signed profiles",
        "needs": "covariate",
    },
    "stability": {
        "long_name": "correlation of tuning maps from two halves of the samples",
        "direction": _HIGHER,
        "chance": 0.0,
        "blind_to": "how strong the tuning is",
        "needs": "covariate",
    },
    "direction_length": {
        "long_name": "length of the mean direction, occupancy taken out",
        "direction": _HIGHER,
        "blind_to": "tuning with two opposite peaks; noise adds to it; undefined for signed profiles",
        "needs": "period",
    },
    "reliability": {
        "long_name": "reliability of the average over repeats: signal variance over all of its variance",
        "direction": _HIGHER,
        "chance": 0.0,
        "blind_to": "what the profile means: pooling units raises it",
        "needs": "trials",
    },
}
DEFAULT = ("mis", "lifetime_sparseness", "hoyer_sparseness", "kurtosis", "population_sparseness")
BY_SIMILARITY = ("mis", "soft_mis", "monosemanticity", "intrusion", "index_v1", "index_v2")
_TO_GIVE = {
    "labels": "labels=, a class for each stimulus",
    "covariate": "covariate=, such as the position at each sample",
    "period": "covariate= and its period=, such as the head direction with 2 pi",
    "trials": "profiles with dims (trial, unit) and at least two trials a stimulus",
}


def read_names(scores: Any, given: set[str], n_stimuli: int) -> tuple[str, ...]:
    """The scores asked for, in the order of `ABOUT`; "all" means all that can be had from what was `given`."""
    if scores is None:
        return DEFAULT
    if isinstance(scores, str) and scores == "all":
        few = {"index_v2"} if n_stimuli < 800 else set()
        return tuple(name for name in ABOUT if ABOUT[name].get("needs", "") in given | {""} and name not in few)
    names = [scores] if isinstance(scores, str) else list(scores) if isinstance(scores, Iterable) else []
    unknown = [name for name in names if name not in ABOUT]
    if unknown or not names:
        raise InputError(
            f"scores must be 'all' or names out of {', '.join(ABOUT)}; got {unknown[0] if unknown else scores!r}."
        )
    for name in names:
        need = ABOUT[name].get("needs", "")
        if need and need not in given:
            raise InputError(f"{name} needs {_TO_GIVE[need]}. Give it, or leave {name} out of scores.")
    return tuple(name for name in ABOUT if name in names)
