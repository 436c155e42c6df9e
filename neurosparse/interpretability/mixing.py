"""The theory's prediction as a test: features that were recovered score above mixtures of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from neurosparse.backend.psychophysics import Draw, mixtures, rotated
from neurosparse.errors import InputError
from neurosparse.interpretability.asking import Question
from neurosparse.interpretability.controls import changed, gain_p
from neurosparse.interpretability.draws import quiet_mean
from neurosparse.interpretability.families import measure
from neurosparse.interpretability.reading import ask

Floats = NDArray[np.float64]


def mixing_test(
    codes: xr.DataArray,
    *,
    stimulus_similarity: Any,
    scores: Any = ("mis", "monosemanticity"),
    angles: Sequence[float] = (15, 30, 45),
    stimuli: Any = None,
    labels: Any = None,
    groups: Any = None,
    n_tasks: int = 50,
    n_pairings: int = 2,
    n_bootstraps: int = 200,
    random_state: Any = 0,
    **asked: Any,
) -> xr.Dataset:
    r"""Test that features score above mixtures of them, which is what recovered features must do.

    Mixtures of random pairs of features a, b, scaled to equal root mean square,

    .. math:: \cos\theta\, a + \sin\theta\, b, \qquad \sin\theta\, a + \cos\theta\, b,

    are what units that superpose two features answer. If the codes are the features and the score sees what they mean,
    the score falls with the angle up to 45 degrees. If the codes are mixtures already, mixing them again loses little.

    Parameters
    ----------
    codes : DataArray (stimulus, atom), (trial, atom) or (time, atom), or with ``unit`` last
        Non-negative, at least 4.
    stimulus_similarity, stimuli, labels, groups, n_tasks, n_bootstraps, random_state, **asked
        As for `interpretability_scores`. The similarity must come from elsewhere.
    scores : names
        Scores over profiles. Sparseness falls with mixing whatever the codes mean, and is no evidence.
    angles : floats
        Degrees in (0, 45].
    n_pairings : int
        Random pairings of the features, averaged.

    Returns
    -------
    Dataset
        Over ``angle`` (0 first): each score's mean over features, and ``_gain`` of the features over their mixtures
        with ``_gain_low``, ``_gain_high`` (95 % paired bootstrap over stimuli) and ``_gain_p`` (one-sided);
        ``_rotated`` and ``_shuffled``, the means of codes in a random basis, rectified, and of shuffled stimuli;
        ``_falls``, whether the mean falls at every step.

    Raises
    ------
    InputError
        If codes are negative, fewer than 4, or angles lie outside (0, 45].

    Notes
    -----
    *The rule of mixing.* Weights are not negative and codes are not negative. A rotation, cos a - sin b, of signed
    codes gives a profile with two poles, one of a and one of b: at each pole stimuli are as alike as before, and a
    task that asks of both poles has more to go by, so that it scores above the features. Superposition of
    non-negative features adds them; it does not make poles.

    *At 45 degrees* both mixtures of a pair are one profile, so that the mean falls by little from just below it.

    *Which query.* With the least extreme query of a pool (``query="least"``) mixtures score above features, since they
    are active on more stimuli; the test uses the most extreme one.

    References
    ----------
    D. Klindt et al., arXiv 2503.01824 (that mixing lowers interpretability).
    """
    question, _ = ask(
        codes,
        scores=scores,
        stimuli=stimuli,
        stimulus_similarity=stimulus_similarity,
        labels=labels,
        groups=groups,
        draw=Draw(n_tasks),
        draws=(1, n_bootstraps),
        random_state=random_state,
        **asked,
    )
    _check(question, angles, stimulus_similarity)
    names = tuple(name for name in question.names if name != "population_sparseness")
    empty = np.empty((0, len(question.samples.labels)), dtype=np.int64)
    question = replace(question, names=names, permuted=empty)
    seed = int(question.rng.integers(2**31))
    steps = [0.0, *map(float, angles)]
    values: dict[str, list[Any]] = {name: [] for name in names}
    draws: dict[str, list[Any]] = {name: [] for name in names}
    for degrees in steps:
        mixed = [_mixed(question, pairing, degrees, seed) for pairing in range(n_pairings)]
        of_pairings = [_mean_scores(question, samples, seed) for samples in mixed]
        for name in names:
            values[name].append(np.mean([each[name][0] for each in of_pairings]))
            draws[name].append(np.mean([each[name][1] for each in of_pairings], axis=0))
    others = {kind: _reference(question, kind, seed) for kind in ("rotated", "shuffled")}
    references = {kind: _mean_scores(question, samples, seed) for kind, samples in others.items()}
    return _result(question, steps, values, draws, references, n_pairings)


def _check(question: Question, angles: Sequence[float], similarity: Any) -> None:
    values = question.samples.values
    if similarity is None and question.judge is not None:
        raise InputError(
            "mixing_test needs stimulus_similarity= from elsewhere: mixtures would be judged by other mixtures. Pass "
            "'pixels' with stimuli=, a matrix, or another population of the same samples."
        )
    if (values < 0).any():
        raise InputError(
            "mixing_test needs non-negative codes: a rotation of signed ones makes profiles with two poles, which "
            "score above features that have one. Rectify them, or give each sign a column of its own."
        )
    if values.shape[1] < 4:
        raise InputError(f"mixing_test needs at least 4 features to pair; got {values.shape[1]}.")
    if not len(angles) or min(angles) <= 0 or max(angles) > 45 or list(angles) != sorted(set(angles)):
        raise InputError(f"angles must rise within (0, 45] degrees, 45 an even mixture; got {tuple(angles)!r}.")


def _mixed(question: Question, pairing: int, degrees: float, seed: int) -> Any:
    order = np.random.default_rng([seed, pairing]).permutation(question.samples.values.shape[1])
    pairs = order[: len(order) // 2 * 2].reshape(-1, 2)
    scale = np.sqrt((question.samples.values**2).mean(axis=0))
    scale = np.where(scale > 0, scale, 1.0)
    return changed(question.samples, lambda part: mixtures(part[0] / scale, pairs, degrees))


def _reference(question: Question, kind: str, seed: int) -> Any:
    samples = question.samples
    if kind == "rotated":
        return changed(samples, lambda part: np.maximum(rotated(part[0], seed), 0.0))
    # Stimuli, or where they repeat single trials, take each other's codes.
    return changed(samples, lambda part: np.random.default_rng(seed).permutation(part[0]))


def _mean_scores(question: Question, samples: Any, seed: int) -> dict[str, tuple[float, Floats]]:
    """Mean over profiles of each score, and its bootstrap draws; the same draws of tasks' places for all samples."""
    found = measure(replace(question, samples=samples, rng=np.random.default_rng(seed)))
    result = {}
    for name in question.names:
        bootstrap = found[name].bootstrap
        assert bootstrap is not None
        result[name] = float(quiet_mean(found[name].value)), quiet_mean(bootstrap.T)
    return result


