"""Brain and model side by side: the door through which populations enter and one table leaves."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from neurosparse import population
from neurosparse.backend.resampling import near_duplicates
from neurosparse.comparison.rows import Effort, Question, Row, cross_row, family_rows, maps_between, own_row
from neurosparse.errors import InputError, NeurosparseWarning
from neurosparse.identifiability import choose_best, select_direction
from neurosparse.interpretability import pixel_similarity

Step = Callable[[str], None]
_MODEL = "model"
# Up to here the matrix of their similarities is at most 128 MB.
_MATRIX_STIMULI = 4000


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
    if stimulus_similarity is None and stimuli is not None:
        stimulus_similarity = _judged_by_pixels(stimuli, target)
    asked = Question(stimuli, stimulus_similarity, groups, n_atoms, n_matched, effort, random_state)

    rows, maps = [], {}
    for name in names:
        row: Row = {}
        with _noted(row):
            step(f"{name}: dictionary and interpretability")
            row |= own_row(representations[name], asked)
            if name != names[0]:
                step(f"{name} and {names[0]}: linear maps both ways")
                maps[name] = maps_between(representations[name], target, asked)
                row |= cross_row(maps[name])
        rows.append(row)

    families = {_MODEL: choose_best(maps, n_bootstraps=effort.n_bootstraps, random_state=random_state)}
    for family in controls or {}:
        step(f"control: {family}")
        members = (controls or {})[family]
        with _noted({}):
            found = {name: maps_between(member, target, asked, control=True) for name, member in members.items()}
        families[family] = choose_best(found, n_bootstraps=effort.n_bootstraps, random_state=random_state)

    result = _dataset(rows, names, "representation")
    result = result.merge(_dataset(family_rows(families, asked), list(families), "family"))
    result.attrs = _attributes(names, maps, asked)
    return result


def _judged_by_pixels(stimuli: xr.DataArray, target: xr.DataArray) -> Any:
    """Their similarity once for all rows, where the matrix is no larger than the images may be."""
    shown = np.unique(target["stimulus"].values)
    return pixel_similarity(stimuli.sel(stimulus=shown)) if len(shown) <= _MATRIX_STIMULI else "pixels"


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
    said = [str(one.message) for one in caught if issubclass(one.category, NeurosparseWarning)]
    row["notes"] = " ".join(dict.fromkeys(one[:1].upper() + one[1:] for one in said))


def _dataset(rows: list[Row], labels: list[str], dim: str) -> xr.Dataset:
    """Rows as variables over `dim`; what a row lacks (the reference has no map to itself) is NaN."""
    return xr.Dataset.from_dataframe(pd.DataFrame(rows, index=pd.Index(labels, name=dim)))


def _attributes(names: list[str], maps: Mapping[str, xr.Dataset], asked: Question) -> dict[str, Any]:
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
