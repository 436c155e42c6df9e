"""What a dictionary learner may be asked for, and what its data cannot carry."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import xarray as xr

from neurosparse.backend import limits
from neurosparse.errors import DataWarning, EvidenceError, EvidenceWarning, InputError, NeurosparseWarning
from neurosparse.sparse_coding.knowing import measured

LOSSES = ("auto", "squared", "poisson", "sqrt")
# Counts of more samples x units x atoms are not fitted by their likelihood unless that is asked for: it took 30 s for
# 2e8 of them, where the squared loss took 4.
MOST_COUNTS = 10**9
# What a population of counts says that it holds.
COUNTS = "spike count"
# Fewer leave a dictionary of a recording to chance; average repeats only where there are more.
LEAST_STIMULI = 300
# An atom's estimate by who knows all codes; what the data cannot place better than this carries no features.
LEAST_CEILING = 0.9
# Of the median range of the units: below it one is as good as constant.
FAINT = 1e-4


def check_settings(learner: Any, n_samples: int, *, stream: bool = False) -> None:
    """Raise unless the parameters of a `DictionaryLearning` make sense for so many samples."""
    if not isinstance(learner.n_atoms, int | np.integer) or learner.n_atoms < 1:
        raise InputError(f"n_atoms must be a whole number of at least 1; got {learner.n_atoms!r}.")
    for name, allowed in (
        ("atoms", ("auto", "signed", "nonnegative")),
        ("codes", ("nonnegative", "signed")),
        ("loss", LOSSES),
    ):
        if getattr(learner, name) not in allowed:
            raise InputError(f"{name} must be {' or '.join(map(repr, allowed))}; got {getattr(learner, name)!r}.")
    if learner.loss == "poisson" and "signed" in (learner.atoms, learner.codes):
        raise InputError(
            "loss='poisson' needs atoms='nonnegative' and codes='nonnegative': a rate is not negative; got "
            f"atoms={learner.atoms!r} and codes={learner.codes!r}."
        )
    if not (
        learner.n_restarts == "auto" or (isinstance(learner.n_restarts, int | np.integer) and learner.n_restarts >= 1)
    ):
        raise InputError(f"n_restarts must be 'auto' or at least 1; got {learner.n_restarts!r}.")
    if not isinstance(learner.n_nuisance, int | np.integer) or learner.n_nuisance < 0:
        raise InputError(f"n_nuisance must be a whole number of at least 0; got {learner.n_nuisance!r}.")
    if n_samples < 2:
        raise InputError(f"a dictionary needs samples that differ: at least 2, got {n_samples} sample.")
    if n_samples < learner.n_atoms and not stream:
        raise InputError(
            f"n_atoms = {learner.n_atoms} exceeds n_samples = {n_samples}: each sample could be its own atom. Use "
            f"at most {max(1, n_samples // 30)} atoms (30 samples an atom), or more samples."
        )


def choose_loss(learner: Any, X: Any, values: np.ndarray, *, stream: bool = False) -> None:
    """Set ``loss_`` and ``atoms_``: what was asked for, or what suits these samples."""
    counts = (
        learner.loss == "auto"
        and "signed" not in (learner.atoms, learner.codes)
        and isinstance(X, xr.DataArray)
        and X.attrs.get("quantity") == COUNTS
        and bool((values >= 0).all() and (values == np.round(values)).all())
    )
    learner.loss_, learner._counts = learner.loss, counts or learner.loss == "poisson"
    if learner.loss == "auto":
        likelihood = counts and not stream and values.size * learner.n_atoms <= MOST_COUNTS
        learner.loss_ = "poisson" if likelihood else "squared"
    signs = "nonnegative" if learner._counts else "signed"
    learner.atoms_ = signs if learner.atoms == "auto" else learner.atoms


def unit_scale(learner: Any, values: np.ndarray) -> np.ndarray:
    """What each unit is multiplied by before the squared loss: the root of its weight, 1 / mean of counts, (unit,)."""
    n_units = values.shape[1]
    if learner.loss_ == "poisson" and (values < 0).any():
        raise InputError(
            f"loss='poisson' needs counts; X has {int((values < 0).sum())} negative entries. Use loss='squared'."
        )
    if learner.loss == "sqrt" and (values < 0).any():
        raise InputError(f"loss='sqrt' needs counts; X has {int((values < 0).sum())} negative entries.")
    if learner.weights is None:
        if not learner._counts:
            return np.ones(n_units)
        mean = values.mean(0)
        return np.asarray(1 / np.sqrt(np.maximum(mean, 0.05 * mean.mean())))
    weights = np.asarray(learner.weights, dtype=float)
    if weights.shape != (n_units,) or not (np.isfinite(weights).all() and (weights > 0).all()):
        raise InputError(f"weights needs one number above 0 for each of {n_units} units; got shape {weights.shape}.")
    return np.asarray(np.sqrt(weights))


def warn_of_evidence(learner: Any, X: Any, values: np.ndarray, names: np.ndarray, *, stacklevel: int) -> None:
    """Name units that are constant or nearly so, and say what these samples cannot carry."""
    spread = np.ptp(values, axis=0)
    still = spread == 0
    faint = ~still & (spread < FAINT * np.median(spread[~still])) if not still.all() else np.zeros_like(still)
    for which, one, many in (
        (still, "is constant and tells nothing", "are constant and tell nothing"),
        (faint, "hardly varies beside the others", "hardly vary beside the others"),
    ):
        if which.any():
            shown = ", ".join(map(str, names[which][:5])) + (", ..." if which.sum() > 5 else "")
            verb = one if which.sum() == 1 else many
            warnings.warn(
                f"{which.sum()} of {len(names)} units {verb}: {shown}.", DataWarning, stacklevel=stacklevel + 1
            )
    problems = [*_sizes(learner, values), *_atoms(learner), *_samples(X), *_noise(learner, X)]
    if problems:
        say(
            learner,
            f"these data may not carry this dictionary: {'; '.join(problems)}. surrogate_test tells whether it is more "
            "than noise would give.",
            stacklevel=stacklevel + 1,
        )


def say(learner: Any, message: str, *, stacklevel: int) -> None:
    """Warn, or raise where the learner is strict."""
    if learner.strict:
        raise EvidenceError(message)
    warnings.warn(message, EvidenceWarning, stacklevel=stacklevel + 1)


@contextmanager
def quietly() -> Iterator[None]:
    """Without our own warnings: where fits are made to be compared, not believed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NeurosparseWarning)
        yield


