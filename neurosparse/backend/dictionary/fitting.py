"""From samples to the best dictionary of several starts. Imports numpy and torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch

from neurosparse.backend.devices import one_thread
from neurosparse.backend.dictionary.learner import Learner
from neurosparse.backend.dictionary.search import Search
from neurosparse.backend.dictionary.settings import OnStep, Settings, Step

Tensor = torch.Tensor


class Fit(NamedTuple):
    """The best of all restarts, its rounds, and whether it settled."""

    learner: Learner
    history: list[Step]
    converged: bool


@one_thread()
def fit(
    x: Tensor,
    n_atoms: int,
    penalty: float,
    settings: Settings,
    *,
    n_restarts: int = 1,
    random_state: Any = None,
    start: Tensor | None = None,
    on_step: OnStep | None = None,
    on_state: Callable[[Search], None] | None = None,
    state: Mapping[str, np.ndarray] | None = None,
) -> Fit:
    """Learn a dictionary: from each start anneal too many atoms, let go, replace what is dispensable; settle the best.

    Where samples are few no surplus is annealed, and `relearning` comes before replacement.

    Starts end early where the lowest objective has been found again and again: by a third of `n_restarts`, at least
    twice.

    Parameters
    ----------
    x : (sample, unit) tensor
    n_atoms : int
    penalty : float
        The final one, in units of x.
    settings : Settings
    n_restarts : int
        Independent starts at the most, compared by their objective at the same penalty.
    random_state : int, numpy.random.RandomState or None
    start : (atom, unit) tensor, optional
        The first start, annealed or relearned already (`choose_penalty`); the others are random.
    on_step : callable, optional
        Called with each entry of the history as it is made.
    on_state : callable, optional
        Called with the `Search` after each unit of work; its ``state()`` is what `state` takes.
    state : mapping of arrays, optional
        Where an earlier fit of the same samples and settings stood. The rest of it is then the same to the last bit, on
        the CPU.

    Returns
    -------
    Fit

    Notes
    -----
    Annealing runs on batches in single precision, at a cost of about ``batch n_atoms (n_units + active) + n_atoms^3 / 3
    + n_atoms^2 n_units`` a step, whatever the number of samples; settling passes over all. The same random state gives
    the same result on the CPU.
    """
    search = Search(x, n_atoms, penalty, settings, n_restarts, random_state, start, on_step)
    if state is not None:
        search.restore(state)
    while search.advance():
        if on_state is not None:
            on_state(search)
    best = search.runs[0]
    best.learner.infer(penalty, 1e-6)
    return Fit(best.learner, best.history, search.converged)
