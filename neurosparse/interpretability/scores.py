"""The front door: every score of a population's profiles beside its null and its interval."""

from __future__ import annotations

import json
import warnings
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from neurosparse.backend.psychophysics import (
    Draw,
    TwoAlternative,
    randomised_p_value,
    two_alternative,
    wilson_interval,
)
from neurosparse.backend.resampling import (
    bootstrap_weights,
    circular_shifts,
    near_duplicates,
    p_value,
    percentile_interval,
    permutations,
)
from neurosparse.errors import InputError
from neurosparse.interpretability.profiles import Profiles, apart_in_time, check_enough, grouped, read_profiles
from neurosparse.interpretability.similarity import Judge, blocks, observed_together, pixel_rows, places, read_judge
from neurosparse.interpretability.sparseness import Draws, quiet_mean, sparseness_scores

SCORES = ("mis", "lifetime_sparseness", "hoyer_sparseness", "kurtosis", "population_sparseness")
# Circular shifts are calibrated only where a series is this many autocorrelation times long.
_LEAST_TAUS = 50
_ABOUT: dict[str, dict[str, Any]] = {
    "mis": {
        "long_name": "machine interpretability score (hard two-alternative task)",
        "direction": "higher is better",
        "chance": 0.5,
        "blind_to": "responses between the two extremes; anything that stimulus_similarity does not see; features with "
        "two poles score above those with one",
    },
    "lifetime_sparseness": {
        "long_name": "lifetime sparseness (Vinje-Gallant)",
        "direction": "higher is sparser",
        "blind_to": "which stimuli drive a profile: shuffling stimuli leaves it as it is",
    },
    "hoyer_sparseness": {
        "long_name": "lifetime sparseness (Hoyer)",
        "direction": "higher is sparser",
        "blind_to": "which stimuli drive a profile, and with which sign",
    },
    "kurtosis": {
        "long_name": "excess kurtosis over samples",
        "direction": "higher is sparser; 0 for a Gaussian",
        "blind_to": "which stimuli drive a profile; outliers rule it",
    },
    "population_sparseness": {
        "long_name": "population sparseness of a sample (Vinje-Gallant)",
        "direction": "higher is sparser",
        "blind_to": "which profiles respond; differences of scale between profiles count as sparseness",
    },
}


