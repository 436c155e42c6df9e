"""The front door: every score of a population's profiles beside its null and its interval."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import xarray as xr
from tqdm import tqdm

from neurosparse.backend.psychophysics import Draw
from neurosparse.interpretability.families import measure
from neurosparse.interpretability.reading import ask
from neurosparse.interpretability.results import attributes, coords, variables


def interpretability_scores(
    profiles: xr.DataArray,
    *,
    scores: Any = None,
    stimuli: Any = None,
    stimulus_similarity: Any = None,
    labels: Any = None,
    covariate: Any = None,
    period: float | None = None,
    n_bins: int = 20,
    n_tasks: int = 20,
    n_explanations: int = 9,
    quantile: float = 0.05,
    query: str = "most",
    alpha: float | None = None,
    n_permutations: int = 200,
    n_bootstraps: int = 1000,
    groups: Any = None,
    random_state: Any = 0,
    nan: str = "raise",
    device: Any = "cpu",
    progress: bool = False,
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
    scores : name, names or "all", optional
        Which scores to pay for; see Notes. By default `mis` and the four of sparseness.
    stimuli : DataArray (stimulus, row, column[, channel]), or array in the order of (stimulus, unit) profiles, optional
        The images. Near-duplicates among them (pixel r > .9) never meet in a task.
    stimulus_similarity : optional
        Which stimuli are alike, from data other than the profiles:

        - None: the other half of the units, at random anew for each task (at least 4 units; not for atoms).
        - "pixels": cosine of the `stimuli`, about their mean image; "gabor": of their Gabor energies, which do not
          depend on phase.
        - "labels": 1 for stimuli of one class of `labels`, else 0. "covariate": behaviour at each sample; the cosine
          between directions (with `period`), else minus the distance.
        - a population of the same stimuli, trials or times: cosine of its samples about their mean. For codes of
          atoms this may be the population they code; those units are then part of the atoms they judge.
        - a (stimulus, stimulus) matrix, larger is more alike: a DataArray with labels, or an array in sorted order of
          stimuli (for averages, in their order).
    labels : (stimulus,) array, or DataArray labelled by stimulus, optional
        A class for each stimulus, for `dprime`, `class_contrast` and `auc`. Arrays go in sorted order of stimuli (for
        averages, in their order; for times, one a sample).
    covariate : (sample,) or (sample, dimension) array, or DataArray, optional
        Position, direction or any number of each sample, NaN where it was not observed, for `information`, `stability`
        and, with its `period`, `direction_length`; in the order of `labels`.
    period : float, optional
        Of a circular covariate, in its unit: 2 pi for an angle in radians.
    n_bins : int
        Bins of the covariate, each dimension.
    n_tasks, n_explanations : int
        Tasks a profile, and explanations on each side of a task.
    quantile : float
        Share of stimuli at each end from which a task is drawn; never fewer than twice what a side uses, and never
        beyond the profile's median (the top of a sparse code is not filled up with silent stimuli).
    query : {"most", "least"}
        Which stimulus of a side is its query, the most or the least extreme; see Notes.
    alpha : float, optional
        Slope of `soft_mis`, the mean of sigmoid(alpha (D+ - D-)), per unit of the similarity. By default one over the
        standard deviation of D+ - D- where similarities are permuted, so that the score does not depend on the unit in
        which they are measured (``attrs["alpha"]``). The published .16 belongs to another similarity: on cosines it
        leaves every score within .15 of .5.
    n_permutations, n_bootstraps : int
        Draws of the null and of the interval; at least 1 each.
    groups : (stimulus,) array, or DataArray labelled by stimulus, optional
        Near-duplicates share a label; in sorted order of stimuli (for averages, in their order).
    random_state : int, numpy.random.Generator or None
    nan : {"raise", "drop"}
        Raise on NaN, or leave those samples out with a warning that counts them.
    device : {"cpu", "auto", "cuda"} or torch.device
        Of the matrix products of monosemanticity, selectivity and tuning; tasks are asked on the CPU.
    progress : bool
        Show a bar over the draws of the scores that ask tasks.

    Returns
    -------
    Dataset
        A variable a score, over ``unit`` or ``atom`` (`population_sparseness`: over samples). Each stands beside
        ``_low`` and ``_high`` (95 % bootstrap interval over stimuli, dictionary and responses fixed; that of a share of
        right answers is never narrower than the binomial one of its tasks), ``_null``,
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
        If the similarity holds a profile it is to judge, or is a linear image of the profiles (see Notes), or comes
        from other units on the very trials or times that are ranked, so that shared noise passes for signal.
    DataWarning
        If stimuli with one trial, or samples with NaN, are left out.

    Notes
    -----
    *Scores.* By the similarity of stimuli: `mis`, `soft_mis` (the same tasks), `monosemanticity` (mean similarity of
    all pairs of stimuli, weighed by the responses to both), `intrusion` (an intruder among four favourites; chance
    .2), `index_v1` (mean similarity of the five most exciting stimuli) and `index_v2` (800 stimuli or more). By
    responses alone: `lifetime_sparseness` (Vinje-Gallant), `hoyer_sparseness`, `kurtosis`, `population_sparseness`. By
    `labels`: `dprime`, `class_contrast`, `auc`, the class picked on one half of the stimuli and scored on the other.
    By `covariate`: `information` (bits a spike), `stability`, `direction_length`. By trials: `reliability`. What is
    defined for non-negative profiles only is NaN where one is signed. ``attrs`` of each says what it is blind to.

    *Held out.* Where trials repeat a stimulus, each task takes random halves of every stimulus's trials. The first
    half chooses queries and explanations. If the similarity comes from elsewhere, the second half says which query is
    the more active (j), so that a profile which does not repeat itself scores .5. If it comes from the same trials
    (None, or a population of these trials), the second half gives the similarity and the first is j: were both second,
    noise that units share on a trial would make answers right, or wrong, together (the median's false positives rose
    to .10-.15 at .05). So no trial's noise enters both the choice of stimuli and their similarity.

    *The code as its own judge.* ``attrs["similarity_from_profiles"]`` is the held-out R2 of the similarity's embedding
    (of a matrix: its columns) predicted linearly from the profiles. Near 1, profiles and similarity hold the same
    information, and a high score says little; above .9999 a warning says so. It is NaN where there are fewer than three
    stimuli a profile, and blind to nonlinear images and to matrices of cosines of a linear one.

    *Nulls.* By similarity, labels and covariate: whole stimuli permuted against them, tasks as they are; for times,
    circular shifts where the recording is 50 or more autocorrelation times tau long, else p is NaN and
    ``attrs["p_note"]`` says "undecidable". By repeats: trials permuted over stimuli. Sparseness does not change when
    stimuli are permuted. Its null is, for counts (by ``quantity``), a Poisson process at the profile's mean rate with
    the same repeats; else random directions of the population's space, rectified where needed: is this axis sparser
    than any axis? p is one-sided, (1 + b) / (1 + B).

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
    asked, note = ask(
        profiles,
        scores=scores,
        stimuli=stimuli,
        stimulus_similarity=stimulus_similarity,
        labels=labels,
        covariate=covariate,
        period=period,
        n_bins=n_bins,
        draw=Draw(n_tasks, n_explanations, quantile, query),
        alpha=alpha,
        draws=(n_permutations, n_bootstraps),
        groups=groups,
        random_state=random_state,
        nan=nan,
        device=device,
    )
    with tqdm(desc="interpretability", unit="draw", disable=not progress, leave=False) as bar:
        found = measure(replace(asked, on_step=bar.update))
    entries: dict[str, Any] = {}
    for name in asked.names:
        dim = asked.samples.dim if name == "population_sparseness" else asked.samples.last
        entries |= variables(name, found[name], dim, asked.rng)
    return xr.Dataset(entries, coords(asked.samples), attributes(asked, found, note, random_state))
