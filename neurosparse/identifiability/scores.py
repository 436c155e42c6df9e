"""The front door of the first question: is `y` a linear image of `x`, and `x` of `y`?"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import xarray as xr

from neurosparse.backend.linear import PENALTIES
from neurosparse.backend.resampling import generator, truth_value, whole_number
from neurosparse.errors import InputError
from neurosparse.identifiability import further
from neurosparse.identifiability.dividing import make_split
from neurosparse.identifiability.maps import held_out_map
from neurosparse.identifiability.pairing import Nan, Pair, pair
from neurosparse.identifiability.results import DIRECTIONS, assemble

ESTIMATORS = ("ridge", "reduced_rank", "pls")


def linear_identifiability(
    x: Any,
    y: Any,
    *,
    groups: Any = None,
    n_folds: int = 5,
    estimator: str = "ridge",
    penalties: Sequence[float] | None = None,
    n_permutations: int = 200,
    n_bootstraps: int = 1000,
    n_splits: int = 100,
    max_targets: int | None = 256,
    directions: Sequence[str] = DIRECTIONS,
    panel: bool = True,
    nonlinear: bool | Literal["kernels"] = False,
    random_state: Any = 0,
    nan: Nan = "raise",
) -> xr.Dataset:
    """Predict each unit of `y` linearly from `x`, and back, on samples that the map has not seen.

    In every fold ``y ~ c + x w`` with penalty ``lambda |w|^2``, lambda chosen for each target by squared error in folds
    of the training samples; or a map of low rank (`estimator`). r is Pearson's, R2 = 1 - SSE / SST about the training
    mean; both within each fold.

    Parameters
    ----------
    x, y : population, array or tensor
        ``(trial, unit)`` with a `stimulus` coord: averaged over the trials of a stimulus, which also give the ceiling.
        ``(stimulus, unit)``: joined on `stimulus`. ``(trial, unit)`` without stimuli: joined on `trial`.
        ``(time, unit)``: joined on `time`, split in blocks. With a time dim after the first, whole trials or stimuli
        stay together. Arrays (sample, unit): rows are stimuli in the same order. Used as scaled: put units on the scale
        on which they should count.
    groups : coord name, DataArray over stimulus, or (stimulus,) array, optional
        What must share a fold (near-duplicate images, trials of a block) and is permuted and resampled as a whole. An
        array goes by sorted stimulus id, a DataArray by its own ids. Over ``time``: sessions or epochs, held out whole;
        without, blocks of time are.
    n_folds : int
        Outer folds, and inner ones.
    estimator : {"ridge", "reduced_rank", "pls"}
        The map. "reduced_rank": ridge through few directions that all targets share, their number chosen like the
        penalty, both for all targets at once. "pls": partial least squares, at most 25 components, no penalty. Either
        is for many units that share few dimensions, and costs a fit for each permutation.
    penalties : sequence of float, optional
        Multiples of the mean eigenvalue of the training kernel; ten from 1e-5 to 1e4 by default.
    n_permutations, n_bootstraps : int
        Size of the null and of the bootstrap; 0 leaves them out (NaN).
    n_splits : int
        Random halvings of the repeats for the ceiling.
    max_targets : int or None
        Where the predicted side has more units, this many are drawn at random and scored; all of them predict.
    directions : sequence of {"x->y", "y->x"}
        Which maps to fit.
    panel : bool
        Whether to compute the matched units, canonical correlations and the shape of the map, which cost an
        eigendecomposition or two.
    nonlinear : bool or "kernels"
        Whether to fit maps that need not be linear on the same folds (kernel ridge, a small network; at most 4,000
        samples, seconds to minutes), and to say whether the relation is linear. "kernels" leaves the network out,
        which takes most of the time.
    random_state : int, numpy.random.Generator or None
    nan : {"raise", "drop"}
        Raise on NaN, or leave out whole trials or samples with a warning that counts them.

    Returns
    -------
    xarray.Dataset
        ``target`` runs over the predicted units of all directions (coords `target_direction`, `unit` as text,
        `unit_index`); `select_direction` gives one of them as a table over units.

        - target: ``r`` with ``r_low``, ``r_high``; ``R2``; ``p``; ``null_r`` (mean over permutations); ``ceiling_r``
        - (fold_index, target): ``penalty`` (NaN for "pls"); ``inner_r``, the training rows' own held-out r
        - (direction, fold_index), but for ridge: ``rank``, directions or components of the map
        - direction: ``median_r``, ``median_R2`` with ``_low`` and ``_high``; ``median_null_r``; ``median_ceiling_r``;
          ``pooled_p`` (statistic: median r over units); ``n_predictors``, ``n_targets``, ``n_targets_available``,
          ``n_scored``; ``verdict`` ("above chance", "not above chance", "undecidable") and ``note``, its reasons
        - direction, with `panel`: ``linear_share`` with ``_low`` and ``_high``, how much of the targets' variance (mean
          over them) is linear in the predictors, whether this map finds it or not: where R2 tends with more samples
          (NaN for time series, above 4,000 samples, or with more linear directions than half of them);
          ``pooled_R2`` (targets count by their variance); ``weak_mcc``, mean r after the
          linear map; ``strong_mcc``, mean r of units matched one to one with sign and partner from training rows (both
          0 on average for unrelated codes); ``mean_canonical_r``, held out after PCA; ``map_spread``, sd over mean of
          the ridge map's singular values, 0 for a rotation (NaN for "pls"); ``participation_predictors`` and
          ``participation_targets``, how many dimensions either side spreads over: where they differ, R2 must differ
          between directions
        - direction, with `nonlinear`: ``mean_R2`` and ``nonlinear_R2`` (mean over targets, squared errors summed over
          folds) and ``nonlinear_gap``, each with ``_low`` and ``_high``; ``mean_ceiling_R2``; ``quadratic_share``,
          ``cubic_share`` and ``local_share`` with bounds, estimated shares of variance that are forms of that order, or
          of any shape that near samples share, and not linear, whether a map finds them or not; p of none of each,
          ``linear_share_p``, ``quadratic_p``, ``cubic_p``, ``local_p`` (the last three see a share of the mean over
          targets, and one of any direction in which what is not linear varies); ``planted_share``, the mean estimate of
          a planted quadratic worth .1, ``planted_p``, how often it is estimated as low as here, ``detectable_share``,
          the least that is told from none, and ``linearity_power``, how often targets of this noise without a quadratic
          would rule the planted one out; ``linearity`` ("linear", "linear up to noise", "nonlinear", "unrelated",
          "undecidable") and ``reasons``
        - (direction, permutation): ``null_median_r``
        - samples: ``fold``, ``group``; and with target ``prediction``, ``baseline`` (its part without the map),
          ``observed``

    Raises
    ------
    InputError
        If samples do not match, a side is empty, constant or has NaN, or there are too few samples or groups.

    Warns
    -----
    EvidenceWarning
        If there is no calibrated null, test folds are tiny, or rows are exact copies that `groups` should tie.

    Notes
    -----
    The ceiling on r is sqrt(reliability of the predicted averages): what a noise-free predictor reaches. The side
    without repeats has none (NaN): noise of the predictors caps it too, by an unknown amount. The ceiling on R2 is its
    square. The noise of the targets also makes the map worse, which no ceiling knows: over their ceilings r and R2 fall
    with fewer repeats (V4 with 2 of 6: by 9 %), and R2 lies below what is linear by about p / n of what is not;
    ``linear_share`` over the squared ceiling does neither.

    Intervals resample groups of the held-out predictions and hold the fitted maps fixed. Measured coverage of what
    these maps reach on new stimuli, at 120 and 300 stimuli: .90-.92 for median r, .84-.92 for median R2, which small
    folds bias low (by .03 at 120), .89-.92 for r of a unit.

    Null: whole groups of equal size change places, so near-duplicates count once. For time series circular shifts, only
    where n / tau >= 50 and time has no breaks; of several sessions each by itself, or sessions of equal length change
    places. Otherwise p is NaN and the verdict is "undecidable". Time series are resampled in blocks of two
    autocorrelation times, so intervals speak of these sessions alone.

    Linear: the lower bound of R2 / ceiling is at least .9, the upper bound of the gap is at most .05, a planted
    quadratic worth .1 would be found at this n and p and is ruled out at .01, and no other share is seen (p-values of
    the three kinds as one <= .0075) that may exceed .05; "up to noise" where only the first fails and p <= .01, which
    takes 99 permutations. Nonlinear: the lower bound of the gap is above .05, or a share is seen and estimated above
    .05. Unrelated: the upper bounds of both maps are below .1, that of the linear share below .25 and of the quadratic
    one below .5, and neither share nor map is seen. Otherwise undecidable. Nonlinear shares need at least twice as many
    samples as linear directions and 20 groups. Nonlinearities of other shapes are bounded by the gap alone. The class
    assumed is "up to an invertible linear map with offset"; matched dimension is not assumed, but theorems that speak
    of invertible maps need it.

    At ten samples a dimension a quadratic worth .1 of targets that are half noise can be ruled out from 20 dimensions
    on; with five, in one of three. ``linearity_power`` says so.

    Left out here: scaling by units' sd. Float64; the null of ridge in float32. 640 x 5,120
    features to 50 units with 200 permutations takes about 6 s of CPU, and 5 s back to 256 targets; see
    `backend.linear.cross_validated_ridge` for flops and bytes.

    References
    ----------
    D. Klindt et al., From superposition to sparse codes, arXiv:2503.01824 (2025), step 1. G. Roeder, L. Metz,
    D. P. Kingma, On linear identifiability of learned representations, ICML (2021).

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> latents = rng.standard_normal((200, 4))
    >>> result = linear_identifiability(latents, latents @ rng.standard_normal((4, 6)))
    >>> result["verdict"].values.tolist()
    ['above chance', 'above chance']
    """
    _check_arguments(n_permutations, n_bootstraps, n_splits, max_targets, directions)
    truth_value(panel, "panel")
    if estimator not in ESTIMATORS:
        raise InputError(f"estimator must be one of {list(ESTIMATORS)}; got {estimator!r}.")
    if not isinstance(nonlinear, (bool, np.bool_)) and not (isinstance(nonlinear, str) and nonlinear == "kernels"):
        raise InputError(f'nonlinear must be True, False or "kernels"; got {nonlinear!r}.')
    seeds = generator(random_state).integers(2**31, size=6)
    both = pair(x, y, groups=groups, nan=nan, n_splits=n_splits, random_state=int(seeds[5]))
    split = make_split(both, n_folds=n_folds, n_permutations=n_permutations, seeds=seeds)
    fold = np.empty(len(both.x.values), dtype=np.int64)
    for index, (_, test) in enumerate(split.folds):
        fold[test] = index
    parts = [
        held_out_map(both, split, direction, estimator, penalties, max_targets, int(seeds[4]))
        for direction in directions
    ]
    attrs = {
        "n_units_x": both.x.values.shape[1],
        "n_units_y": both.y.values.shape[1],
        "n_folds": len(split.folds),
        "dimensions": _dimensions(both),
        "estimator": estimator,
        "penalties": json.dumps([float(value) for value in (PENALTIES if penalties is None else penalties)]),
        **split.attrs,
        "provenance": json.dumps({"x": both.x.provenance, "y": both.y.provenance}),
    }
    result = assemble(
        parts,
        fold=fold,
        group=split.groups,
        coords=both.coords,
        n_bootstraps=n_bootstraps,
        random_state=int(seeds[3]),
        attrs=attrs,
    )
    more: dict[str, Any] = further.panel(both, split, parts) if panel else {}
    if nonlinear:
        p = result["pooled_p"].values
        more |= further.linearity(
            both,
            split,
            parts,
            p.tolist(),
            n_bootstraps=n_bootstraps,
            network=nonlinear != "kernels",
            seed=int(seeds[3]),
        )
    return result.assign({name: ("direction", values) for name, values in more.items()})


def _dimensions(both: Pair) -> str:
    p, q = both.x.values.shape[1], both.y.values.shape[1]
    if p == q:
        return f"matched: {p} units on both sides, as theorems on invertible maps ask"
    return f"not matched: {p} and {q} units, so no linear map between them is invertible"


def _check_arguments(
    n_permutations: int, n_bootstraps: int, n_splits: int, max_targets: Any, directions: Sequence[str]
) -> None:
    whole_number(n_permutations, "n_permutations", 0)
    whole_number(n_bootstraps, "n_bootstraps", 0)
    whole_number(n_splits, "n_splits")
    if max_targets is not None:
        whole_number(max_targets, "max_targets, where it is not None,")
    asked = list(directions) if isinstance(directions, Sequence) and not isinstance(directions, str) else []
    if not asked or any(one not in DIRECTIONS for one in asked) or asked.count(asked[0]) == 2:
        raise InputError(f"directions must be a list of {list(DIRECTIONS)}, each once; got {directions!r}.")