def _sizes(learner: Any, values: np.ndarray) -> list[str]:
    """What counting says against the fit, at the sparsity that was found."""
    n_samples, n_units = values.shape
    n_atoms, active = learner.n_atoms, float(learner.usage_.sum())
    events = n_samples * active / n_atoms
    bounds = limits.bounds(n_units, n_atoms, max(active, 1e-3), n_samples, 1.0)
    found = [
        (events < limits.EVENTS, f"{events:.0f} active samples an atom are fewer than {limits.EVENTS}"),
        (
            n_units > active and not bounds["samples"].met,
            f"{n_samples} samples are fewer than counting needs, {bounds['samples'].needed:.0f} (M N / (M - k))",
        ),
        (n_atoms > n_units, f"{n_atoms} atoms exceed {n_units} units"),
    ]
    return [text for is_so, text in found if is_so]


def _atoms(learner: Any) -> list[str]:
    """What the atoms themselves say against the fit."""
    atoms = np.asarray(learner.dictionary_)
    if atoms.shape[1] == 1:
        single = like_mean = 0
    else:
        mean = learner.mean_ / (np.linalg.norm(learner.mean_) or 1.0)
        single, like_mean = int((np.abs(atoms).max(1) > 0.8).sum()), int((np.abs(atoms @ mean) > 0.9).sum())
    dense = int((learner.usage_ > 0.5).sum())
    found = [
        (single > 0, f"{_count(single)} a single unit (> .8 of the norm)"),
        (dense > 0, f"{_count(dense)} active in more than half of the samples"),
        (like_mean > 0, f"{_count(like_mean)} the mean of the population (|cos| > .9)"),
    ]
    return [text for is_so, text in found if is_so]


def _samples(X: Any) -> list[str]:
    """What a population's own labels say against the fit."""
    if not isinstance(X, xr.DataArray):
        return []
    first, found = X.dims[0], []
    if first == "stimulus" and X.sizes["stimulus"] < LEAST_STIMULI:
        found.append(f"{X.sizes['stimulus']} stimuli are fewer than {LEAST_STIMULI}")
    if "n_repeats" in X.coords and X["n_repeats"].ndim == 1:
        repeats = X["n_repeats"].values
        if repeats.max() > 2 * repeats.min():
            found.append(f"averages over {repeats.min()} to {repeats.max()} repeats count alike")
    if first == "time" and "bin_width" not in X.attrs:
        found.append("the frame rate is unknown")
    return found


def _noise(learner: Any, X: Any) -> list[str]:
    """Whether reliability times samples an atom is too little for any method, where the population knows its noise."""
    if not isinstance(X, xr.DataArray) or not {"noise_sd", "n_repeats"} <= set(X.coords):
        return []
    data = measured(X, None, 1.0, learner.nan)
    signal = float(np.trace(data.signal))
    reliability = signal / (signal + float(np.trace(data.noise)))
    ceiling = limits.cosine_ceiling(learner.n_atoms, data.n_samples, reliability)
    if ceiling >= LEAST_CEILING:
        return []
    each = data.n_samples / learner.n_atoms
    return [
        f"reliability {reliability:.2f} and {each:.2g} samples an atom would place atoms at |cos| {ceiling:.2f} even "
        "if the codes were known"
    ]


def _count(n: int) -> str:
    return "1 atom is" if n == 1 else f"{n} atoms are"
