"""Given samples: the dictionary that makes them sparse.

A torch tensor (sample, unit) enters; a `Learner` with dictionary (atom, unit), offset and codes leaves, and what
happened round by round. On the CPU the loops are compiled, elsewhere they are torch; the algorithm is the same. Imports
numpy, numba, torch, `errors` and `backend.inference`.

References
----------
Objective and alternation: Olshausen & Field 1997; Mairal et al. 2010, alg. 2 (block coordinates), here with atoms on
the unit sphere instead of in the unit ball. Replacement from residuals after Schnass 2018, with the gain in the
objective itself as the criterion.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numba import njit

from neurosparse.backend.devices import one_thread
from neurosparse.backend.inference import Codes, Solver, encode, held_out_entries
from neurosparse.errors import InputError

Tensor = torch.Tensor
Random = np.random.RandomState
Step = dict[str, Any]
OnStep = Callable[[Step], None]

# Multiples of `reference_penalty`: where annealing starts, and the levels that held-out entries choose from.
FIRST_LEVEL = 0.6
LEVELS = tuple(np.geomspace(0.7, 0.04, 12))
# Duality gap of the codes while learning; each round starts from the codes of the one before.
CODE_TOL = 1e-3
# A replacement is kept where it lowers the objective by more than this share: less is what settling does by itself.
WORTH = 1e-4
# Two starts whose objectives differ by less than this share have found the same place, give or take the settling.
AGREE = 5e-4


@dataclass(frozen=True)
class Settings:
    """How to learn; everything that is not data, size or penalty.

    Attributes
    ----------
    codes : {"nonnegative", "signed"}
    atoms : {"signed", "nonnegative"}
    offset : bool
        Whether an offset is learned along; 0 otherwise.
    max_iter : int
        Rounds of settling at the final penalty, at the most.
    tol : float
        Settled: the objective fell by a smaller share than this over five rounds.
    levels, level_rounds : int
        Of annealing: penalties from the first to the final one, and rounds at each.
    patience : int
        Replacement ends after so many trials in a row that did not pay; 0 for no replacement.
    trial : int
        Rounds after which a replacement is judged.
    solver : {"auto", "coordinate", "fista"}
        As in `inference.encode`; ``"fista"`` keeps every loop in torch.
    """

    codes: Codes = "nonnegative"
    atoms: Literal["signed", "nonnegative"] = "signed"
    offset: bool = True
    max_iter: int = 500
    tol: float = 1e-5
    levels: int = 8
    level_rounds: int = 6
    patience: int = 3
    trial: int = 8
    solver: Solver = "auto"


class Fit(NamedTuple):
    """The best of all restarts, its rounds, and whether it settled."""

    learner: Learner
    history: list[Step]
    converged: bool


class PenaltyPath(NamedTuple):
    """Error of held-out entries along falling penalties, relative to the offset alone, and the penalty chosen."""

    penalty: float
    penalties: np.ndarray
    error: np.ndarray
    standard_error: np.ndarray


class Learner:
    """Dictionary, offset and codes of one run over a fixed set of samples.

    ``1 / n sum_i 1/2 ||x_i - b - z_i D||^2 + penalty |z_i|_1`` is minimised in turn over the codes z, each atom of D
    on the unit sphere (exactly, codes and other atoms fixed), and the offset b (exactly): at a fixed penalty it never
    rises.

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
        self.codes = x.new_zeros((len(x), len(dictionary)))
        self.objective = float("inf")

    def state(self) -> dict[str, np.ndarray]:
        """Everything that `from_state` needs beside the samples and settings, as numpy arrays."""
        tensors = {"dictionary": self.dictionary, "offset": self.offset, "codes": self.codes}
        return {name: value.cpu().numpy().copy() for name, value in tensors.items()} | {
            "objective": np.array(self.objective)
        }

    @classmethod
    def from_state(cls, state: Mapping[str, np.ndarray], x: Tensor, settings: Settings) -> Learner:
        """The learner that gave `state`, on the same samples."""
        learner = cls(x, torch.as_tensor(state["dictionary"]).to(x), settings)
        dictionary, offset, codes = (torch.tensor(state[name]).to(x) for name in ("dictionary", "offset", "codes"))
        learner._restore((dictionary, offset, codes, float(state["objective"])))
        return learner

    def step(self, penalty: float, *, code_tol: float = CODE_TOL) -> float:
        """One round: codes, then atoms and offset. Returns the objective between the two."""
        self.infer(penalty, code_tol)
        centred = self.x - self.offset
        nonnegative = self.settings.atoms == "nonnegative"
        if self._compiled:
            _sweep(self.dictionary.numpy(), *_statistics(self.codes.numpy(), centred.numpy()), nonnegative)
        else:
            _sweep_torch(self.dictionary, self.codes.T @ self.codes, self.codes.T @ centred, nonnegative)
        if self.settings.offset:
            self.offset = (self.x - self.codes @ self.dictionary).mean(0)
        return self.objective

    def infer(self, penalty: float, code_tol: float = CODE_TOL) -> None:
        """Codes for the dictionary as it stands, from those before, and the objective."""
        centred = self.x - self.offset
        found = encode(
            centred,
            self.dictionary,
            penalty,
            codes=self.settings.codes,
            initial=self.codes,
            tol=code_tol,
            solver=self.settings.solver,
        )
        self.codes, self.objective = found.codes, float(found.objective.mean())

    def utility(self) -> Tensor:
        """What the objective would lose without each atom, the other codes fixed: ``1/2 sum_i z_ij^2`` (atom,).

        At the optimum an active code's residual correlation equals the penalty, which leaves only the square.
        """
        return 0.5 * self.codes.square().sum(0)

    def replace(self, penalty: float, n_atoms: int, random: Random) -> bool:
        """Exchange the `n_atoms` most dispensable atoms for residual directions; keep that if it pays.

        Returns
        -------
        bool
            Whether the objective fell. If not, everything is as it was.
        """
        before = self._snapshot()
        worst = torch.argsort(self._dispensable())[:n_atoms]
        self.dictionary[worst] = 0
        self.codes[:, worst] = 0
        self.infer(penalty)
        residual = self.x - self.offset - self.codes @ self.dictionary
        self.dictionary[worst] = _directions(residual, penalty, len(worst), self.settings, random)
        for _ in range(self.settings.trial):
            self.step(penalty)
        if self.objective < before[3] * (1 - WORTH):
            return True
        self._restore(before)
        return False

    @property
    def _compiled(self) -> bool:
        return self.x.device.type == "cpu" and self.settings.solver != "fista"

    def _dispensable(self) -> Tensor:
        """Utility, less what the most similar atom would take over."""
        cosine = self.dictionary @ self.dictionary.T
        cosine = cosine.abs() if self.settings.codes == "signed" else cosine.clamp(min=0)
        cosine.fill_diagonal_(0)
        return self.utility() * (1 - cosine.amax(1).square())

    def _snapshot(self) -> tuple[Tensor, Tensor, Tensor, float]:
        return self.dictionary.clone(), self.offset.clone(), self.codes.clone(), self.objective

    def _restore(self, snapshot: tuple[Tensor, Tensor, Tensor, float]) -> None:
        self.dictionary, self.offset, self.codes, self.objective = snapshot


