"""How a code holds concepts that are known: sparse probes, DCI, MIG and InfoMEC, held out and beside their null."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from tqdm import tqdm

from neurosparse.errors import InputError
from neurosparse.interpretability.asking import near, permuted_samples
from neurosparse.interpretability.concepts.labelling import labelled
from neurosparse.interpretability.concepts.measuring import measured
from neurosparse.interpretability.concepts.reading import folds_of, read_concepts
from neurosparse.interpretability.profiles import apart_in_time, grouped, read_profiles

__all__ = ["concept_scores"]


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

    *Concepts that are not explained.* The few importances that a lasso leaves by chance look disentangled: codes of
    shuffled stimuli would score .85 where the latents score .96. So a concept counts for disentanglement only where
    the lasso's held-out error is below that of the mean by 1.64 standard errors (over groups of stimuli, or blocks of
    time); its completeness is 0 else, and the overall disentanglement is multiplied by the share of such concepts.

    *What is not lowered by mixing.* Explicitness and informativeness read all features linearly, so that an invertible
    linear map of the code, any rotation among them, leaves them as they are; they fall where mixing loses rank. A probe
    of k features sees a concept as well where up to k features share it. The others fall: a rotation of pairs by up to
    45 degrees lowers them step by step, and a rotation of all features (of more than four: one of four mixes no more
    than two, on average) lowers them further.

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
    table = read_concepts(concepts, samples, n_folds)
    folds = folds_of(samples, n_folds, rng)
    permuted, note = permuted_samples(samples, n_permutations, rng)
    same = np.arange(len(samples.labels))
    with tqdm(total=1 + len(permuted), desc="concepts", disable=not progress, leave=False) as bar:
        drawn = []
        for order in [same, *permuted]:
            shuffled = {name: (values[order], discrete) for name, (values, discrete) in table.items()}
            drawn.append(measured(samples, shuffled, folds, sizes, n_bins))
            bar.update()
    return labelled(samples, table, sizes, drawn[0], drawn[1:], note, len(folds))
