"""Brain and model side by side: populations in, one table out.

Calls the three front doors and puts their answers in the same rows for every representation. Nothing here knows
which representation is biological: the reference is the one that the others are compared with.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from neurosparse import population
from neurosparse.backend.resampling import near_duplicates, percentile_interval
from neurosparse.errors import InputError, NeurosparseWarning
from neurosparse.identifiability import choose_best, linear_identifiability, paired_difference, select_direction
from neurosparse.interpretability import interpretability_scores, summary
from neurosparse.sparse_coding import DictionaryLearning, surrogate_test

Step = Callable[[str], None]
Row = dict[str, Any]

# Stimuli an atom needs before its direction means anything: the default size of a dictionary (rules of evidence).
_STIMULI_PER_ATOM = 30
_MODEL = "model"


@dataclass(frozen=True)
class Effort:
    """How much is computed.

    Attributes
    ----------
    n_folds, n_permutations, n_bootstraps : int
        Of the linear maps; permutations and bootstrap also of the interpretability scores.
    n_surrogates : int
        Gaussian surrogates that each dictionary is held against.
    n_splits : int
        Random halves of the repeats for reliability and ceiling.
    """

    n_folds: int = 5
    n_permutations: int = 200
    n_bootstraps: int = 1000
    n_surrogates: int = 19
    n_splits: int = 100


def compare(
    representations: Mapping[str, xr.DataArray],
    *,
    reference: str | None = None,
    stimuli: xr.DataArray | None = None,
    stimulus_similarity: Any = None,
    groups: xr.DataArray | None = None,
    controls: Mapping[str, Mapping[str, xr.DataArray]] | None = None,
    n_atoms: int | None = None,
    effort: Effort | None = None,
    random_state: int = 0,
    on_step: Step | None = None,
) -> xr.Dataset:
    """Ask the three questions of every representation, and how well each predicts the reference and back.

    Parameters
    ----------
    representations : mapping of name to population
        Of the same stimuli: (trial, unit) with a `stimulus` coord, or (stimulus, unit). The first is the reference
        unless `reference` names another.
    reference : str, optional
        The representation that the others are compared with.
    stimuli : DataArray (stimulus, row, column, channel), optional
        Images. Their pixels tell which stimuli are alike unless `stimulus_similarity` does, and near-duplicates among
        them (pixel r > .9) share a fold.
    stimulus_similarity : optional
        As `interpretability_scores` takes it.
    groups : DataArray over stimulus, optional
        What must share a fold; by default the near-duplicates among `stimuli`.
    controls : mapping of family to mapping of name to population, optional
        Such as pixels, or the layers of random-weight networks. Each family is asked for once, when its turn comes, and
        scored against the reference alone, at its best member by training stimuli.
    n_atoms : int, optional
        Atoms of each dictionary; by default min(units, stimuli / 30).
    effort : Effort, optional
    random_state : int
        One number, so that all maps share their folds.
    on_step : callable, optional
        Called with the name of each stage as it begins.

    Returns
    -------
    Dataset
        - representation: ``n_units``, ``n_stimuli``, ``n_repeats``; ``split_half_r``, ``reliability``, ``ceiling``
          (medians over units, NaN without repeats); ``dimension`` (participation ratio of the averages);
          ``n_atoms``, ``active_atoms``, ``stability`` and ``gain`` of the dictionary, each with ``_surrogate``,
          ``_surrogate_low``, ``_surrogate_high``, and the ``verdict``; scores of units and of atoms, such as
          ``units_mis`` and ``atoms_mis`` with ``_low``, ``_high``, ``_null``, ``_p``; ``notes``, the warnings met
        - cross scores on the same dim: ``r``, ``R2``, ``r_low``, ``r_high``, ``r_null``, ``p``, ``r_ceiling``
          (representation predicts reference; medians over its units) and the same with ``_back`` (reference predicts
          representation). NaN for the reference itself.
        - family: ``family_r`` with ``_low``, ``_high``; ``family_choice``, the member taken in each fold;
          ``family_difference``, r of the best representation minus r of the family, with ``_low``, ``_high``

        `table` gives the rows as a DataFrame, `findings` as sentences.

    Raises
    ------
    InputError
        If there are fewer than two representations, the reference is not among them, neither `stimuli` nor
        `stimulus_similarity` is given, or the stimuli differ.

    Notes
    -----
    What is said of one representation (dimension, dictionary, interpretability) is computed on as many units as the
    smallest has, drawn at random; maps to the reference use all units, maps back as many targets. Dictionaries are
    learned on averages over repeats, in units of trial-noise sd where there are repeats; a network has no noise, and a
    difference in stability or interpretability may be due to that alone.
    """
    names = _names(representations, reference, stimuli, stimulus_similarity)
    _check_same_stimuli({name: representations[name] for name in names}, stimuli)
    effort = effort or Effort()
    step = on_step or (lambda stage: None)
    if groups is None and stimuli is not None:
        groups = near_duplicate_stimuli(stimuli)
    target = representations[names[0]]
    n_matched = min(representations[name].sizes["unit"] for name in names)
    asked = _Question(stimuli, stimulus_similarity, groups, n_atoms, n_matched, effort, random_state)

    rows, maps = [], {}
    for name in names:
        row: Row = {}
        with _noted(row):
            step(f"{name}: dictionary and interpretability")
            row |= _own_row(representations[name], asked)
            if name != names[0]:
                step(f"{name} and {names[0]}: linear maps both ways")
                maps[name] = _maps(representations[name], target, asked)
                row |= _cross_row(maps[name])
        rows.append(row)

    families = {_MODEL: choose_best(maps, n_bootstraps=effort.n_bootstraps, random_state=random_state)}
    for family in controls or {}:
        step(f"control: {family}")
        members = (controls or {})[family]
        with _noted({}):
            found = {name: _maps(member, target, asked, control=True) for name, member in members.items()}
        families[family] = choose_best(found, n_bootstraps=effort.n_bootstraps, random_state=random_state)

    result = _dataset(rows, names, "representation")
    result = result.merge(_family_rows(families, asked))
    result.attrs = _attributes(names, maps, asked)
    return result


@dataclass(frozen=True)
class _Question:
    """What is asked of every representation alike."""

    stimuli: xr.DataArray | None
    similarity: Any
    groups: xr.DataArray | None
    n_atoms: int | None
    n_matched: int
    effort: Effort
    random_state: int


def near_duplicate_stimuli(stimuli: xr.DataArray, threshold: float = 0.9) -> xr.DataArray:
    """Which images are so alike that they must share a fold.

    Parameters
    ----------
    stimuli : DataArray (stimulus, row, column, channel)
    threshold : float
        Pixel correlation above which two images are near-duplicates; chains of them share a label.

    Returns
    -------
    DataArray (stimulus,) of int
    """
    pixels = np.asarray(stimuli.values, dtype=np.float64).reshape(stimuli.sizes["stimulus"], -1)
    return xr.DataArray(near_duplicates(pixels, threshold), {"stimulus": stimuli["stimulus"].values}, ("stimulus",))


def _names(representations: Mapping[str, xr.DataArray], reference: str | None, *alike: Any) -> list[str]:
    """The reference, then the others in their order."""
    names = list(representations)
    if len(names) < 2:
        raise InputError(f"compare needs at least two representations; got {names}.")
    reference = names[0] if reference is None else reference
    if reference not in names:
        raise InputError(f"reference={reference!r} is not among the representations {names}.")
    for name in names:
        population.check(representations[name], dims=[("trial", "unit"), ("stimulus", "unit")], name=name)
        if "stimulus" not in representations[name].coords:
            raise InputError(
                f"{name} has trials without a coord 'stimulus': nothing says which trials match. Add it with "
                "x.assign_coords(stimulus=('trial', ids))."
            )
    if all(one is None for one in alike):
        raise InputError(
            "compare needs stimuli= (images) or stimulus_similarity= (a matrix or an embedding), which tell whether "
            "features are interpretable; got neither."
        )
    return [reference, *(name for name in names if name != reference)]


def _check_same_stimuli(representations: Mapping[str, xr.DataArray], stimuli: xr.DataArray | None) -> None:
    """Every representation saw what the reference saw: found out before anything is computed."""
    (reference, first), *others = representations.items()
    shown = pd.Index(first["stimulus"].values).unique()
    for name, other in others:
        seen = pd.Index(other["stimulus"].values).unique()
        missing, more = shown.difference(seen), seen.difference(shown)
        if len(missing) or len(more):
            which = (
                f"first {missing.tolist()[0]!r}"
                if len(missing)
                else f"first {more.tolist()[0]!r}, which only {name} has"
            )
            raise InputError(
                f"{name} and {reference} must have seen the same stimuli; {len(missing)} of {reference}'s {len(shown)} "
                f"are missing from {name} and {len(more)} are new in it ({which}). Select the shared ones first."
            )
    if stimuli is not None:
        pictured = pd.Index(stimuli["stimulus"].values)
        missing = shown.difference(pictured)
        if len(missing):
            raise InputError(
                f"stimuli lacks {len(missing)} of the {len(shown)} stimuli shown, first {missing.tolist()[0]!r}."
            )


@contextmanager
def _noted(row: Row) -> Iterator[None]:
    """Keep the warnings of the front doors as the row's ``notes``; a table of ten rows cannot shout each of them."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", NeurosparseWarning)
        yield
    for one in caught:
        if not issubclass(one.category, NeurosparseWarning):
            warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)
    row["notes"] = " ".join(
        dict.fromkeys(str(one.message) for one in caught if issubclass(one.category, NeurosparseWarning))
    )


