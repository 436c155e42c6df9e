"""One run of learning: a dictionary, the statistics behind it, the moves that improve it. Imports numpy and torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
import torch

from neurosparse.backend.dictionary.residuals import directions
from neurosparse.backend.dictionary.settings import (
    CODE_TOL,
    KEPT_ENTRIES,
    ROUGH_TOL,
    Random,
    Settings,
    batch_size,
    memory,
)
from neurosparse.backend.dictionary.statistics import Statistics, regress, sweep
from neurosparse.backend.inference import encode_checked

Tensor = torch.Tensor
# Samples of a batch where codes are not kept.
CHUNK = 8192
# A replacement is kept where it lowers the objective by more than this share: less is what settling does by itself.
WORTH = 1e-4
# Events, as a share of the mean atom's, that an atom's mean amplitude is shrunk by: large codes of a single sample
# are no evidence.
DOUBT = 0.3


class Learner:
    """Dictionary, offset and statistics of one run over a set of samples, or over a stream.

    ``1 / n sum_i 1/2 ||x_i - b - z_i D||^2 + penalty |z_i|_1`` is minimised in turn over the codes z and over the
    dictionary D, its atoms on the unit sphere, and the offset b. `step` does so over all samples and never raises the
    objective at one penalty; `skip` and `learn_from` take a batch, and forget old ones.

    Parameters
    ----------
    x : (sample, unit) tensor
    dictionary : (atom, unit) tensor
        To start from; unit norm is made here.
    settings : Settings
    """

    def __init__(self, x: Tensor, dictionary: Tensor, settings: Settings) -> None:
        self.x = x
        self.settings = settings
        self.dictionary = dictionary / dictionary.norm(dim=1, keepdim=True)
        self.offset = x.mean(0) if settings.offset else torch.zeros_like(x[0])
        self.statistics = self._empty()
        self.order = np.arange(0)  # of samples not yet drawn
        self.objective = float("inf")
        self.kept: Tensor | None = None  # codes of the round before

    @classmethod
    def at_random(cls, x: Tensor, n_atoms: int, settings: Settings, random: Random) -> Learner:
        """A learner of atoms in random directions."""
        start = random.standard_normal((n_atoms, x.shape[1]))
        start = np.abs(start) if settings.atoms == "nonnegative" else start
        return cls(x, torch.as_tensor(start).to(x), settings)

    @property
    def codes(self) -> Tensor:
        """Codes of the last round over all samples, (sample, atom)."""
        if self.kept is None:
            self.kept = self.x.new_zeros((len(self.x), len(self.dictionary)))
        return self.kept

    def state(self) -> dict[str, np.ndarray]:
        """Everything that `from_state` needs beside the samples and settings, as numpy arrays."""
        tensors = {"dictionary": self.dictionary, "offset": self.offset} | (
            {} if self.kept is None else {"codes": self.kept}
        )
        return (
            {name: value.cpu().numpy().copy() for name, value in tensors.items()}
            | {"objective": np.array(self.objective), "order": self.order.copy()}
            | {f"statistics.{name}": value for name, value in self.statistics.state().items()}
        )

    @classmethod
    def from_state(cls, state: Mapping[str, np.ndarray], x: Tensor, settings: Settings) -> Learner:
        """The learner that gave `state`, on the same samples."""
        learner = cls(x, torch.tensor(state["dictionary"]).to(x), settings)
        learner.dictionary, learner.offset = (torch.tensor(state[name]).to(x) for name in ("dictionary", "offset"))
        learner.kept = torch.tensor(state["codes"]).to(x) if "codes" in state else None
        learner.order, learner.objective = np.array(state["order"]), float(state["objective"])
        learner.statistics.restore({name: state[f"statistics.{name}"] for name in Statistics.NAMES})
        return learner

    def step(self, penalty: float, *, code_tol: float = CODE_TOL) -> float:
        """One round over all samples: codes, then atoms and offset. Returns the objective between the two."""
        self.infer(penalty, code_tol)
        gram, cross = self.statistics.centred(self.settings.offset)
        sweep(self.dictionary, gram, cross, self._nonnegative, compiled=self._compiled)
        if self.settings.offset:
            self.offset = self.statistics.offset(self.dictionary)
        return self.objective

    def infer(self, penalty: float, code_tol: float = CODE_TOL) -> None:
        """Codes of all samples for the dictionary as it stands, their statistics, and the objective."""
        self.statistics, total = self._empty(), 0.0
        for part, start in self._parts():
            found = encode_checked(
                self.x[part] - self.offset,
                self.dictionary,
                penalty,
                codes=self.settings.codes,
                initial=start,
                tol=code_tol,
                solver=self.settings.solver,
            )
            if start is not None:
                self.kept = found.codes
            self.statistics.add(found.codes, self.x[part])
            total += float(found.objective.double().sum())
        self.objective = total / len(self.x)

    def skip(self, penalty: float, random: Random) -> float:
        """One step from the next batch of samples in random order. Returns the batch's mean objective."""
        size = batch_size(self.settings, len(self.x), len(self.dictionary))
        if len(self.order) < size:
            self.order = random.permutation(len(self.x))
        rows, self.order = self.order[:size], self.order[size:]
        batch = self.x if size == len(self.x) else self.x[torch.as_tensor(rows).to(self.x.device)]
        return self.learn_from(batch, penalty, memory(self.settings, len(self.x), len(self.dictionary)))

    def learn_from(self, batch: Tensor, penalty: float, window: float) -> float:
        """One step from these samples: their codes join the statistics, which remember about `window` samples."""
        found = encode_checked(
            batch - self.offset,
            self.dictionary,
            penalty,
            codes=self.settings.codes,
            tol=ROUGH_TOL,
            solver=self.settings.solver,
        )
        self.statistics.scale(max(0.0, 1 - len(batch) / window))
        self.statistics.add(found.codes, batch)
        gram, cross = self.statistics.centred(self.settings.offset)
        self.dictionary = regress(self.dictionary, gram, cross, self._nonnegative)
        if self.settings.offset:
            self.offset = self.statistics.offset(self.dictionary)
        self.kept = None
        return float(found.objective.double().mean())

    def utility(self) -> Tensor:
        """What the objective would lose without each atom, the other codes fixed: ``1/2 sum_i z_ij^2`` (atom,).

        At the optimum an active code's residual correlation equals the penalty, which leaves only the square.
        """
        return 0.5 * self.statistics.gram.diagonal()

    def usage(self) -> Tensor:
        """Share of samples in which each atom is active, (atom,)."""
        return self.statistics.events / self.statistics.weight.clamp(min=1)

    def judge(self, penalty: float) -> tuple[float, Tensor]:
        """Mean objective and residual over the judged samples: all, or as many as tell dictionaries apart."""
        rows = self.x[: max(5000, 5 * len(self.dictionary))] - self.offset
        found = encode_checked(
            rows,
            self.dictionary,
            penalty,
            codes=self.settings.codes,
            tol=CODE_TOL,
            solver=self.settings.solver,
        )
        return float(found.objective.double().mean()), rows - found.codes @ self.dictionary

    def thin(self, n_atoms: int) -> None:
        """Let go of the atoms that others can stand in for, or that have small codes, until `n_atoms` are left.

        An atom's worth is its mean amplitude, ``sum_i |z_ij| / (events_j + doubt)``, less what the most similar of the
        atoms left would take over; how often it is active hardly counts, so that rare atoms outlive the mixtures and
        doubles of frequent ones.
        """
        sums, kept = self.statistics, torch.ones(len(self.dictionary), dtype=torch.bool, device=self.x.device)
        signed = self.settings.codes == "signed"
        size = (sums.gram.diagonal() * sums.events).sqrt() if signed else sums.use  # mean square, or mean
        worth = size / (sums.events + DOUBT * sums.events.mean()).clamp(min=torch.finfo(self.x.dtype).tiny)
        cosine = self._likeness()
        for _ in range(len(worth) - n_atoms):
            value = worth * (1 - cosine.amax(1).square())
            worst = int(torch.where(kept, value, torch.inf).argmin())
            kept[worst], cosine[:, worst] = False, 0
        self.dictionary, self.kept = self.dictionary[kept].contiguous(), None
        sums.keep(kept)

    def replace(self, penalty: float, n_atoms: int, random: Random, *, daring: float = 0.0) -> bool:
        """Exchange the `n_atoms` most dispensable atoms for residual directions; keep that if it pays.

        Parameters
        ----------
        penalty : float
        n_atoms : int
        random : numpy.random.RandomState
        daring : float
            0 takes the most dispensable ones; above, chance has a say: noise of so much, in log utility.

        Returns
        -------
        bool
            Whether the objective fell. If not, everything is as it was.
        """
        before, was = self._snapshot(), self.judge(penalty)[0]
        value = self._dispensable().clamp(min=torch.finfo(self.x.dtype).tiny).log()
        if daring:
            value = value + daring * torch.as_tensor(random.gumbel(size=len(value))).to(value)
        worst = torch.argsort(value)[:n_atoms]
        self.dictionary = self.dictionary.clone()
        self.dictionary[worst] = 0
        residual = self.judge(penalty)[1]
        self.dictionary[worst] = directions(residual, penalty, len(worst), self.settings, random)
        self.statistics.clear(worst)
        for _ in range(self.settings.trial):
            self.skip(penalty, random)
        self.objective = self.judge(penalty)[0]
        if self.objective < was * (1 - WORTH):
            return True
        self._restore(before)
        return False

    @property
    def _nonnegative(self) -> bool:
        return self.settings.atoms == "nonnegative"

    @property
    def _compiled(self) -> bool:
        return self.x.device.type == "cpu" and self.settings.solver != "fista"

    def _empty(self) -> Statistics:
        return Statistics(len(self.dictionary), self.x.shape[1], self.x, compiled=self._compiled)

    def _parts(self) -> Iterator[tuple[slice, Tensor | None]]:
        """Samples to encode together, and codes to start from."""
        if self.x.shape[0] * len(self.dictionary) <= KEPT_ENTRIES:
            yield slice(None), self.codes
            return
        for start in range(0, len(self.x), CHUNK):
            yield slice(start, start + CHUNK), None

    def _dispensable(self) -> Tensor:
        """Utility, less what the most similar atom would take over."""
        return self.utility() * (1 - self._likeness().amax(1).square())

    def _likeness(self) -> Tensor:
        """How far atoms can stand in for each other: their cosines, 0 with themselves, (atom, atom)."""
        cosine = self.dictionary @ self.dictionary.T
        cosine = cosine.abs() if self.settings.codes == "signed" else cosine.clamp(min=0)
        return cosine.fill_diagonal_(0)

    def _snapshot(self) -> _Snapshot:
        kept = None if self.kept is None else self.kept.clone()
        return _Snapshot(
            self.dictionary.clone(), self.offset.clone(), self.statistics.copy(), kept, self.objective, self.order
        )

    def _restore(self, snapshot: _Snapshot) -> None:
        self.dictionary, self.offset, self.statistics, self.kept, self.objective, self.order = snapshot


class _Snapshot(NamedTuple):
    dictionary: Tensor
    offset: Tensor
    statistics: Statistics
    kept: Tensor | None
    objective: float
    order: np.ndarray