def interpretability_scores(
    profiles: xr.DataArray,
    *,
    stimuli: Any = None,
    stimulus_similarity: Any = None,
    n_tasks: int = 20,
    n_explanations: int = 9,
    quantile: float = 0.05,
    query: str = "most",
    n_permutations: int = 200,
    n_bootstraps: int = 1000,
    groups: Any = None,
    random_state: Any = 0,
    nan: str = "raise",
) -> xr.Dataset:
    r"""Score how well each profile can be understood from the stimuli at its ends, and how sparse it is.

    Machine interpretability score, the mean over tasks of

    .. math:: [\,\mathrm{sign}(D^+ - D^-) = \mathrm{sign}(j(q^+) - j(q^-))\,],
        \quad D^\pm = a(q^\pm, E^+) - a(q^\pm, E^-)

    with queries q and explanations E from the top (+) and bottom (-) of the profile, a(q, E) the mean of
    `stimulus_similarity` between q and E, and j the responses that judge; ties count 1/2.

    Parameters
    ----------
    profiles : DataArray (stimulus, unit), (trial, unit) with a `stimulus` coord, or (time, unit)
        A population, or codes with ``atom`` for ``unit``. Averages (stimulus, unit) are used as they are.
    stimuli : DataArray (stimulus, row, column[, channel]), or array in the order of (stimulus, unit) profiles, optional
        The images. Near-duplicates among them (pixel r > .9) never meet in a task.
    stimulus_similarity : optional
        Which stimuli are alike, from data other than the profiles:

        - None: the other half of the units, at random anew for each task (at least 4 units; not for atoms).
        - "pixels": cosine of the `stimuli`, about their mean image.
        - a population of the same stimuli, trials or times: cosine of its samples about their mean. For codes of
          atoms this may be the population they code; those units are then part of the atoms they judge.
        - a (stimulus, stimulus) matrix, larger is more alike: a DataArray with labels, or an array in sorted order of
          stimuli (for averages, in their order).
    n_tasks, n_explanations : int
        Tasks a profile, and explanations on each side of a task.
    quantile : float
        Share of stimuli at each end from which a task is drawn; never fewer than twice what a side uses, and never
        beyond the profile's median (the top of a sparse code is not filled up with silent stimuli).
    query : {"most", "least"}
        Which stimulus of a side is its query, the most or the least extreme; see Notes.
    n_permutations, n_bootstraps : int
        Draws of the null and of the interval; at least 1 each.
    groups : (stimulus,) array, or DataArray labelled by stimulus, optional
        Near-duplicates share a label; in sorted order of stimuli (for averages, in their order).
    random_state : int, numpy.random.Generator or None
    nan : {"raise", "drop"}
        Raise on NaN, or leave those samples out with a warning that counts them.

    Returns
    -------
    Dataset
        Over ``unit`` or ``atom``: `mis`, `lifetime_sparseness` (Vinje-Gallant; NaN where a profile is signed),
        `hoyer_sparseness`, `kurtosis`; over samples: `population_sparseness` (NaN likewise). Each stands beside
        ``_low`` and ``_high`` (95 % bootstrap interval over stimuli, dictionary and responses fixed; that of a `mis` is
        never narrower than the binomial one of its tasks), ``_null``,
        ``_null_low`` and ``_null_high`` (mean and 95 % interval of its null), ``_p``, and its median over profiles with
        the same, such as ``mis_median_low``. ``mis_p_randomised`` breaks ties at random; ``mis_n_tasks`` counts tasks;
        ``lifetime_sparseness_bias`` is what Poisson noise added (counts only). `summary` gives the medians as a dict.

    Raises
    ------
    InputError
        If dims, labels or sizes do not fit, there are too few stimuli (it says how many are needed), or codes of atoms
        come without a similarity.

    Warns
    -----
    EvidenceWarning
        If the similarity holds a profile it is to judge, or comes from other units on the very trials or times that
        are ranked, so that shared noise passes for signal.
    DataWarning
        If stimuli with one trial, or samples with NaN, are left out.

    Notes
    -----
    *Held out.* Where trials repeat a stimulus, each task takes random halves of every stimulus's trials. The first
    half chooses queries and explanations. If the similarity comes from elsewhere, the second half says which query is
    the more active (j), so that a profile which does not repeat itself scores .5. If it comes from the same trials
    (None, or a population of these trials), the second half gives the similarity and the first is j: were both second,
    noise that units share on a trial would make answers right, or wrong, together (the median's false positives rose
    to .10-.15 at .05). So no trial's noise enters both the choice of stimuli and their similarity.

    *Nulls.* `mis`: whole stimuli permuted against the similarity, tasks as they are; for times, circular shifts where
    the recording is 50 or more autocorrelation times tau long, else p is NaN and ``attrs["p_note"]`` says
    "undecidable". Sparseness does not change when stimuli are permuted. Its null is, for counts (by ``quantity``),
    a Poisson process at the profile's mean rate with the same repeats; else random directions of the population's
    space, rectified where needed: is this axis sparser than any axis? p is one-sided, (1 + b) / (1 + B).

    *Times.* Queries lie at least 2 tau from all else in their task; the bootstrap takes blocks of 2 tau.

    *Not asked*: profiles that are constant (span < 1e-8), or beyond their median on fewer than `n_explanations` + 1
    stimuli on both sides, are NaN and counted in the attrs.

    *Query.* On planted worlds the least extreme query (Zimmermann et al.) makes mixtures of two latents score above
    the latents, since mixtures are active on more stimuli; the most extreme one (Klindt et al.) makes them fall.

    *Intervals* are cautious: on planted worlds of 640 stimuli .98 to 1.00 of the nominal 95 % intervals of `mis` and of
    its median held the score of fresh stimuli, since a bootstrap sample offers fewer different queries.

    Cost: O((n_permutations + n_bootstraps) x profiles x n_tasks x n_explanations), mostly the bootstrap; 640 stimuli
    take 2 s with 50 units and 20 s with 1,792. CPU only; deterministic given `random_state`.

    References
    ----------
    R. Zimmermann, D. Klindt, W. Brendel, Measuring mechanistic interpretability at scale without humans, NeurIPS 2024
    (the limit of large alpha). D. Klindt et al., arXiv 2310.11431 (query). W. Vinje, J. Gallant, Science 287 (2000).

    Examples
    --------
    >>> import numpy as np
    >>> from neurosparse import interpretability_scores, population
    >>> x = population.from_arrays(np.random.default_rng(0).exponential(size=(100, 6)), dims=("stimulus", "unit"))
    >>> scores = interpretability_scores(x, n_permutations=19, n_bootstraps=19)
    >>> scores["mis"].dims
    ('unit',)
    """
    _check_draws(n_permutations, n_bootstraps)
    draw = Draw(n_tasks, n_explanations, quantile, query)
    rng = np.random.default_rng(random_state)
    profiles, stimulus_similarity = observed_together(profiles, stimulus_similarity, nan)
    samples = read_profiles(profiles, nan)
    judge = read_judge(samples, stimuli, stimulus_similarity, nan)
    samples = grouped(samples, _near(samples, stimuli, groups))
    samples = apart_in_time(samples, judge.features)
    check_enough(samples, n_explanations)
    permuted, note = _permuted(samples, n_permutations, rng)
    weights = _weights(samples, n_bootstraps, rng)
    answered = _two_alternative(samples, judge, draw, permuted, weights, rng)
    scores = {"mis": Draws(answered.score, answered.null, _shuffled(samples), bootstrap=answered.bootstrap)}
    scores |= sparseness_scores(samples, weights, n_permutations, rng)

    result = xr.Dataset(coords=_coords(samples))
    for name in SCORES:
        dim = samples.dim if name == "population_sparseness" else samples.last
        result = result.assign(_variables(name, scores[name], dim))
    fewest = wilson_interval(answered.score, answered.n_tasks)
    result["mis_low"] = np.minimum(result["mis_low"], fewest[0])
    result["mis_high"] = np.maximum(result["mis_high"], fewest[1])
    result["mis_p_randomised"] = (samples.last, randomised_p_value(answered.score, answered.null, rng))
    result["mis_n_tasks"] = (samples.last, answered.n_tasks)
    if not len(permuted):
        result["mis_p_randomised"][:] = np.nan
    result.attrs = _attributes(samples, judge, draw, answered, note, random_state)
    return result