def reference_penalty(x: Tensor, n_atoms: int, *, offset: bool = True) -> float:
    """The penalty at which half the samples would have no active atom, were the atoms random.

    ``median_i ||x_i - mean|| sqrt(1 - n_atoms^(-2 / (n_units - 1)))``: the typical largest correlation of a sample with
    random directions. Proportional to the scale of x, the same for any order or rotation of its units.

    Raises
    ------
    InputError
        If the samples do not vary.
    """
    centred = x - x.mean(0) if offset else x
    norms = centred.norm(dim=1)
    typical = float(norms.median()) or float(norms.square().mean().sqrt())
    if not typical > 0:
        raise InputError(
            f"x has {len(x)} samples that are all alike: nothing varies, so there is nothing to learn. Select units "
            "that respond."
        )
    n_units = x.shape[1]
    share = 1.0 if n_units == 1 else float(np.sqrt(1 - max(n_atoms, 2) ** (-2 / (n_units - 1))))
    return typical * share


@one_thread()
def fit(
    x: Tensor,
    n_atoms: int,
    penalty: float,
    settings: Settings,
    *,
    n_restarts: int = 1,
    random_state: Any = None,
    on_step: OnStep | None = None,
) -> Fit:
    """Learn a dictionary: from each start anneal, settle and replace what is dispensable; keep the best.

    Starts end early where the two best agree on the objective: the same place found twice.

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
    on_step : callable, optional
        Called with each entry of the history as it is made.

    Returns
    -------
    Fit

    Notes
    -----
    A round costs about ``n_samples n_atoms (n_units + steps)``; there are some 50 to 300 a restart. The same random
    state gives the same result on the CPU.
    """
    random = random_state if isinstance(random_state, Random) else Random(random_state)
    runs: list[_Run] = []
    for number in range(n_restarts):
        run = _Run(x, n_atoms, penalty, settings, number, random, on_step)
        run.anneal()
        run.settle(10 * settings.tol, settings.max_iter // 4)
        run.exchange(random)
        runs = sorted([*runs, run], key=lambda run: run.learner.objective)[:2]
        if len(runs) > 1 and runs[1].learner.objective <= runs[0].learner.objective * (1 + AGREE):
            break
    best = runs[0]
    converged = best.settle(settings.tol, settings.max_iter)
    best.learner.infer(penalty, 1e-6)
    return Fit(best.learner, best.history, converged)


class _Run:
    """One restart and its history."""

    def __init__(
        self,
        x: Tensor,
        n_atoms: int,
        penalty: float,
        settings: Settings,
        number: int,
        random: Random,
        on_step: OnStep | None,
    ) -> None:
        start = random.standard_normal((n_atoms, x.shape[1]))
        if settings.atoms == "nonnegative":
            start = np.abs(start)
        self.learner = Learner(x, torch.as_tensor(start).to(x), settings)
        self.penalty, self.settings, self.number, self.on_step = penalty, settings, number, on_step
        self.history: list[Step] = []

    def record(self, stage: str, penalty: float) -> None:
        entry = {
            "restart": self.number,
            "stage": stage,
            "penalty": penalty,
            "objective": self.learner.objective,
            "n_active": float((self.learner.codes != 0).sum(1).double().mean()),
        }
        self.history.append(entry)
        if self.on_step is not None:
            self.on_step(entry)

    def anneal(self) -> None:
        first = FIRST_LEVEL * reference_penalty(
            self.learner.x, len(self.learner.dictionary), offset=self.settings.offset
        )
        for penalty in np.geomspace(max(first, self.penalty), self.penalty, self.settings.levels)[:-1]:
            for _ in range(self.settings.level_rounds):
                self.learner.step(float(penalty))
                self.record("anneal", float(penalty))

    def settle(self, tol: float, max_rounds: int) -> bool:
        seen: list[float] = []
        for _ in range(max_rounds):
            seen.append(self.learner.step(self.penalty))
            self.record("settle", self.penalty)
            if len(seen) > 5 and seen[-6] - seen[-1] <= tol * seen[-6]:
                return True
        return False

    def exchange(self, random: Random) -> None:
        n_atoms = len(self.learner.dictionary)
        at_once, failures = min(max(1, n_atoms // 16), 16), 0
        while failures < self.settings.patience and n_atoms > 1:
            if self.learner.replace(self.penalty, at_once, random):
                failures = 0
                self.record("replace", self.penalty)
            else:
                failures += 1
                at_once = max(1, at_once // 2)


@one_thread()
def choose_penalty(
    x: Tensor,
    n_atoms: int,
    settings: Settings,
    *,
    random_state: Any = None,
    n_validation: int = 500,
    on_step: OnStep | None = None,
) -> PenaltyPath:
    """The largest penalty whose dictionary foretells hidden entries within one standard error of the best.

    Four fifths of the samples are learned from, along `LEVELS` of falling penalty; of the others each unit in turn is
    hidden and foretold from the rest (`inference.held_out_entries`). No label and no truth enters.

    Parameters
    ----------
    x : (sample, unit) tensor
        At least 10 samples.
    n_atoms : int
    settings : Settings
    random_state : int, numpy.random.RandomState or None
    n_validation : int
        Held-out samples used, at the most.
    on_step : callable, optional
        Called after every level.

    Returns
    -------
    PenaltyPath
        The path ends where the error has clearly risen.

    Raises
    ------
    InputError
        If there are fewer than 10 samples.
    """
    random = random_state if isinstance(random_state, Random) else Random(random_state)
    if len(x) < 10:
        raise InputError(
            f"penalty='auto' chooses by held-out samples and needs at least 10; x has {len(x)} samples. Give a penalty."
        )
    order = random.permutation(len(x))
    n_train = min(int(0.8 * len(x)), max(5000, 20 * n_atoms))
    test = x[torch.as_tensor(order[n_train:][:n_validation]).to(x.device)]
    train = x[torch.as_tensor(order[:n_train]).to(x.device)]
    reference = reference_penalty(x, n_atoms, offset=settings.offset)
    start = random.standard_normal((n_atoms, x.shape[1]))
    start = np.abs(start) if settings.atoms == "nonnegative" else start
    learner, seed = Learner(train, torch.as_tensor(start).to(x), settings), random.randint(2**31)
    errors: list[np.ndarray] = []
    for level in LEVELS:
        for _ in range(8):
            learner.step(level * reference)
        rows = test - learner.offset
        error = held_out_entries(rows, learner.dictionary, level * reference, codes=settings.codes, random_state=seed)
        errors.append((error / (test - train.mean(0)).square().sum(1).mean()).cpu().numpy())
        if on_step is not None:
            on_step({"stage": "penalty", "penalty": level * reference, "held_out_error": float(errors[-1].mean())})
        means = [entry.mean() for entry in errors]
        if len(means) > 3 and means[-1] > 1.05 * min(means):
            break
    mean = np.array([entry.mean() for entry in errors])
    spread = np.array([entry.std() / np.sqrt(len(entry)) for entry in errors])
    best = int(mean.argmin())
    chosen = int(np.flatnonzero(mean <= mean[best] + spread[best])[0])
    penalties = reference * np.array(LEVELS[: len(mean)])
    return PenaltyPath(float(penalties[chosen]), penalties, mean, spread)


def _directions(residual: Tensor, penalty: float, n: int, settings: Settings, random: Random) -> Tensor:
    """Unit vectors d that, as new atoms, would lower the objective most: ``1/2 sum_i max(r_i . d - penalty, 0)^2``.

    Power iterations from ten badly explained samples; the best is taken out of the residual before the next is sought.
    """
    left, found = residual.clone(), []
    signed = settings.codes == "signed"
    for _ in range(n):
        size = left.square().sum(1).square().cpu().numpy().astype(float)
        if not size.sum() > 0:
            found.append(torch.as_tensor(random.standard_normal(left.shape[1])).to(left))
        else:
            picked = random.choice(len(left), 10, p=size / size.sum())
            atoms = left[torch.as_tensor(picked).to(left.device)].clone()
            for _ in range(8):
                atoms = _toward(left, atoms, penalty, signed, settings.atoms == "nonnegative")
            use = _soft(left @ atoms.T, penalty, signed)
            best = int(use.square().sum(0).argmax())
            found.append(atoms[best])
            left -= use[:, best : best + 1] * atoms[best]
        if settings.atoms == "nonnegative":
            found[-1] = found[-1].abs()
    new = torch.stack(found)
    return new / new.norm(dim=1, keepdim=True)


def _toward(left: Tensor, atoms: Tensor, penalty: float, signed: bool, nonnegative: bool) -> Tensor:
    atoms = atoms / atoms.norm(dim=1, keepdim=True)
    new = _soft(left @ atoms.T, penalty, signed).T @ left
    if nonnegative:
        new = new.clamp(min=0)
    return torch.where(new.norm(dim=1, keepdim=True) > 0, new / new.norm(dim=1, keepdim=True), atoms)


def _soft(values: Tensor, penalty: float, signed: bool) -> Tensor:
    positive = (values - penalty).clamp(min=0)
    return positive + (values + penalty).clamp(max=0) if signed else positive


@njit(cache=True, fastmath=True)
def _statistics(codes: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:  # pragma: no cover (compiled)
    """``Z^T Z`` and ``Z^T X``, at the cost of the active codes alone."""
    n_samples, n_atoms = codes.shape
    gram, cross = np.zeros((n_atoms, n_atoms), x.dtype), np.zeros((n_atoms, x.shape[1]), x.dtype)
    active = np.empty(n_atoms, np.int64)
    for i in range(n_samples):
        n_active = 0
        for j in range(n_atoms):
            if codes[i, j] != 0.0:
                active[n_active] = j
                n_active += 1
        for p in range(n_active):
            z = codes[i, active[p]]
            for q in range(n_active):
                gram[active[p], active[q]] += z * codes[i, active[q]]
            for u in range(x.shape[1]):
                cross[active[p], u] += z * x[i, u]
    return gram, cross


@njit(cache=True, fastmath=True)
def _sweep(
    dictionary: np.ndarray, gram: np.ndarray, cross: np.ndarray, nonnegative: bool
) -> None:  # pragma: no cover (compiled)
    """Each atom in turn to its best place on the sphere, in place: ``d_j`` along ``B_j - sum_(l != j) A_jl d_l``."""
    n_atoms, n_units = dictionary.shape
    aim = np.empty(n_units, dictionary.dtype)
    for j in range(n_atoms):
        if gram[j, j] <= 0.0:
            continue
        for u in range(n_units):
            aim[u] = cross[j, u] + gram[j, j] * dictionary[j, u]
        for l in range(n_atoms):
            if gram[j, l] != 0.0:
                for u in range(n_units):
                    aim[u] -= gram[j, l] * dictionary[l, u]
        squared = 0.0
        for u in range(n_units):
            if nonnegative and aim[u] < 0.0:
                aim[u] = 0.0
            squared += aim[u] * aim[u]
        if squared > 0.0:
            for u in range(n_units):
                dictionary[j, u] = aim[u] / np.sqrt(squared)


def _sweep_torch(dictionary: Tensor, gram: Tensor, cross: Tensor, nonnegative: bool) -> None:
    """`_sweep` on any device."""
    used = gram.diagonal() > 0
    for j in torch.nonzero(used)[:, 0].tolist():
        aim = cross[j] + gram[j, j] * dictionary[j] - gram[j] @ dictionary
        aim = aim.clamp(min=0) if nonnegative else aim
        norm = aim.norm()
        dictionary[j] = torch.where(norm > 0, aim / norm, dictionary[j])
