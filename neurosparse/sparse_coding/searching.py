"""From samples to the backend's best dictionary: penalty, nuisance, restarts. Each takes a `DictionaryLearning`."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from neurosparse.backend import dictionary as backend
from neurosparse.backend.dictionary.averaging import average_counts, sparse_counts
from neurosparse.backend.dictionary.counts import CountFit, fit_counts
from neurosparse.backend.dictionary.nuisance import nuisance_directions
from neurosparse.errors import InputError
from neurosparse.sparse_coding import checkpointing, publishing
from neurosparse.sparse_coding.viewing import as_seen_tensor, seen, settings_of


def learn(learner: Any, values: np.ndarray, random: Any, show: backend.OnStep) -> tuple[backend.Fit, float]:
    """Fit and penalty, from the start or from where a checkpoint of the same fit stands."""
    x = as_seen_tensor(learner, values)
    state, keep, start = None, None, None
    if learner.checkpoint is not None:
        key = checkpointing.key_of(learner, values)
        state, penalty = checkpointing.resume(learner, key)
    if state is None:
        penalty, start = penalty_of(learner, x, random, show)
    if learner.checkpoint is not None:
        keep = checkpointing.keeper(learner, key, penalty)
    found = backend.fit(
        x,
        learner.n_atoms,
        penalty,
        settings_of(learner),
        n_restarts=_restarts(learner),
        random_state=random,
        start=start,
        on_step=show,
        on_state=keep,
        state=state,
    )
    checkpointing.done(learner)
    return found, penalty


def penalty_of(learner: Any, x: torch.Tensor, random: Any, show: backend.OnStep) -> tuple[float, torch.Tensor | None]:
    """The penalty given, or the one that held-out entries choose and the dictionary annealed on the way there."""
    learner.penalty_path_ = None
    if learner.penalty != "auto":
        if isinstance(learner.penalty, str) or not (np.isfinite(learner.penalty) and learner.penalty > 0):
            raise InputError(f"penalty must be 'auto' or a number above 0; got {learner.penalty!r}.")
        return float(learner.penalty), None
    path = backend.choose_penalty(x, learner.n_atoms, settings_of(learner), random_state=random, on_step=show)
    learner.penalty_path_ = {
        "penalty": path.penalties,
        "held_out_error": path.error,
        "standard_error": path.standard_error,
    }
    return path.penalty, path.dictionary


def find_nuisance(learner: Any, values: np.ndarray, random: Any, show: backend.OnStep) -> None:
    """Directions of what no code explains; the codes of a first dictionary tell the two apart."""
    whole = seen(learner, values)
    if learner.n_nuisance >= min(whole.shape):
        raise InputError(f"n_nuisance = {learner.n_nuisance} leaves nothing of {whole.shape[1]} units to learn from.")
    learner.nuisance_ = nuisance_directions(whole, learner.n_nuisance)
    for _ in range(2):
        x = as_seen_tensor(learner, values)
        penalty, start = penalty_of(learner, x, random, show)
        found = backend.fit(
            x, learner.n_atoms, penalty, settings_of(learner), random_state=random, start=start, on_step=show
        )
        codes = found.learner.codes.double().cpu().numpy()
        learner.nuisance_ = nuisance_directions(whole, learner.n_nuisance, codes=codes)


def improve_counts(learner: Any, X: Any, values: np.ndarray, random: Any) -> None:
    """From the weighted squared loss to the likelihood, and on to the posterior where counts are sparse."""
    found = fit_counts(
        values,
        learner._atoms / learner._scale,
        learner._offset / learner._scale,
        learner.penalty_,
        weights=learner._scale**2,
        learn_offset=learner.offset,
    )
    rounds = [("counts", objective) for objective in found.objective]
    if sparse_counts(values):
        found = _averaged(learner, values, found, random)
        rounds += [("average", objective) for objective in found.objective]
    utility, usage = 0.5 * np.square(found.codes).mean(0), (found.codes > 0).mean(0)
    order = np.argsort(-utility, kind="stable")
    learner.utility_, learner.usage_ = utility[order], usage[order]
    learner._atoms, learner._offset = found.dictionary[order] * learner._scale, found.offset * learner._scale
    learner.objective_ = found.objective[-1]
    learner.history_ = [
        *learner.history_,
        *({"stage": stage, "penalty": learner.penalty_, "objective": entry} for stage, entry in rounds),
    ]
    publishing.publish(learner, X)


def _averaged(learner: Any, values: np.ndarray, found: CountFit, random: Any) -> CountFit:
    """Posterior means in place of the likeliest atoms; codes, and what of the mean they leave, by the likelihood."""
    weights = learner._scale**2
    atoms, background = average_counts(
        values, found.dictionary, found.offset, weights=weights, learn_offset=learner.offset, random_state=random
    )
    return fit_counts(
        values,
        atoms,
        found.offset,
        learner.penalty_,
        weights=weights,
        learn_atoms=False,
        learn_offset=learner.offset,
        least=background,
    )


def _restarts(learner: Any) -> int:
    if learner.n_restarts != "auto":
        return int(learner.n_restarts)
    return 1 if learner.n_atoms >= 256 else int(np.clip(256 // learner.n_atoms, 2, 12))