def summary(scores: xr.Dataset) -> dict[str, float]:
    """One row for a table: the median over profiles of each score (over samples for the population's).

    Parameters
    ----------
    scores : Dataset
        As `interpretability_scores` gives it.

    Returns
    -------
    dict of str -> float
        For each score its median under its own name, and ``_low``, ``_high``, ``_null``, ``_p`` of that median.
    """
    suffixes = {"": "", "_low": "_low", "_high": "_high", "_null": "_null", "_p": "_p"}
    return {f"{name}{suffix}": float(scores[f"{name}_median{suffix}"]) for name in SCORES for suffix in suffixes}


def _check_draws(n_permutations: Any, n_bootstraps: Any) -> None:
    for name, value in (("n_permutations", n_permutations), ("n_bootstraps", n_bootstraps)):
        if not isinstance(value, int | np.integer) or value < 1:
            raise InputError(f"{name} must be a whole number of at least 1; got {value!r}.")


def _near(profiles: Profiles, stimuli: Any, groups: Any) -> NDArray[np.int64] | None:
    """Near-duplicates: as given, else among the images, else none."""
    if groups is None:
        if stimuli is None or profiles.dim == "time":
            return None
        return near_duplicates(pixel_rows(stimuli, profiles))
    if profiles.dim == "time":
        raise InputError("groups are for stimuli; samples of (time, unit) profiles are kept apart by their tau.")
    if isinstance(groups, xr.DataArray) and "stimulus" in groups.coords:
        groups = groups.values[places(profiles, groups["stimulus"].values, "groups")]
    labels = np.asarray(groups)
    if labels.shape != profiles.labels.shape:
        raise InputError(
            f"groups needs one label for each of the {len(profiles.labels)} stimuli; got shape {labels.shape}."
        )
    return np.unique(labels, return_inverse=True)[1].astype(np.int64)


