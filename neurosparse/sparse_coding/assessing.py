"""After a fit: would other starts and samples have given the same atoms, and a Gaussian as good ones?"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import xarray as xr
from scipy import stats
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted
from tqdm import tqdm

from neurosparse.backend import baselines, surrogate
from neurosparse.backend import dictionary as backend
from neurosparse.backend.matching import chance_corrected, match, recovery
from neurosparse.errors import InputError
from neurosparse.sparse_coding.checking import quietly
from neurosparse.sparse_coding.evidence import NOT_TOLD, TOLD, surrogate_test
from neurosparse.sparse_coding.splitting import sample_groups
from neurosparse.sparse_coding.viewing import samples_of, seen, settings_of

# Of a Gaussian's atoms, those less stable than an atom that is said to come back; and of surrogates.
LEVEL = 0.95


def dictionary_stability(
    learner: Any,
    x: Any,
    *,
    n_fits: int = 5,
    groups: Any = None,
    random_state: Any = 0,
    progress: bool = False,
) -> xr.Dataset:
    """How well each atom comes back in fits with starts, samples and sample orders of their own.

    Each fit takes another start and whole groups drawn with replacement from the samples, in random order; the penalty
    is the fitted one. An atom's stability is its mean |cos| with its partner in each of them, matched one to one.

    Parameters
    ----------
    learner : fitted DictionaryLearning
    x : population, (sample, unit) array or tensor
        What it was fitted on.
    n_fits : int
        At least 2.
    groups : coord name or (sample,) array, optional
        Samples that are drawn together. Default: trials of one stimulus, where `x` has a ``stimulus`` coord; blocks
        of time, a twentieth of the samples each, of a population whose first dim is time.
    random_state : int, numpy.random.RandomState or None
    progress : bool

    Returns
    -------
    Dataset
        Over ``atom``: ``stability``, ``corrected`` (``(stability - c) / (1 - c)`` with the largest chance c) and
        ``comes_back`` (above 95 % of a Gaussian's atoms). ``cosine`` over ``fit`` and ``atom``. ``chance`` over
        ``control``: mean stability of isotropic and covariance-matched random atoms, of shuffled codes, and of a
        Gaussian's dictionary under the same fits. attrs: ``mean``, ``threshold``, sizes.

    Raises
    ------
    InputError
        If `x` has other units, or there are fewer than two fits.

    Notes
    -----
    Draws overlap the samples that the learner has seen by 63 %, so that stability is higher than between disjoint
    halves (`surrogate_test`); the Gaussian's is so in the same way. Stable is not true: a wrong dictionary may well
    come back. Cost: 2 n_fits + 1 fits, those of the Gaussian with one start each.
    """
    check_is_fitted(learner)
    if int(n_fits) != n_fits or n_fits < 2:
        raise InputError(f"n_fits needs at least 2 fits to be a mean; got {n_fits!r}.")
    values, labels = _rows(learner, x, groups)
    random = random_state if isinstance(random_state, np.random.RandomState) else np.random.RandomState(random_state)
    rows = seen(learner, values)
    with tqdm(total=2 * n_fits + 1, desc="stability", disable=not progress) as bar:
        cosine = []
        for _ in range(n_fits):
            again = clone(learner).set_params(
                penalty=learner.penalty_,
                loss=learner.loss_,
                atoms=learner.atoms_,
                weights=None if (learner._scale == 1).all() else learner._scale**2,
                random_state=random.randint(2**31),
                checkpoint=None,
                progress=False,
                strict=False,
            )
            with quietly():
                again.fit(values[_drawn(labels, random)])
            cosine.append(recovery(again._atoms, learner._atoms))
            bar.update()
        gaussian = _gaussian(learner, rows, labels, n_fits, random, bar.update)
        chance = _chance(learner, rows, values, random) | {"gaussian_surrogate": float(gaussian.mean())}
    return _dataset(np.array(cosine), gaussian, chance, values.shape)


def assess(
    learner: Any, x: Any, n_fits: int, n_surrogates: int, groups: Any, random_state: Any, progress: bool
) -> None:
    """Set ``stability_``, ``evidence_`` and ``verdict_`` of a fitted learner; see `DictionaryLearning.assess`."""
    learner.stability_ = dictionary_stability(
        learner, x, n_fits=n_fits, groups=groups, random_state=random_state, progress=progress
    )
    values, labels = _rows(learner, x, groups)
    learner.evidence_ = surrogate_test(
        seen(learner, values),
        n_atoms=learner.n_atoms,
        codes=learner.codes,
        atoms=learner.atoms_,
        offset=learner.offset,
        groups=labels,
        n_surrogates=n_surrogates,
        random_state=random_state,
        progress=progress,
    )
    learner.verdict_ = verdict(learner.evidence_)


def verdict(evidence: xr.Dataset) -> str:
    """What `surrogate_test` found in a line: what lies within the surrogates' 95 %, or that the excess is small."""
    bounds = {name: _upper(evidence[f"surrogate_{name}"].values) for name in ("stability", "gain")}
    said = {name: f"{name} {float(evidence[name]):.2f}" for name in bounds}
    if bool(evidence.told):
        beside = ", ".join(f"{said[name]} (95 % of surrogates below {bound:.2f})" for name, bound in bounds.items())
        return f"{TOLD}: {beside}"
    within = [
        f"{said[name]} lies within the surrogates' 95 % (up to {bound:.2f})"
        for name, bound in bounds.items()
        if float(evidence[name]) <= bound
    ]
    small = f"{said['stability']} is too little above the surrogates' {float(evidence.surrogate_stability.mean()):.2f}"
    return f"{NOT_TOLD}: {' and '.join(within) or small}"


def _upper(draws: np.ndarray) -> float:
    """What one more of normal draws stays below with 95 % probability (Student's t)."""
    n = len(draws)
    return float(draws.mean() + stats.t.ppf(LEVEL, n - 1) * draws.std(ddof=1) * np.sqrt(1 + 1 / n))


def _rows(learner: Any, x: Any, groups: Any) -> tuple[np.ndarray, np.ndarray]:
    """(sample, unit) numbers and the group of each sample."""
    values, samples = samples_of(learner, x, reset=False)
    kept = np.ones(len(values), dtype=bool) if samples is None else samples.kept
    return values, sample_groups(x, kept, groups)


def _drawn(labels: np.ndarray, random: np.random.RandomState) -> np.ndarray:
    """Rows of as many groups as there are, drawn with replacement, in random order."""
    rows = [np.flatnonzero(labels == label) for label in np.unique(labels)] if labels.max() + 1 < len(labels) else None
    if rows is None:
        return random.randint(len(labels), size=len(labels))
    drawn = np.concatenate([rows[group] for group in random.randint(len(rows), size=len(rows))])
    return np.asarray(random.permutation(drawn))


def _gaussian(
    learner: Any, rows: np.ndarray, labels: np.ndarray, n_fits: int, random: np.random.RandomState, step: Any
) -> np.ndarray:
    """Stability of each atom of a Gaussian's dictionary, (atom,): the same draws and starts."""
    settings = settings_of(learner)
    draw = surrogate.gaussian_surrogate(rows, random_state=random)

    def fitted(samples: np.ndarray) -> np.ndarray:
        x = torch.from_numpy(np.array(samples, order="C"))
        found = backend.fit(x, learner.n_atoms, learner.penalty_, settings, random_state=random).learner
        step()
        return found.dictionary.numpy()

    first = fitted(draw)
    return np.asarray(np.mean([recovery(fitted(draw[_drawn(labels, random)]), first) for _ in range(n_fits)], axis=0))


def _chance(learner: Any, rows: np.ndarray, values: np.ndarray, random: np.random.RandomState) -> dict[str, float]:
    """Mean matched |cos| of the learned atoms with atoms that know less."""
    shape = learner._atoms.shape
    codes = np.array(learner.transform(values))
    for column in codes.T:
        random.shuffle(column)
    others = {
        "isotropic": baselines.random_dictionary(*shape, random_state=random),
        "covariance_matched": baselines.covariance_matched_dictionary(rows, shape[0], random_state=random),
        "shuffled_codes": codes.T @ (rows - rows.mean(0)),
    }
    return {name: float(match(atoms, learner._atoms).value.mean()) for name, atoms in others.items()}


def _dataset(cosine: np.ndarray, gaussian: np.ndarray, chance: dict[str, float], shape: tuple[int, ...]) -> xr.Dataset:
    stability, threshold = cosine.mean(axis=0), float(np.quantile(gaussian, LEVEL))
    return xr.Dataset(
        {
            "stability": ("atom", stability),
            "corrected": ("atom", chance_corrected(stability, max(chance.values()))),
            "comes_back": ("atom", stability > threshold),
            "cosine": (("fit", "atom"), cosine),
            "chance": ("control", list(chance.values())),
        },
        coords={"atom": np.arange(cosine.shape[1]), "control": list(chance)},
        attrs={
            "mean": float(stability.mean()),
            "threshold": threshold,
            "n_fits": len(cosine),
            "n_samples": shape[0],
            "n_units": shape[1],
            "direction": "higher is better",
            "equivalence": "permutation and sign of atoms",
            "split": "groups of samples drawn with replacement, starts and orders of their own",
        },
    )
