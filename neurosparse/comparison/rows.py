"""The rows of a comparison: what each representation says of itself, of the reference, and of its family."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from neurosparse import population
from neurosparse.backend.resampling import percentile_interval
from neurosparse.identifiability import linear_identifiability, paired_difference
from neurosparse.interpretability import interpretability_scores, summary
from neurosparse.sparse_coding import DictionaryLearning, surrogate_test

Row = dict[str, Any]

# Stimuli an atom needs before its direction means anything: the default size of a dictionary (rules of evidence).
_STIMULI_PER_ATOM = 30


@dataclass(frozen=True)
class Effort:
    """How much is computed.

    Attributes
    ----------
    n_folds, n_permutations, n_bootstraps : int
        Of the linear maps; permutations also of the interpretability scores.
    n_surrogates : int
        Gaussian surrogates that each dictionary is held against.
    n_splits : int
        Random halves of the repeats for reliability and ceiling.
    n_score_bootstraps : int
        Of the interpretability scores, where each costs far more than of a map.
    """

    n_folds: int = 5
    n_permutations: int = 200
    n_bootstraps: int = 1000
    n_surrogates: int = 19
    n_splits: int = 100
    n_score_bootstraps: int = 250


@dataclass(frozen=True)
class Question:
    """What is asked of every representation alike."""

    stimuli: xr.DataArray | None
    similarity: Any
    groups: xr.DataArray | None
    n_atoms: int | None
    n_matched: int
    effort: Effort
    random_state: int


def own_row(x: xr.DataArray, asked: Question) -> Row:
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
    # Two starts: how much a dictionary depends on its start is what the surrogate test has just measured.
    learner = DictionaryLearning(n_atoms, penalty=row["penalty"], n_restarts=2, random_state=asked.random_state)
    learner.fit(responses)
    row["active_atoms"] = float((learner.transform(responses) != 0).sum("atom").mean())
    halves = _half_averages(matched, responses, asked) if repeated else responses
    row |= _interpretability_row("units", halves, asked) | _interpretability_row(
        "atoms", learner.transform(halves), asked
    )
    return row


def _surrogate_row(responses: xr.DataArray, n_atoms: int, asked: Question) -> Row:
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


def _reliability(x: xr.DataArray, asked: Question) -> Row:
    names = ("split_half_r", "reliability", "ceiling")
    if "trial" not in x.dims:
        return dict.fromkeys(names, np.nan)
    found = population.reliability(x, n_splits=asked.effort.n_splits, random_state=asked.random_state)
    return {name: float(found[name].median()) for name in names}


def _participation_ratio(values: np.ndarray) -> float:
    """(sum of the covariance's eigenvalues)^2 / sum of their squares: the number of dimensions a code spreads over."""
    spectrum = np.linalg.svd(values - values.mean(0), compute_uv=False) ** 2
    return float(spectrum.sum() ** 2 / np.sum(spectrum**2)) if spectrum.any() else np.nan


def _half_averages(trials: xr.DataArray, responses: xr.DataArray, asked: Question) -> xr.DataArray:
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


def _interpretability_row(what: str, profiles: xr.DataArray, asked: Question) -> Row:
    scores = interpretability_scores(
        profiles,
        stimuli=asked.stimuli,
        stimulus_similarity=asked.similarity,
        groups=asked.groups,
        n_permutations=max(1, asked.effort.n_permutations),
        n_bootstraps=max(1, asked.effort.n_score_bootstraps),
        random_state=asked.random_state,
    )
    return {f"{what}_{name}": value for name, value in summary(scores).items()}


def maps_between(x: xr.DataArray, y: xr.DataArray, asked: Question, *, control: bool = False) -> xr.Dataset:
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
        panel=False,
        random_state=asked.random_state,
    )


def cross_row(found: xr.Dataset) -> Row:
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


def family_rows(families: Mapping[str, xr.Dataset], asked: Question) -> list[Row]:
    """Each family's best member, and how far the first family's is ahead of it."""
    best, rows = next(iter(families.values())), []
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
    return rows
