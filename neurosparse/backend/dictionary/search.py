"""The starts of one fit, one unit of work at a time, so that it can be stopped anywhere and go on to the same result.

Imports numpy and torch.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch

from neurosparse.backend.dictionary import relearning
from neurosparse.backend.dictionary.annealing import STILL, Block, block, block_size, dear, hold, moved, still_pays
from neurosparse.backend.dictionary.learner import Learner
from neurosparse.backend.dictionary.settings import (
    WORKING_LEVEL,
    OnStep,
    Settings,
    Step,
    few_samples,
    first_level,
    n_at_first,
    random_state_of,
    reference_penalty,
)

Tensor = torch.Tensor
State = dict[str, np.ndarray]
# Starts whose objectives differ by less than this share have found the same place, give or take the settling.
AGREE = 5e-4
# Atoms exchanged at once: one in so many at first.
FIRST_SHARE = 16
# After a trial in vain others than the most dispensable atoms are tried too.
DARING = 0.3
# Atoms that are weighed against what the residual asks for.
LOOK = 32
# The surplus of atoms goes in so many rounds (half where steps are dear), each followed by steps until the others
# rest, so many at the most, at this multiple of the reference.
THINNINGS, THIN_STEPS, THIN_LEVEL = 10, 4, 0.1


class Search:
    """All starts of one fit; `advance` does a block of steps, one trial of a replacement or one round.

    Parameters are those of `fit`.

    Attributes
    ----------
    stage : {"anneal", "relearn", "thin", "replace", "descend", "compare", "settle", "done"}
    runs : list
        The one at work and the best of those before it.
    """

    def __init__(
        self,
        x: Tensor,
        n_atoms: int,
        penalty: float,
        settings: Settings,
        n_restarts: int = 1,
        random_state: Any = None,
        start: Tensor | None = None,
        on_step: OnStep | None = None,
    ) -> None:
        self.x, self.n_atoms, self.penalty, self.settings = x, n_atoms, penalty, settings
        self.n_restarts, self.random, self.on_step = n_restarts, random_state_of(random_state), on_step
        self.quick = x.float()
        self.reference = reference = reference_penalty(x, n_atoms, offset=settings.offset)
        self.working = max(penalty, WORKING_LEVEL * reference)
        first = first_level(settings, len(x), n_atoms) * reference
        self.penalties = np.geomspace(max(first, self.working), self.working, max(settings.levels, 1))
        self.thinning = max(penalty, min(self.working, THIN_LEVEL * reference))
        self.runs: list[_Run] = []
        self.again = start is not None
        self.number, self.converged, self.found = 0, False, list[float]()
        self._start(start)
        n_last = settings.levels * block_size(self.runs[0].learner) // 4 if self.working > penalty else 0
        self.last = np.geomspace(self.working, penalty, n_last + 1)[1:]

    def advance(self) -> bool:
        """Do the next piece of work. Returns whether there is more."""
        getattr(self, f"_{self.stage}")()
        return self.stage != "done"

    def state(self) -> State:
        """Where the search stands, as arrays."""
        arrays = {"random.keys": self.random.get_state(legacy=False)["state"]["key"].copy()}
        generator = self.random.get_state(legacy=False)
        said = {
            "stage": self.stage,
            "number": self.number,
            "count": self.count,
            "failures": self.failures,
            "at_once": self.at_once,
            "again": self.again,
            "seen": self.seen,
            "blocks": self.blocks,
            "found": self.found,
            "position": int(generator["state"]["pos"]),
            "gauss": [int(generator["has_gauss"]), float(generator["gauss"])],
            "runs": [{"number": run.number, "history": run.history} for run in self.runs],
        }
        arrays["search"] = np.frombuffer(json.dumps(said).encode(), dtype=np.uint8).copy()
        for i, run in enumerate(self.runs):
            arrays |= {f"run{i}.{name}": value for name, value in run.learner.state().items()}
        return arrays

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Go on from where `state` was taken."""
        said = json.loads(bytes(np.asarray(state["search"])).decode())
        for name in ("stage", "number", "count", "failures", "at_once", "again", "seen", "found"):
            setattr(self, name, said[name])
        self.blocks = [Block(*each) for each in said["blocks"]]
        has_gauss, gauss = said["gauss"]
        self.random.set_state(("MT19937", np.asarray(state["random.keys"]), said["position"], has_gauss, gauss))
        self.runs = []
        for i, run in enumerate(said["runs"]):
            own = {name.removeprefix(f"run{i}."): value for name, value in state.items() if name.startswith(f"run{i}.")}
            x = self.quick if own["dictionary"].dtype == np.float32 else self.x
            self.runs.append(_Run(Learner.from_state(own, x, self.settings), run["number"], run["history"]))

    def _start(self, annealed: Tensor | None = None) -> None:
        if annealed is None:
            n_first = n_at_first(self.settings, len(self.x), self.n_atoms)
            learner = Learner.at_random(self.quick, n_first, self.settings, self.random)
        else:
            learner = Learner(self.quick, annealed.to(self.quick), self.settings)
        self.runs.insert(0, _Run(learner, self.number, []))
        self.stage, self.count = "anneal", 0 if annealed is None else len(self.penalties) - 1
        if annealed is not None and few_samples(self.settings, len(self.x), self.n_atoms):
            self.stage, self.count = "relearn", 0
        self.failures, self.seen, self.blocks = 0, list[float](), list[Block]()
        self.at_once = max(1, self.n_atoms // FIRST_SHARE)

    def _record(self, objective: float, penalty: float, replaced: int = 0) -> None:
        run = self.runs[0]
        statistics = run.learner.statistics
        entry = {
            "restart": run.number,
            "stage": self.stage,
            "penalty": float(penalty),
            "objective": objective,
            "n_active": float(statistics.events.sum() / statistics.weight.clamp(min=1)),
            "replaced": replaced,
        }
        run.history.append(entry)
        if self.on_step is not None:
            self.on_step(entry)

    def _anneal(self) -> None:
        learner, penalty = self.runs[0].learner, float(self.penalties[self.count])
        self.blocks.append(block(learner, penalty, self.random, on_step=lambda value: self._record(value, penalty)))
        if still_pays(self.blocks, learner):
            return
        self.count, self.blocks = self.count + 1, []
        if self.count >= len(self.penalties):
            self.stage, self.count = "relearn", 0

    def _relearn(self) -> None:
        """Where samples are few; coarse stages have been made where the start is a choice of penalty's."""
        sizes = (self.settings, len(self.x), self.n_atoms)
        stages = [] if self.again else relearning.coarse_stages(*sizes)
        stages += relearning.fine_stages(*sizes)
        if self.count == len(stages):
            self.stage, self.count, self.again = "replace" if stages else "thin", 0, False
            return
        stage = stages[self.count]
        objective = relearning.relearn(self.runs[0].learner, stage, self.reference, self.random, self.penalty)
        n_new = round((1 - stage.share) * self.n_atoms)
        self._record(objective, max(self.penalty, relearning.FREE_LEVEL * self.reference), n_new)
        self.count += 1

    def _thin(self) -> None:
        """A share of the surplus at a time, so that those left take over before more go."""
        learner = self.runs[0].learner
        surplus = len(learner.dictionary) - self.n_atoms
        if not surplus:
            self.stage, self.count = "replace", 0
            return
        gone = -(-surplus // max(1, THINNINGS - self.count))
        learner.thin(len(learner.dictionary) - gone)
        self.count += 2 if dear(learner) else 1
        for _ in range(THIN_STEPS):
            before = learner.dictionary
            objective = learner.skip(self.thinning, self.random)
            if moved(learner, before) * block_size(learner) < STILL and dear(learner):
                break
        self._record(objective, self.thinning)

    def _replace(self) -> None:
        if self.failures >= self.settings.patience or self.n_atoms == 1:
            self.stage, self.count = "descend", 0
            return
        learner = self.runs[0].learner
        if dear(learner) and not learner.lacks(self.working, min(LOOK, self.at_once), self.random):
            self.failures = self.settings.patience  # where steps are dear
            return
        if not self.count:  # or the first trial would gain by the steps that it takes
            hold(learner, self.working, self.random)
            self.count = 1
        if learner.replace(self.working, self.at_once, self.random, daring=DARING * self.failures):
            self.failures = 0
            self._record(learner.objective, self.working, self.at_once)
        else:
            self.failures += 1
            self.at_once = max(1, self.at_once // 2)

    def _descend(self) -> None:
        """From the penalty that replacement works at to the final one."""
        if self.count >= len(self.last):
            self.stage, self.seen = "compare", []
            return
        penalty = float(self.last[self.count])
        self._record(self.runs[0].learner.skip(penalty, self.random), penalty)
        self.count += 1

    def _compare(self) -> None:
        """A few rounds over all samples, so that starts can be told apart; then the next start or the end."""
        if self.n_restarts > 1 and not self._round(10 * self.settings.tol, max(1, self.settings.max_iter // 8)):
            return
        self.runs[0].learner.rest()
        self.found.append(self.runs[0].learner.objective)
        self.runs = sorted(self.runs, key=lambda run: run.learner.objective)[:1]
        self.number += 1
        if self.number < self.n_restarts and not self._agreed():
            self._start()
            return
        best = self.runs[0]
        exact = Learner(self.x, best.learner.dictionary.to(self.x), self.settings)
        exact.offset = best.learner.offset.to(self.x)
        self.runs = [_Run(exact, best.number, best.history)]
        self.stage, self.seen = "settle", []

    def _agreed(self) -> bool:
        """Whether a third of the starts that are allowed ended at the lowest objective, or two where few are."""
        again = sum(value <= min(self.found) * (1 + AGREE) for value in self.found)
        return again >= max(2, self.n_restarts // 3)

    def _settle(self) -> None:
        if self._round(self.settings.tol, self.settings.max_iter):
            self.runs[0].learner.rest()
            self.converged = self._fell(self.settings.tol)
            self.stage = "done"

    def _round(self, tol: float, limit: int) -> bool:
        """One round over all samples; whether it was the last one wanted."""
        self.seen.append(self.runs[0].learner.stride(self.penalty))
        self._record(self.seen[-1], self.penalty)
        return self._fell(tol) or len(self.seen) >= limit

    def _fell(self, tol: float) -> bool:
        return len(self.seen) > 2 and self.seen[-3] - self.seen[-1] <= 0.4 * tol * self.seen[-3]


class _Run(NamedTuple):
    """One start and its history."""

    learner: Learner
    number: int
    history: list[Step]
