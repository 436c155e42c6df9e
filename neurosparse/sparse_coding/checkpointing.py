"""A fit under way in a file, so that a killed one goes on where it stood. Each takes a `DictionaryLearning`."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from neurosparse.backend import dictionary as backend
from neurosparse.errors import FileError, InputError
from neurosparse.files import content_key
from neurosparse.sparse_coding import storing

HALF_DONE = "fit under way"
_NOT_IN_KEY = ("checkpoint", "checkpoint_minutes", "progress", "nan", "strict")


def key_of(learner: Any, values: np.ndarray) -> str:
    """What a checkpoint must share with the fit that resumes it."""
    if not isinstance(learner.random_state, int | np.integer):
        raise InputError(f"checkpoint needs random_state to be a number; got {learner.random_state!r}.")
    told = {name: storing.plain(value) for name, value in learner.get_params().items() if name not in _NOT_IN_KEY}
    told |= {"loss": learner.loss_, "atoms": learner.atoms_}
    return content_key(repr(sorted(told.items())), repr(values.shape), np.ascontiguousarray(values).tobytes())


def resume(learner: Any, key: str) -> tuple[dict[str, np.ndarray] | None, float]:
    """State of the search and its penalty; None where there is no checkpoint yet."""
    if not os.path.exists(learner.checkpoint):
        return None, 0.0
    arrays, header = storing.read(learner.checkpoint, HALF_DONE)
    if header["key"] != key:
        raise FileError(
            f"{learner.checkpoint} holds a fit of other data or parameters. Remove it, or name another checkpoint."
        )
    tried = {name.partition("/")[2]: entry for name, entry in arrays.items() if name.startswith("path/")}
    learner.penalty_path_ = tried or None
    return {name: entry for name, entry in arrays.items() if "/" not in name}, float(header["penalty"])


def keeper(learner: Any, key: str, penalty: float) -> Callable[[backend.Search], None]:
    """Writes the state of a search, now and then."""
    path = {f"path/{name}": entry for name, entry in (learner.penalty_path_ or {}).items()}
    last = time.monotonic()

    def keep(search: backend.Search) -> None:
        nonlocal last
        if time.monotonic() - last >= 60 * learner.checkpoint_minutes:
            header = {"kind": HALF_DONE, "key": key, "penalty": penalty}
            storing.write(learner.checkpoint, search.state() | path, header)
            last = time.monotonic()

    return keep


def done(learner: Any) -> None:
    """The file goes when the fit is done."""
    if learner.checkpoint is not None and os.path.exists(learner.checkpoint):
        os.remove(learner.checkpoint)