def _permuted(profiles: Profiles, n_permutations: int, rng: np.random.Generator) -> tuple[NDArray[np.int64], str]:
    n = len(profiles.labels)
    if profiles.dim != "time":
        return permutations(n, n_permutations, random_state=rng), ""
    n_taus = n / profiles.tau
    if n_taus < _LEAST_TAUS:
        said = f"undecidable: {n} samples are {n_taus:.1f} autocorrelation times, fewer than {_LEAST_TAUS}"
        return np.empty((0, n), dtype=np.int64), said
    n_shifts = min(n_permutations, n - 2 * profiles.gap + 1)
    return circular_shifts(n, n_shifts, minimum=profiles.gap, random_state=rng), ""


def _weights(profiles: Profiles, n_bootstraps: int, rng: np.random.Generator) -> NDArray[np.int64]:
    n_clusters = int(profiles.clusters.max()) + 1
    if n_clusters < 2:
        return np.empty((0, n_clusters), dtype=np.int64)
    return bootstrap_weights(np.arange(n_clusters), n_bootstraps, random_state=rng).astype(np.int64)


def _two_alternative(
    profiles: Profiles,
    judge: Judge,
    draw: Draw,
    permuted: NDArray[np.int64],
    weights: NDArray[np.int64],
    rng: np.random.Generator,
) -> TwoAlternative:
    split = profiles.trials is not None or judge.other_units
    a_block = Draw(1 if split else draw.n_tasks, draw.n_explanations, draw.quantile, draw.query, profiles.gap)
    return two_alternative(
        blocks(profiles, judge, draw.n_tasks, rng),
        profiles.values.shape[1],
        a_block,
        groups=profiles.groups,
        permuted=permuted,
        clusters=profiles.clusters,
        weights=weights,
        random_state=rng,
    )


def _shuffled(profiles: Profiles) -> str:
    if profiles.dim == "time":
        return "circular shifts of the similarities against the profiles"
    return "whole stimuli permuted against the similarities"


def _variables(name: str, draws: Draws, dim: str) -> dict[str, tuple[Any, ...]]:
    """A score and all that stands beside it, as variables of the result."""
    about = {**_ABOUT[name], "null": draws.how}
    size = len(draws.value)
    medians = draws.median if draws.bootstrap is None else _median(draws.bootstrap)
    null_medians = _median(draws.null)
    median = _median(draws.value[None])
    entries: dict[str, tuple[Any, ...]] = {name: (dim, draws.value, about)}
    if draws.bootstrap is not None:
        entries |= _two(name, _interval(draws.bootstrap, (size,)), dim, "")
    entries |= _null(name, draws.value, draws.null, dim)
    entries[f"{name}_median"] = ((), median[0])
    entries |= _two(f"{name}_median", _interval(medians, ()), (), "")
    entries |= _null(f"{name}_median", median[0], null_medians, ())
    if name == "lifetime_sparseness":
        bias = np.full(size, np.nan) if draws.bias is None else draws.bias
        entries[f"{name}_bias"] = (dim, bias, {"long_name": "mean rise when the averages are drawn again by Poisson"})
    return entries


