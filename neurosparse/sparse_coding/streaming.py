"""Learning on from a stream, batch by batch. Each takes a `DictionaryLearning`."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from neurosparse.backend import dictionary as backend
from neurosparse.sparse_coding.checking import unit_scale
from neurosparse.sparse_coding.searching import penalty_of
from neurosparse.sparse_coding.viewing import as_seen_tensor, settings_of

# Steps from the first penalty to the final one.
N_ANNEALING = 80


def begin(learner: Any, values: np.ndarray) -> None:
    """Scale, penalty, schedule and a random start, from the first samples."""
    learner._scale, learner.nuisance_ = unit_scale(learner, values), np.zeros((0, values.shape[1]))
    x, random = as_seen_tensor(learner, values), check_random_state(learner.random_state)
    penalty, _ = penalty_of(learner, x, random, lambda step: None)
    settings = settings_of(learner)
    learner._stream = backend.Learner.at_random(x.float(), learner.n_atoms, settings, random)
    level = backend.first_level(settings, len(x), learner.n_atoms)
    first = level * backend.reference_penalty(x, learner.n_atoms, offset=learner.offset)
    learner._penalties = np.geomspace(max(first, penalty), penalty, N_ANNEALING)
    learner._window = float(backend.memory(settings, 10**12, learner.n_atoms))
    learner.history_ = []


def learn_on(learner: Any, values: np.ndarray) -> backend.Learner:
    """One step for each batch of these samples, in their order."""
    x, stream = as_seen_tensor(learner, values).float(), learner._stream
    size = backend.batch_size(stream.settings, 10**12, learner.n_atoms)
    for start in range(0, len(x), size):
        penalty = float(learner._penalties[min(len(learner.history_), len(learner._penalties) - 1)])
        objective = stream.learn_from(x[start : start + size], penalty, learner._window)
        statistics = stream.statistics
        n_active = float(statistics.events.sum() / statistics.weight)
        learner.history_.append(
            {"stage": "stream", "penalty": penalty, "objective": objective, "n_active": n_active, "replaced": 0}
        )
    stream.objective = learner.history_[-1]["objective"]
    return stream
