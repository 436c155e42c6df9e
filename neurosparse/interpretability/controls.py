"""Features beside what else could be read from the same population, paired, false discoveries controlled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.stats import false_discovery_control

from neurosparse.backend.psychophysics import DIRECTIONS, Draw, as_sparse, rotated
from neurosparse.backend.resampling import percentile_interval
from neurosparse.errors import InputError
from neurosparse.interpretability.asking import Question
from neurosparse.interpretability.draws import Draws, quiet_mean
from neurosparse.interpretability.families import measure
from neurosparse.interpretability.profiles import Profiles, Trials, read_profiles
from neurosparse.interpretability.reading import ask
from neurosparse.interpretability.results import median_over

Floats = NDArray[np.float64]

CONTROLS = ("units", "pca", "ica", "nmf", "kmeans", "random_dictionary", "rotated_codes")


def interpretability_controls(
    codes: xr.DataArray,
    x: xr.DataArray,
    *,
    stimulus_similarity: Any,
    controls: Sequence[str] = CONTROLS,
    scores: Any = ("mis", "monosemanticity"),
    stimuli: Any = None,
    labels: Any = None,
    groups: Any = None,
    n_tasks: int = 20,
    n_permutations: int = 19,
    n_bootstraps: int = 200,
    random_state: Any = 0,
    **asked: Any,
) -> xr.Dataset:
    """Score codes beside controls of matched size and sparsity, and test each feature against its nearest control.

    Parameters
    ----------
    codes : DataArray (stimulus, atom), (trial, atom) or (time, atom)
    x : DataArray with the same samples and ``unit`` last
        The population that the codes are of.
    stimulus_similarity : as for `interpretability_scores`
        Must come from elsewhere: the same for codes and controls.
    controls : names out of "units", "pca", "ica", "nmf", "kmeans", "random_dictionary", "rotated_codes"
        All but the units are thresholded, each profile by itself, until as large a share of samples is active as in
        the codes on average; as many profiles as codes, where units and samples allow.
    scores : names
        Scores over profiles, as for `interpretability_scores`.
    stimuli, labels, groups, n_tasks, n_permutations, n_bootstraps, random_state, **asked
        As for `interpretability_scores`; `asked` may hold ``covariate``, ``period``, ``n_bins``, ``alpha``.

    Returns
    -------
    Dataset
        For each score: its median over ``representation`` ("codes", then the controls) with ``_low``, ``_high`` and
        ``_null``; ``<score>_gain`` (control, atom), the score of each feature less that of the control's profile that
        correlates with it most, with ``_low``, ``_high``, ``_p`` (one-sided, that the gain is not above 0) and ``_q``
        (Benjamini-Hochberg over features); ``<score>_median_gain`` (control) likewise. ``matched`` names the profile,
        ``active_share`` (representation) says how sparse each is.

    Raises
    ------
    InputError
        If samples differ, a control is not known, or there is no similarity to judge both alike.

    Notes
    -----
    Paired: the same bootstrap samples of stimuli weigh both sides. PCA, ICA, NMF and k-means see the very samples that
    are scored, which favours them; codes should come from a dictionary learned on others.
    """
    values = _checked(codes, x, controls, stimulus_similarity)
    question, note = ask(
        codes,
        scores=scores,
        stimuli=stimuli,
        stimulus_similarity=stimulus_similarity,
        labels=labels,
        groups=groups,
        draw=Draw(n_tasks),
        draws=(n_permutations, n_bootstraps),
        random_state=random_state,
        **asked,
    )
    names = tuple(name for name in question.names if name != "population_sparseness")
    question = replace(question, names=names)
    seed = int(question.rng.integers(2**31))
    share = float((codes.values > 0).mean()) if (codes.values >= 0).all() else 0.5
    found, samples = {"codes": measure(question)}, {"codes": question.samples}
    for control in controls:
        samples[control] = changed(question.samples, partial(_control, control, share=share, seed=seed), values)
        found[control] = measure(replace(question, samples=samples[control], rng=np.random.default_rng(seed)))
    return _beside(question, found, samples, note)


def changed(
    samples: Profiles, make: Callable[[tuple[Floats, Floats]], Floats], other: Floats | None = None
) -> Profiles:
    """`samples` with other profiles: `make` of (codes, population), on averages and on trials alike."""
    if samples.trials is None:
        rows = samples.values if other is None else other[samples.rows]
        return replace(samples, values=make((samples.values, rows)))
    trials = samples.trials
    both = make((trials.values, trials.values if other is None else other[trials.rows]))
    counts = np.bincount(trials.codes)[:, None]
    means = np.zeros((len(counts), both.shape[1]))
    np.add.at(means, trials.codes, both)
    return replace(samples, values=means / counts, trials=Trials(both, trials.rows, trials.codes))


def _checked(codes: Any, x: Any, controls: Sequence[str], similarity: Any) -> Floats:
    unknown = [name for name in controls if name not in CONTROLS]
    if unknown or not controls or isinstance(controls, str):
        raise InputError(f"controls must be names out of {', '.join(CONTROLS)}; got {controls!r}.")
    if similarity is None:
        raise InputError(
            "stimulus_similarity=None would judge each representation by itself. Give one judge for all: 'pixels' with "
            "stimuli=, a matrix, or a population that none of them is made of."
        )
    read_profiles(x, "raise")
    if codes.dims[0] != x.dims[0] or not np.array_equal(codes[codes.dims[0]].values, x[x.dims[0]].values):
        raise InputError(
            f"x must have the samples of codes; got {x.dims[0]} ({x.sizes[x.dims[0]]}) against {codes.dims[0]} "
            f"({codes.sizes[codes.dims[0]]}). Select the shared ones, in one order."
        )
    return np.asarray(x.values, dtype=np.float64)


def _control(name: str, both: tuple[Floats, Floats], *, share: float, seed: int) -> Floats:
    codes, units = both
    if name == "units":
        return units
    if name == "rotated_codes":
        return as_sparse(rotated(codes, seed), share)
    directions = DIRECTIONS[name](units, codes.shape[1], seed)
    return as_sparse((units - units.mean(axis=0)) @ directions.T, share)


def nearest(values: Floats, others: Floats) -> NDArray[np.int64]:
    """Column of `others` that correlates most, in size, with each column of `values`."""
    both = []
    for part in (values, others):
        centred = part - part.mean(axis=0)
        length = np.linalg.norm(centred, axis=0)
        both.append(centred / np.where(length > 0, length, 1.0))
    return np.abs(both[0].T @ both[1]).argmax(axis=1)


def gain_p(draws: Floats) -> Floats:
    """One-sided p that a gain is not above 0, from its bootstrap draws; NaN where there are none."""
    seen = np.isfinite(draws)
    below = np.where(seen, draws <= 0, False).sum(axis=0)
    return np.where(seen.any(axis=0), (1 + below) / (1 + seen.sum(axis=0)), np.nan)


def _beside(
    question: Question, found: dict[str, dict[str, Draws]], samples: dict[str, Profiles], note: str
) -> xr.Dataset:
    last, controls = question.samples.last, [name for name in found if name != "codes"]
    result = xr.Dataset(coords={"representation": list(found), "control": controls})
    result = result.assign_coords({last: question.samples.source[last].variable})
    pairs = {name: nearest(samples["codes"].values, samples[name].values) for name in controls}
    result["matched"] = (("control", last), np.stack([pairs[name] for name in controls]))
    result["active_share"] = ("representation", [float((each.values > 0).mean()) for each in samples.values()])
    for name in question.names:
        medians = [median_over(one[name].value[None])[0] for one in found.values()]
        spread = [_ends(median_over(_draws(one[name]))) for one in found.values()]
        result[name] = ("representation", medians)
        for end, ends in zip(("low", "high"), zip(*spread, strict=True), strict=True):
            result[f"{name}_{end}"] = ("representation", list(ends))
        nulls = [one[name].null for one in found.values()]
        medians = [float(quiet_mean(median_over(null))) if len(null) else np.nan for null in nulls]
        result[f"{name}_null"] = ("representation", medians)
        result = result.assign(_gains(name, last, found, pairs))
    result.attrs = {
        "n_samples": len(question.samples.labels),
        "n_units": question.samples.values.shape[1],
        "n_bootstraps": len(question.weights),
        "similarity": question.judge.what if question.judge else "none",
        "pairing": "each feature with the control profile that correlates with it most",
        "p_note": note or "gains: one-sided bootstrap over stimuli, the same for both sides; q: Benjamini-Hochberg",
    }
    return result


def _gains(name: str, last: str, found: dict[str, dict[str, Draws]], pairs: dict[str, NDArray[np.int64]]) -> Any:
    own = found["codes"][name]
    parts: dict[str, list[Any]] = {key: [] for key in ("", "_low", "_high", "_p", "_q")}
    overall: dict[str, list[Any]] = {key: [] for key in ("", "_low", "_high", "_p")}
    for control, match in pairs.items():
        other = found[control][name]
        draws = _draws(own) - _draws(other)[:, match]
        p = gain_p(draws)
        known = np.isfinite(p)
        q = np.full(len(p), np.nan)
        q[known] = false_discovery_control(p[known]) if known.any() else np.nan
        entries = (own.value - other.value[match], *_ends(draws), p, q)
        for key, entry in zip(parts, entries, strict=True):
            parts[key].append(entry)
        middle = median_over(_draws(own)) - median_over(_draws(other))
        value = median_over(own.value[None])[0] - median_over(other.value[None])[0]
        for key, entry in zip(overall, (value, *_ends(middle), gain_p(middle[:, None])[0]), strict=True):
            overall[key].append(entry)
    gains = {f"{name}_gain{key}": (("control", last), np.stack(entries)) for key, entries in parts.items()}
    return gains | {f"{name}_median_gain{key}": ("control", entries) for key, entries in overall.items()}


def _draws(score: Draws) -> Floats:
    assert score.bootstrap is not None
    return score.bootstrap


def _ends(draws: Floats) -> tuple[Any, Any]:
    if not len(draws):
        nothing = np.full(draws.shape[1:], np.nan)
        return nothing, nothing
    return percentile_interval(draws)
