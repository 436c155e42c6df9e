"""How a code holds concepts that are known: sparse probes, DCI, MIG and InfoMEC, held out and beside their null."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from tqdm import tqdm

from neurosparse.backend import psychophysics
from neurosparse.backend.psychophysics import Split
from neurosparse.backend.resampling import block_folds, group_folds, p_value
from neurosparse.errors import InputError
from neurosparse.interpretability.asking import near, one_a_stimulus, permuted_samples
from neurosparse.interpretability.draws import quiet_mean
from neurosparse.interpretability.profiles import Profiles, apart_in_time, grouped, read_profiles

Floats = NDArray[np.float64]
Parts = dict[str, Floats]

_LEAST = 30
_ABOUT = {
    "probe": "held-out balanced accuracy of a logistic regression on few features (R2 of a ridge, where continuous)",
    "explicitness": "InfoE: held-out share of the concept that a linear probe of all features explains",
    "informativeness": "DCI: held-out R2 of a lasso of all features",
    "completeness": "DCI: 1 - entropy over features of a concept's importances",
    "mutual_information_gap": "MIG: (I of the best feature - I of the second) / H",
    "disentanglement": "DCI: 1 - entropy over concepts of a feature's importances",
    "overall_disentanglement": "DCI: disentanglement weighed by importance",
    "info_modularity": "InfoM: how far each feature knows one concept only",
    "info_compactness": "InfoC: how far each concept is known to one feature only",
}


def concept_scores(
    codes: xr.DataArray,
    concepts: Any,
    *,
    n_features: Sequence[int] = (1, 2, 5),
    n_folds: int = 3,
    n_bins: int = 20,
    n_permutations: int = 19,
    groups: Any = None,
    random_state: Any = 0,
    nan: str = "raise",
    progress: bool = False,
) -> xr.Dataset:
    """Score how codes hold known concepts: labels of stimuli, or the latents of a simulated world.

    Parameters
    ----------
    codes : DataArray (stimulus, unit), (trial, unit) or (time, unit)
        As `interpretability_scores` takes it, or with ``atom`` last. Trials of a stimulus are averaged.
    concepts : mapping of name to (stimulus,) array, or DataArray (stimulus, concept)
        Integers, booleans and texts are classes; floats are continuous. Arrays go in sorted order of stimuli.
    n_features : ints
        Sizes of the sparse probes. Features are ranked on the training stimuli alone.
    n_folds : int
        Folds over groups of stimuli, or blocks of time with a gap; every score of a probe is held out.
    n_bins : int
        Equal bins of codes and of continuous concepts, for mutual information.
    n_permutations : int
        Permutations of whole stimuli against the concepts, everything fitted anew; circular shifts for times.
    groups, nan
        As for `interpretability_scores`.
    random_state : int, numpy.random.Generator or None
    progress : bool

    Returns
    -------
    Dataset
        ``probe`` (concept, n_features), ``explicitness``, ``informativeness``, ``completeness`` and
        ``mutual_information_gap`` (concept), ``disentanglement`` (unit or atom), and the scalars
        ``overall_disentanglement``, ``info_modularity``, ``info_compactness``; higher is better. Each with ``_null``
        (mean under permutation) and ``_p`` (one-sided, all refitted); those that are fitted with ``_fold_low`` and
        ``_fold_high``, the range over folds, which is no confidence interval.

    Raises
    ------
    InputError
        If concepts do not fit the stimuli, a class has fewer than `n_folds` + 1 groups, or there are fewer than 30
        groups of stimuli.

    Notes
    -----
    Importances are those of a lasso on standardised codes, penalty chosen within the training stimuli, so that
    disentanglement is that of linear use. Mutual information is plug-in: bins add to it, as the null shows.

    *Read together.* Disentanglement and completeness are high by chance where a lasso uses next to nothing: codes of
    shuffled stimuli score .8 and .5 on planted worlds whose latents score .95 and .94, at an informativeness of 0.
    Scores of the whole code (explicitness, informativeness, modularity, compactness) ask what all features hold:
    features that are copies of each other lose there what a rotation keeps.

    Cost: (1 + n_permutations) x n_folds x concepts lassos.

    References
    ----------
    C. Eastwood, C. Williams, ICLR 2018 (DCI); R. Chen et al., NeurIPS 2018 (MIG); K. Hsu et al., NeurIPS 2023
    (InfoMEC); W. Gurnee et al., arXiv 2305.01610 (sparse probing).
    """
    sizes = [int(k) for k in n_features]
    rng = np.random.default_rng(random_state)
    samples = read_profiles(codes, nan)
    samples = apart_in_time(grouped(samples, near(samples, None, groups)), None)
    if not sizes or min(sizes) < 1:
        raise InputError(f"n_features are sizes of probes, 1 or more; got {n_features!r}.")
    table = _read(concepts, samples, n_folds)
    folds = _folds(samples, n_folds, rng)
    permuted, note = permuted_samples(samples, n_permutations, rng)
    same = np.arange(len(samples.labels))
    with tqdm(total=1 + len(permuted), desc="concepts", disable=not progress, leave=False) as bar:
        drawn = []
        for order in [same, *permuted]:
            shuffled = {name: (values[order], discrete) for name, (values, discrete) in table.items()}
            drawn.append(_measure(samples.values, shuffled, folds, sizes, n_bins))
            bar.update()
    return _labelled(samples, table, sizes, drawn[0], drawn[1:], note, len(folds))


def _read(concepts: Any, samples: Profiles, n_folds: int) -> dict[str, tuple[Floats, bool]]:
    if isinstance(concepts, xr.DataArray) and concepts.ndim == 2 and "concept" in concepts.dims:
        concepts = {str(name): concepts.sel(concept=name, drop=True) for name in concepts["concept"].values}
    if not isinstance(concepts, Mapping) or not concepts:
        raise InputError(
            "concepts needs a mapping of name to one value a stimulus, or dims (stimulus, concept) with labels; got "
            f"{type(concepts).__name__}. A single one goes in as {{'name': values}}."
        )
    n_groups = len(np.unique(samples.clusters))
    if n_groups < _LEAST:
        raise InputError(f"concept_scores needs at least {_LEAST} stimuli that are no near-duplicates; got {n_groups}.")
    return {str(name): _one(str(name), entries, samples, n_folds) for name, entries in concepts.items()}


def _one(name: str, entries: Any, samples: Profiles, n_folds: int) -> tuple[Floats, bool]:
    values = one_a_stimulus(entries, samples, f"concept {name!r}")
    if values.ndim != 1:
        raise InputError(f"concept {name!r} needs one value a stimulus; got shape {values.shape}.")
    if values.dtype.kind == "f":
        if not np.isfinite(values).all() or np.ptp(values) == 0:
            raise InputError(f"concept {name!r} is constant or has NaN. Leave it out, or those stimuli.")
        return values.astype(np.float64), False
    distinct, codes = np.unique(values, return_inverse=True)
    fewest = min(len(np.unique(samples.clusters[codes == k])) for k in range(len(distinct)))
    if len(distinct) < 2 or fewest <= n_folds:
        raise InputError(
            f"concept {name!r} needs at least two classes, each with more than n_folds={n_folds} groups of stimuli; "
            f"got {len(distinct)}, the smallest of {fewest}. Merge small classes; continuous concepts are floats."
        )
    return codes.astype(np.float64), True


def _folds(samples: Profiles, n_folds: int, rng: np.random.Generator) -> list[tuple[Any, Any]]:
    if samples.dim == "time":
        return list(block_folds(len(samples.labels), n_folds, gap=samples.gap))
    return list(group_folds(samples.clusters, n_folds, random_state=rng))


def _measure(
    values: Floats, table: dict[str, tuple[Floats, bool]], folds: list[Any], sizes: list[int], n_bins: int
) -> tuple[Parts, Parts]:
    """Scores by fold, (fold, ...), and scores of all samples together."""
    fitted: dict[str, list[Any]] = {name: [] for name in ("probe", "explicitness", "informativeness", "completeness")}
    fitted |= {"disentanglement": [], "overall_disentanglement": []}
    for train, test in folds:
        rows = list(_of_fold(values, table, train, test, sizes))
        fitted["probe"].append([row[0] for row in rows])
        fitted["explicitness"].append([row[1] for row in rows])
        fitted["informativeness"].append([row[3] for row in rows])
        of_features, of_concepts, overall = psychophysics.dci(np.stack([row[2] for row in rows], axis=1))
        fitted["completeness"].append(of_concepts)
        fitted["disentanglement"].append(of_features)
        fitted["overall_disentanglement"].append(overall)
    whole = np.stack(
        [x if discrete else psychophysics.binned(x[:, None], n_bins)[:, 0] for x, discrete in table.values()]
    )
    concepts = whole.T.astype(np.int64)
    information = psychophysics.mutual_information(psychophysics.binned(values, n_bins), concepts)
    entropy = psychophysics.entropies(concepts)
    modular, compact = psychophysics.info_mec(information, entropy)
    return {name: np.array(each, dtype=np.float64) for name, each in fitted.items()}, {
        "mutual_information_gap": psychophysics.mutual_information_gap(information, entropy),
        "info_modularity": np.array(modular),
        "info_compactness": np.array(compact),
    }


def _of_fold(
    values: Floats, table: dict[str, tuple[Floats, bool]], train: Any, test: Any, sizes: list[int]
) -> Iterator[tuple[list[float], float, Floats, float]]:
    for concept, discrete in table.values():
        split = Split(train, test, discrete)
        probes = [psychophysics.sparse_probe(values, concept, split, k) for k in sizes]
        yield (
            probes,
            psychophysics.explicitness(values, concept, split),
            *psychophysics.importances(values, concept, split),
        )


def _labelled(
    samples: Profiles,
    table: dict[str, tuple[Floats, bool]],
    sizes: list[int],
    observed: tuple[Parts, Parts],
    null: list[tuple[Parts, Parts]],
    note: str,
    n_folds: int,
) -> xr.Dataset:
    last = samples.last
    dims: dict[str, tuple[str, ...]] = dict.fromkeys(_ABOUT, ("concept",))
    dims |= {"probe": ("concept", "n_features"), "disentanglement": (last,)}
    dims |= dict.fromkeys(("overall_disentanglement", "info_modularity", "info_compactness"), ())
    result = xr.Dataset(coords={"concept": list(table), "n_features": sizes, last: samples.source[last].variable})
    result["is_discrete"] = ("concept", [discrete for _, discrete in table.values()])
    classes = [len(np.unique(values)) if discrete else np.inf for values, discrete in table.values()]
    result["probe_chance"] = ("concept", 1 / np.array(classes))
    fitted, whole = observed
    for name, about in _ABOUT.items():
        of_folds = name in fitted
        value = quiet_mean(fitted[name]) if of_folds else whole[name]
        result[name] = (dims[name], value, {"long_name": about, "direction": "higher is better"})
        if of_folds:
            for end, pick in (("low", np.fmin), ("high", np.fmax)):
                result[f"{name}_fold_{end}"] = (dims[name], pick.reduce(fitted[name], axis=0))
        draws = np.array([quiet_mean(one[name]) if of_folds else rest[name] for one, rest in null])
        if len(draws):
            known = np.isfinite(value) & np.isfinite(draws).any(axis=0)
            filled = np.where(np.isfinite(draws), draws, -np.inf)
            result[f"{name}_null"] = (dims[name], quiet_mean(draws))
            result[f"{name}_p"] = (dims[name], np.where(known, p_value(np.nan_to_num(value), filled), np.nan))
        else:
            nothing = np.full(np.shape(value), np.nan)
            result = result.assign({f"{name}_{part}": (dims[name], nothing) for part in ("null", "p")})
    result.attrs = {
        "n_samples": len(samples.labels),
        "n_units": samples.values.shape[1],
        "n_permutations": len(null),
        "split": f"{n_folds} folds over {'blocks of time' if samples.dim == 'time' else 'groups of stimuli'}",
        "p_note": note or "one-sided, (1 + b) / (1 + B)",
    }
    return result