def _own_row(x: xr.DataArray, asked: _Question) -> Row:
    """What is said of one representation by itself."""
    repeated = "trial" in x.dims
    matched = population.subsample_units(x, asked.n_matched, random_state=asked.random_state)
    responses = population.scale_by_noise(matched) if repeated else matched
    n_stimuli = responses.sizes["stimulus"]
    n_atoms = asked.n_atoms or max(1, min(asked.n_matched, n_stimuli // _STIMULI_PER_ATOM))
    row: Row = {
        "n_units": x.sizes["unit"],
        "n_units_matched": asked.n_matched,
        "n_stimuli": n_stimuli,
        "n_repeats": float(responses["n_repeats"].median()) if repeated else 1.0,
        **_reliability(matched, asked),
        "dimension": _participation_ratio(responses.values),
        "n_atoms": n_atoms,
    }
    row |= _surrogate_row(responses, n_atoms, asked)
    learner = DictionaryLearning(n_atoms, penalty=row["penalty"], random_state=asked.random_state).fit(responses)
    row["active_atoms"] = float((learner.transform(responses) != 0).sum("atom").mean())
    halves = _half_averages(matched, responses, asked) if repeated else responses
    row |= _interpretability_row("units", halves, asked) | _interpretability_row(
        "atoms", learner.transform(halves), asked
    )
    return row


def _surrogate_row(responses: xr.DataArray, n_atoms: int, asked: _Question) -> Row:
    """The evidence for a dictionary beside that of Gaussians with its mean and covariance."""
    test = surrogate_test(
        responses,
        n_atoms=n_atoms,
        groups=None if asked.groups is None else asked.groups.sel(stimulus=responses["stimulus"]).values,
        n_surrogates=asked.effort.n_surrogates,
        random_state=asked.random_state,
    )
    row: Row = {"verdict": test.attrs["verdict"], "told": bool(test["told"]), "penalty": float(test.attrs["penalty"])}
    for name in ("stability", "gain"):
        low, high = percentile_interval(test[f"surrogate_{name}"].values)
        row |= {
            name: float(test[name]),
            f"{name}_surrogate": float(test[f"surrogate_{name}"].mean()),
            f"{name}_surrogate_low": float(low),
            f"{name}_surrogate_high": float(high),
            f"{name}_p": float(test[f"p_{name}"]),
        }
    row["stability_chance"] = float(test["chance"].max())
    return row


def _reliability(x: xr.DataArray, asked: _Question) -> Row:
    names = ("split_half_r", "reliability", "ceiling")
    if "trial" not in x.dims:
        return dict.fromkeys(names, np.nan)
    found = population.reliability(x, n_splits=asked.effort.n_splits, random_state=asked.random_state)
    return {name: float(found[name].median()) for name in names}


def _participation_ratio(values: np.ndarray) -> float:
    """(sum of the covariance's eigenvalues)^2 / sum of their squares: the number of dimensions a code spreads over."""
    spectrum = np.linalg.svd(values - values.mean(0), compute_uv=False) ** 2
    return float(spectrum.sum() ** 2 / np.sum(spectrum**2)) if spectrum.any() else np.nan


def _half_averages(trials: xr.DataArray, responses: xr.DataArray, asked: _Question) -> xr.DataArray:
    """Averages over two random halves of the repeats, in the units of `responses`, as two trials a stimulus."""
    first, second = next(population.split_halves(trials, n_splits=1, random_state=asked.random_state))
    scale = responses["noise_sd"] if "noise_sd" in responses.coords else 1.0
    stacked = np.concatenate([(half / scale).values for half in (first, second)])
    return population.from_arrays(
        stacked,
        dims=("trial", "unit"),
        unit=trials["unit"].values,
        stimulus=np.concatenate([first["stimulus"].values, second["stimulus"].values]),
        kind=trials.attrs["kind"],
        quantity=responses.attrs["quantity"],
        units=responses.attrs["units"],
    )


def _interpretability_row(what: str, profiles: xr.DataArray, asked: _Question) -> Row:
    similarity = "pixels" if asked.similarity is None else asked.similarity
    scores = interpretability_scores(
        profiles,
        stimuli=asked.stimuli,
        stimulus_similarity=similarity,
        groups=asked.groups,
        n_permutations=max(1, asked.effort.n_permutations),
        n_bootstraps=max(1, asked.effort.n_bootstraps),
        random_state=asked.random_state,
    )
    return {f"{what}_{name}": value for name, value in summary(scores).items()}


def _maps(x: xr.DataArray, y: xr.DataArray, asked: _Question, *, control: bool = False) -> xr.Dataset:
    return linear_identifiability(
        x,
        y,
        groups=asked.groups,
        n_folds=asked.effort.n_folds,
        n_permutations=0 if control else asked.effort.n_permutations,
        n_bootstraps=0 if control else asked.effort.n_bootstraps,
        n_splits=asked.effort.n_splits,
        max_targets=max(asked.n_matched, y.sizes["unit"]),
        directions=("x->y",) if control else ("x->y", "y->x"),
        random_state=asked.random_state,
    )


def _cross_row(found: xr.Dataset) -> Row:
    row: Row = {}
    for direction, ending in (("x->y", ""), ("y->x", "_back")):
        part = found.sel(direction=direction)
        row |= {
            f"r{ending}": float(part["median_r"]),
            f"r{ending}_low": float(part["median_r_low"]),
            f"r{ending}_high": float(part["median_r_high"]),
            f"r{ending}_null": float(part["median_null_r"]),
            f"r{ending}_ceiling": float(part["median_ceiling_r"]),
            f"R2{ending}": float(part["median_R2"]),
            f"p{ending}": float(part["pooled_p"]),
        }
    return row


def _family_rows(families: Mapping[str, xr.Dataset], asked: _Question) -> xr.Dataset:
    best, rows = families[_MODEL], []
    for chosen in families.values():
        r = chosen.sel(direction="x->y")
        ahead = paired_difference(
            best, chosen, n_bootstraps=max(1, asked.effort.n_bootstraps), random_state=asked.random_state
        )
        rows.append(
            {
                "family_r": float(r["median_r"]),
                "family_r_low": float(r["median_r_low"]),
                "family_r_high": float(r["median_r_high"]),
                "family_choice": ", ".join(map(str, chosen["choice"].values)),
                "family_difference": float(ahead["difference"]),
                "family_difference_low": float(ahead["difference_low"]),
                "family_difference_high": float(ahead["difference_high"]),
            }
        )
    return _dataset(rows, list(families), "family")


def _dataset(rows: list[Row], labels: list[str], dim: str) -> xr.Dataset:
    """Rows as variables over `dim`; what a row lacks (the reference has no map to itself) is NaN."""
    return xr.Dataset.from_dataframe(pd.DataFrame(rows, index=pd.Index(labels, name=dim)))


def _attributes(names: list[str], maps: Mapping[str, xr.Dataset], asked: _Question) -> dict[str, Any]:
    first = next(iter(maps.values()))
    return {
        "reference": names[0],
        "model_family": _MODEL,
        "n_units_matched": asked.n_matched,
        "n_stimuli": int(first.attrs["n_samples"]),
        "n_groups": len(np.unique(select_direction(first)["group"])),
        "split": str(first.attrs["split"]),
        "interval": "95 %, groups of stimuli resampled, fitted maps, dictionaries and folds held fixed",
        "direction": "higher is better for r, R2, ceiling, stability, gain, mis; sparseness has no better side",
        "equivalence_class": str(first.attrs["equivalence_class"]),
        "effort": json.dumps(asdict(asked.effort)),
        "random_state": asked.random_state,
    }


_COLUMNS = {
    "n_units": "units",
    "reliability": "reliability",
    "ceiling": "ceiling on r",
    "dimension": "dimension",
    "r": "r",
    "r_low": "r low",
    "r_high": "r high",
    "r_null": "r null",
    "p": "p",
    "r_back": "r back",
    "r_back_null": "r back null",
    "n_atoms": "atoms",
    "active_atoms": "active atoms",
    "stability": "stability",
    "stability_surrogate": "stability, Gaussian",
    "gain": "gain",
    "gain_surrogate": "gain, Gaussian",
    "verdict": "dictionary",
    "units_mis": "mis, units",
    "units_mis_null": "mis null, units",
    "atoms_mis": "mis, atoms",
    "atoms_mis_null": "mis null, atoms",
    "units_hoyer_sparseness": "Hoyer, units",
    "units_hoyer_sparseness_null": "Hoyer null, units",
    "atoms_hoyer_sparseness": "Hoyer, atoms",
    "atoms_hoyer_sparseness_null": "Hoyer null, atoms",
}


def table(result: xr.Dataset) -> pd.DataFrame:
    """The rows of a comparison that a reader wants first, one representation each; `result` holds them all.

    Parameters
    ----------
    result : Dataset
        What `compare` returns.

    Returns
    -------
    pandas.DataFrame
        Indexed by representation, columns named in words.
    """
    rows = result[list(_COLUMNS)].to_dataframe()
    return rows[list(_COLUMNS)].rename(columns=_COLUMNS)


def findings(result: xr.Dataset) -> list[str]:
    """A comparison in sentences, each number beside its null, its ceiling and its interval.

    Parameters
    ----------
    result : Dataset
        What `compare` returns.
    """
    reference = result.attrs["reference"]
    rows = {str(name): result.sel(representation=name) for name in result["representation"].values}
    return [
        _said_of_reliability(reference, rows[reference], result),
        *(_said_of_maps(name, row, reference) for name, row in rows.items() if name != reference),
        *_said_of_families(result, reference),
        *(_said_of_features(name, row) for name, row in rows.items()),
        *(f"Note on {name}: {row['notes'].item()}" for name, row in rows.items() if row["notes"].item()),
    ]


def _said_of_reliability(reference: str, row: xr.Dataset, result: xr.Dataset) -> str:
    size = f"{int(row['n_units'])} units, {int(row['n_stimuli'])} stimuli"
    if np.isnan(row["ceiling"]):
        return f"{reference}: {size}, no repeats, so no ceiling is known."
    return (
        f"{reference}: {size}, {float(row['n_repeats']):g} repeats. Split-half r {float(row['split_half_r']):.2f}, "
        f"reliability of the averages {float(row['reliability']):.2f}, so r can reach {float(row['ceiling']):.2f} "
        f"(medians over units). Held out by {result.attrs['split']}."
    )


def _said_of_maps(name: str, row: xr.Dataset, reference: str) -> str:
    return (
        f"{name} predicts {reference} at r {_with_interval(row, 'r')} (null {float(row['r_null']):.2f}, "
        f"p {float(row['p']):.3g}); {reference} predicts {name} at r {_with_interval(row, 'r_back')} "
        f"(null {float(row['r_back_null']):.2f}, p {float(row['p_back']):.3g})."
    )


def _said_of_families(result: xr.Dataset, reference: str) -> list[str]:
    rows = {str(name): result.sel(family=name) for name in result["family"].values}
    best = rows.pop(result.attrs["model_family"])
    chosen = sorted(set(best["family_choice"].item().split(", ")))
    lines = [
        f"The best layer, chosen on training stimuli ({', '.join(chosen)}), predicts {reference} at r "
        f"{_with_interval(best, 'family_r')}."
    ]
    for name, row in rows.items():
        ahead = f"ahead by {_with_interval(row, 'family_difference')}"
        sure = "" if row["family_difference_low"] > 0 else ", which is no difference that these stimuli can show"
        lines.append(f"{name}: r {_with_interval(row, 'family_r')}; the best layer is {ahead}{sure}.")
    return lines


def _said_of_features(name: str, row: xr.Dataset) -> str:
    return (
        f"{name}: a dictionary of {int(row['n_atoms'])} atoms on {int(row['n_units_matched'])} units is "
        f"{row['verdict'].item()} (stability {float(row['stability']):.2f}, Gaussians of equal covariance "
        f"{float(row['stability_surrogate']):.2f}; gain {float(row['gain']):.3f}, Gaussians "
        f"{float(row['gain_surrogate']):.3f}). Interpretability score of units {_with_interval(row, 'units_mis')}, of "
        f"atoms {_with_interval(row, 'atoms_mis')} (chance .5)."
    )


def _with_interval(row: xr.Dataset, name: str) -> str:
    return f"{float(row[name]):.2f} [{float(row[f'{name}_low']):.2f}, {float(row[f'{name}_high']):.2f}]"