def _result(
    question: Question, steps: list[float], values: Any, draws: Any, references: Any, n_pairings: int
) -> xr.Dataset:
    result = xr.Dataset(coords={"angle": steps})
    for name in question.names:
        mean, drawn = np.array(values[name]), np.array(draws[name])  # (angle,), (angle, bootstrap)
        gain, gains = mean[0] - mean, drawn[0] - drawn
        low, high = np.quantile(gains, [0.025, 0.975], axis=1) if gains.shape[1] else (gain * np.nan, gain * np.nan)
        p = gain_p(gains.T)
        p[0] = np.nan
        entries = {"": mean, "_gain": gain, "_gain_low": low, "_gain_high": high, "_gain_p": p}
        result = result.assign({f"{name}{key}": ("angle", entry) for key, entry in entries.items()})
        for kind, found in references.items():
            result[f"{name}_{kind}"] = ((), found[name][0])
        result[f"{name}_falls"] = ((), bool((np.diff(mean) < 0).all()))
    result["angle"].attrs = {"units": "degree", "long_name": "angle of mixing"}
    result.attrs = {
        "n_samples": len(question.samples.labels),
        "n_units": question.samples.values.shape[1],
        "n_pairings": n_pairings,
        "n_bootstraps": len(question.weights),
        "similarity": question.judge.what if question.judge else "none",
        "rule": "non-negative weights on non-negative codes of equal root mean square",
        "interval": "95 % paired bootstrap over stimuli, codes fixed",
    }
    return result