def _null(name: str, value: Any, null: Any, dim: Any) -> dict[str, tuple[Any, ...]]:
    shape = np.shape(value)
    if len(null) == 0:
        nothing = np.full(shape, np.nan)
        return {f"{name}_{part}": (dim, nothing) for part in ("null", "null_low", "null_high", "p")}
    p = np.where(np.isnan(null).all(axis=0), np.nan, p_value(value, null))
    return {
        f"{name}_null": (dim, quiet_mean(null)),
        **_two(name, _interval(null, shape), dim, "_null"),
        f"{name}_p": (dim, p),
    }


def _two(name: str, interval: tuple[Any, Any], dim: Any, part: str) -> dict[str, tuple[Any, ...]]:
    return {f"{name}{part}_low": (dim, interval[0]), f"{name}{part}_high": (dim, interval[1])}


def _interval(draws: Any, shape: tuple[int, ...]) -> tuple[Any, Any]:
    """95 % interval of the draws that could be made."""
    if draws is None or len(draws) == 0:
        return np.full(shape, np.nan), np.full(shape, np.nan)
    if np.isfinite(draws).all():
        return percentile_interval(draws)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # all draws NaN: the interval is NaN too
        low, high = np.nanquantile(draws, [0.025, 0.975], axis=0)
    return low, high


def _median(draws: Any) -> NDArray[np.float64]:
    """Median over profiles of each draw, of those that have the score."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # no profile has it: the median is NaN too
        return np.nanmedian(draws, axis=1)


def _coords(profiles: Profiles) -> dict[str, Any]:
    x = profiles.source
    coords: dict[str, Any] = {str(name): x[name].variable for name in x.coords if x[name].dims == (profiles.last,)}
    return coords | {profiles.dim: (profiles.dim, profiles.labels)}


def _attributes(
    profiles: Profiles, judge: Judge, draw: Draw, answered: TwoAlternative, note: str, random_state: Any
) -> dict[str, Any]:
    n, p = profiles.values.shape
    constant = int((np.ptp(profiles.values, axis=0) < 1e-8).sum())
    return {
        "n_samples": n,
        "n_units": p,
        "n_scored": int(np.isfinite(answered.score).sum()),
        "n_constant": constant,
        "n_not_asked": int(np.isnan(answered.score).sum()) - constant,
        "n_groups": len(np.unique(profiles.groups)),
        "similarity": judge.what,
        "split": _split(profiles, judge),
        "interval": f"95 % bootstrap over {_resampled(profiles)}, responses and dictionary fixed",
        "n_tasks": draw.n_tasks,
        "n_explanations": draw.n_explanations,
        "quantile": draw.quantile,
        "pool_size": draw.pool_size(n),
        "query": f"{draw.query} extreme",
        "n_permutations": len(answered.null),
        "n_bootstraps": len(answered.bootstrap),
        "tau": profiles.tau,
        "p_note": note or "one-sided, (1 + b) / (1 + B)",
        "random_state": str(random_state),
        "provenance": str(profiles.source.attrs.get("provenance", json.dumps({}))),
    }


def _resampled(profiles: Profiles) -> str:
    if profiles.dim == "time":
        return f"blocks of {profiles.gap} samples"
    return "stimuli" if len(np.unique(profiles.groups)) == len(profiles.labels) else "groups of near-duplicate stimuli"


def _split(profiles: Profiles, judge: Judge) -> str:
    if profiles.trials is None:
        return "none: ranked and judged on the same responses" + (
            ", of averages" if profiles.repeats.max(initial=1) > 1 else ""
        )
    if judge.fixed is not None:
        return "random halves of the trials of each stimulus: one ranks, the other judges"
    return "random halves of the trials of each stimulus: one ranks, the other gives the similarities"
