"""One run of learning: a dictionary, the statistics behind it, the moves that improve it.

Imports numpy, scipy and torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from scipy.sparse import csr_array, vstack

from neurosparse.backend.dictionary.residuals import directions, gains
from neurosparse.backend.dictionary.settings import (
    CODE_TOL,
    DENSE_ENTRIES,
    ROUGH_TOL,
    Random,
    Settings,
    batch_size,
    memory,
)
from neurosparse.backend.dictionary.statistics import Statistics, regress, sweep
from neurosparse.backend.inference import encode_checked

Tensor = torch.Tensor
# Samples encoded together.
CHUNK = 8192
# Codes of a batch of more entries than this are counted without their zeros.
COMPRESSED = 1_000_000
_CSR = ("data", "indices", "indptr")
# A replacement is kept where it lowers the objective by more than this share: less is what settling does by itself.
WORTH = 1e-4
# Events, as a share of the mean atom's, that an atom's mean amplitude is shrunk by: large codes of a single sample
# are no evidence.
DOUBT = 0.3
# A direction is asked for where it promises so many times what an atom gives: from chance, with all found, it is 1.3.
WANTED = 1.5
# How far a stride goes on, of the way between the last two steps.
FURTHEST = 0.95


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
        self.kept: list[Tensor | csr_array] | None = None  # codes of the round before, a part of the samples each
        self.swept, self.strides = self.dictionary, 0  # where the last stride ended before it went on; how many
        self.recent: Tensor | None = None  # codes that batches start from, (sample, atom), where that pays
        self.n_fixed, self.eager = 0, 1.0  # so many atoms stay where they are in `learn_from`, at this much penalty

    @classmethod
    def at_random(cls, x: Tensor, n_atoms: int, settings: Settings, random: Random) -> Learner:
        """A learner of atoms in random directions, from a generator of its own: a planted truth may share the seed."""
        return cls(x, _random_atoms(n_atoms, x, settings, random), settings)

    @property
    def codes(self) -> Tensor:
        """Codes of the last round over all samples, (sample, atom); zeros before the first."""
        if self.kept is None:
            return self.x.new_zeros((len(self.x), len(self.dictionary)))
        return torch.cat([_dense(part) for part in self.kept])

    def state(self) -> dict[str, np.ndarray]:
        """Everything that `from_state` needs beside the samples and settings, as numpy arrays."""
        tensors = {"dictionary": self.dictionary, "offset": self.offset, "swept": self.swept}
        codes = {}
        if self.kept is not None:
            known = vstack([csr_array(_dense(part).cpu().numpy()) for part in self.kept], format="csr")
            codes = {f"codes.{name}": getattr(known, name) for name in _CSR}
        return (
            {name: value.cpu().numpy().copy() for name, value in tensors.items()}
            | codes
            | {"objective": np.array(self.objective), "order": self.order.copy(), "strides": np.array(self.strides)}
            | {f"statistics.{name}": value for name, value in self.statistics.state().items()}
        )

    @classmethod
    def from_state(cls, state: Mapping[str, np.ndarray], x: Tensor, settings: Settings) -> Learner:
        """The learner that gave `state`, on the same samples."""
        learner = cls(x, torch.tensor(state["dictionary"]).to(x), settings)
        learner.dictionary, learner.offset, learner.swept = (
            torch.tensor(state[name]).to(x) for name in ("dictionary", "offset", "swept")
        )
        if "codes.data" in state:
            arrays = tuple(state[f"codes.{name}"] for name in _CSR)
            codes = csr_array(arrays, shape=(len(x), len(learner.dictionary)))
            parts = (codes[i : i + CHUNK] for i in range(0, len(x), CHUNK))
            learner.kept = [part if learner._compressed else learner._to_keep(_dense(part).to(x)) for part in parts]
        learner.order, learner.objective = np.array(state["order"]), float(state["objective"])
        learner.strides = int(state["strides"])
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

    def stride(self, penalty: float) -> float:
        """A `step`, and on in the direction from the one before (Nesterov's); back where that raised the objective.

        Returns the objective before; `rest` ends a walk. Two to three times fewer rounds than steps.
        """
        was = self.objective
        if self.step(penalty) > was and self.strides:
            self.dictionary, self.strides, self.objective = self.swept, 0, was
            return was
        before = self.swept if self.strides else self.dictionary
        onward = min(FURTHEST, self.strides / (self.strides + 3)) * (self.dictionary - before)
        self.swept, self.strides = self.dictionary, self.strides + 1
        self.dictionary = self.swept + onward
        if self._nonnegative:
            self.dictionary = self.dictionary.clamp(min=0)
        self.dictionary = self.dictionary / self.dictionary.norm(dim=1, keepdim=True)
        return self.objective

    def rest(self) -> None:
        """Where the last `stride` would have ended as a `step`."""
        if self.strides:
            self.dictionary, self.strides = self.swept, 0

    def infer(self, penalty: float, code_tol: float = CODE_TOL) -> None:
        """Codes of all samples for the dictionary as it stands, their statistics, and the objective."""
        self.statistics, total, kept = self._empty(), 0.0, list[Tensor | csr_array]()
        for number, part in enumerate(self.x.split(CHUNK)):
            known = None if self.kept is None else self.kept[number]
            found = encode_checked(
                part - self.offset,
                self.dictionary,
                penalty,
                codes=self.settings.codes,
                initial=known.to_dense() if isinstance(known, Tensor) else known,
                tol=code_tol,
                solver=self.settings.solver,
                sparse=self._compressed,
            )
            kept.append(self._to_keep(found.codes))
            self.statistics.add(found.codes, part)
            total += float(found.objective.double().sum())
        self.kept, self.objective = kept, total / len(self.x)

    def skip(self, penalty: float, random: Random) -> float:
        """One step from the next batch of samples in random order. Returns the batch's mean objective."""
        size = batch_size(self.settings, len(self.x), len(self.dictionary))
        if len(self.order) < size:
            self.order = random.permutation(len(self.x))
        rows, self.order = self.order[:size], self.order[size:]
        picked = slice(None) if size == len(self.x) else torch.as_tensor(rows).to(self.x.device)
        window = memory(self.settings, len(self.x), len(self.dictionary))
        return self.learn_from(self.x[picked], penalty, window, picked)

    def learn_from(self, batch: Tensor, penalty: float, window: float, rows: Tensor | slice | None = None) -> float:
        """One step from these samples: their codes join the statistics, which remember about `window` samples.

        `rows` are their numbers: codes start from where `recent` has them, if that is kept, and are left there.
        """
        fixed, penalties = self.n_fixed, batch.new_full((len(self.dictionary),), penalty)
        penalties[:fixed] *= self.eager
        found = encode_checked(
            batch - self.offset,
            self.dictionary,
            penalties,
            codes=self.settings.codes,
            initial=None if rows is None or self.recent is None else self.recent[rows],
            tol=ROUGH_TOL,
            solver=self.settings.solver,
            sparse=self._compiled and self.recent is None and len(batch) * len(self.dictionary) > COMPRESSED,
        )
        if rows is not None and self.recent is not None:
            self.recent[rows] = found.codes
        self.statistics.scale(max(0.0, 1 - len(batch) / window))
        self.statistics.add(found.codes, batch)
        gram, cross = self.statistics.centred(self.settings.offset)
        known, free = self.dictionary[:fixed], self.dictionary[fixed:]
        free = regress(free, gram[fixed:, fixed:], cross[fixed:] - gram[fixed:, :fixed] @ known, self._nonnegative)
        self.dictionary = torch.cat([known, free]) if fixed else free
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

    def dispensable(self) -> Tensor:
        """Least first to go: utility, less what the most similar atom would take over, (atom,)."""
        return self.utility() * (1 - self._likeness().amax(1).square())

    def restart(self, kept: Tensor, random: Random) -> None:
        """The atoms whose numbers are given come first; the others start anew, with all statistics."""
        new = _random_atoms(len(self.dictionary) - len(kept), self.x, self.settings, random)
        self.start_from(torch.cat([self.dictionary[kept], new]))

    def start_from(self, dictionary: Tensor) -> None:
        """Other atoms, of which nothing is known yet."""
        self.dictionary = dictionary / dictionary.norm(dim=1, keepdim=True)
        self.statistics, self.kept = self._empty(), None

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

    def lacks(self, penalty: float, n_atoms: int, random: Random) -> bool:
        """Whether what the most dispensable atoms leave unexplained asks for other atoms more than for these.

        For one direction at least that promises `WANTED` times what the atom of its rank gives.
        """
        worst = torch.argsort(self.dispensable())[:n_atoms]
        whole, self.dictionary = self.dictionary, self.dictionary.clone()
        self.dictionary[worst] = 0
        residual = self.judge(penalty)[1]
        self.dictionary = whole
        new = directions(residual, penalty, n_atoms, self.settings, random)
        asked, given = (gains(residual, atoms, penalty, self.settings) for atoms in (new, whole[worst]))
        return bool((asked.sort().values > WANTED * given.sort().values).any())

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
        value = self.dispensable().clamp(min=torch.finfo(self.x.dtype).tiny).log()
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

    @property
    def _large(self) -> bool:
        return len(self.x) * len(self.dictionary) > DENSE_ENTRIES

    @property
    def _compressed(self) -> bool:
        """Whether codes of all samples come, and are counted, as sparse arrays."""
        return self._compiled and self._large

    def _to_keep(self, codes: Tensor | csr_array) -> Tensor | csr_array:
        return codes.to_sparse() if self._large and isinstance(codes, Tensor) else codes

    def _likeness(self) -> Tensor:
        """How far atoms can stand in for each other: their cosines, 0 with themselves, (atom, atom)."""
        cosine = self.dictionary @ self.dictionary.T
        cosine = cosine.abs() if self.settings.codes == "signed" else cosine.clamp(min=0)
        return cosine.fill_diagonal_(0)

    def _snapshot(self) -> _Snapshot:
        return _Snapshot(
            self.dictionary.clone(), self.offset.clone(), self.statistics.copy(), self.kept, self.objective, self.order
        )

    def _restore(self, snapshot: _Snapshot) -> None:
        self.dictionary, self.offset, self.statistics, self.kept, self.objective, self.order = snapshot


def _dense(codes: Tensor | csr_array) -> Tensor:
    return codes.to_dense() if isinstance(codes, Tensor) else torch.from_numpy(codes.toarray())


def _random_atoms(n_atoms: int, x: Tensor, settings: Settings, random: Random) -> Tensor:
    atoms = np.random.RandomState(random.randint(2**31)).standard_normal((n_atoms, x.shape[1]))
    return torch.as_tensor(np.abs(atoms) if settings.atoms == "nonnegative" else atoms).to(x)


class _Snapshot(NamedTuple):
    dictionary: Tensor
    offset: Tensor
    statistics: Statistics
    kept: list[Tensor | csr_array] | None
    objective: float
    order: np.ndarray
