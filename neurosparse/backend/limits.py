"""What counting, theory and noise let a dictionary be, and what planted worlds of the same size give.

Sizes and covariances enter as numbers and numpy arrays, bounds and recoveries leave. Imports numpy, torch and the
backend's `baselines`, `dictionary`, `matching` and `surrogate`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from neurosparse.backend import baselines, dictionary
from neurosparse.backend.dictionary import Random, Settings
from neurosparse.backend.dictionary.settings import random_state_of
from neurosparse.backend.matching import chance_corrected, recovery
from neurosparse.backend.surrogate import SETTINGS, gaussian_surrogate

Floats = NDArray[np.float64]
Verdict = Literal["possible", "marginal", "impossible"]

# Active samples an atom that fits ask for; below, worlds say whether fewer will do.
EVENTS = 30
# Recovery above chance, as a share of what is left up to 1: from here on most atoms are found; below, hardly any is.
# Fixed before any cell of the benchmark `recoverability` was fitted.
POSSIBLE, IMPOSSIBLE = 0.8, 0.5
# Shape of the gamma law of narrow amplitudes.
NARROW = 16.0


class Bound(NamedTuple):
    """One thing that is needed, and what there is of it.

    Attributes
    ----------
    has, needed : float
        In units of its own; `needed` is inf where no number would do.
    """

    has: float
    needed: float

    @property
    def met(self) -> bool:
        return self.has >= self.needed


@dataclass(frozen=True, eq=False)
class Plan:
    """A fit that somebody thinks of making.

    Attributes
    ----------
    n_atoms, n_active : int
        N, and how many of them are active in a sample, k.
    n_samples : int
        n: independent ones.
    signal, noise : (unit, unit) arrays
        Covariance of what the atoms make, and of what is added to it.
    codes, atoms : str
        As in `dictionary.Settings`.
    """

    n_atoms: int
    n_active: int
    n_samples: int
    signal: Floats
    noise: Floats
    codes: Literal["nonnegative", "signed"] = "nonnegative"
    atoms: Literal["signed", "nonnegative"] = "signed"

    @property
    def reliability(self) -> float:
        """Share of the variance that is signal."""
        signal, noise = float(np.trace(self.signal)), float(np.trace(self.noise))
        return signal / (signal + noise)


class World(NamedTuple):
    """What a fit of one planted world found.

    Attributes
    ----------
    cosine : float
        Mean |cosine| of the true atoms with the learned ones matched to them.
    share_above_90 : float
        Of atoms with |cosine| >= .9.
    chance : dict of str to float
        Mean matched |cosine| of dictionaries that know less, by control.
    amplitudes : {"spread", "narrow"}
        How large active codes are; see `planted`.
    """

    cosine: float
    share_above_90: float
    chance: dict[str, float]
    amplitudes: str = "spread"


def bounds(n_units: int, n_atoms: int, n_active: float, n_samples: float, reliability: float) -> dict[str, Bound]:
    """What is needed to tell N atoms, k of them active, from n samples of M units.

    Parameters
    ----------
    n_units, n_atoms : int
        M, N.
    n_active, n_samples : float
        k, the mean will do; n, independent ones.
    reliability : float
        Share r of the variance that is signal.

    Returns
    -------
    dict of str to Bound
        ``events``: n k / N active samples an atom, against 30. ``samples``: n against M N / (M - k), below which there
        are more unknowns than numbers even were the supports known. ``units``: M against 2 k ln(N / k), what sparse
        codes of a known dictionary ask for. ``detection``: squared size of one active atom over the noise variance of a
        unit, M r / (k (1 - r)), against 2 ln N, the square of the largest of N noise projections.

    Notes
    -----
    Only the second is a wall, and only without further assumptions; the others are scales, passed by no more than a
    small factor in practice.

    References
    ----------
    D. Donoho & J. Tanner, Journal of the AMS 22:1-53 (2009) for the units; D. Donoho & I. Johnstone, Biometrika
    81:425-455 (1994) for 2 ln N.
    """
    noise = n_active * (1 - reliability)
    return {
        "events": Bound(n_samples * n_active / n_atoms, EVENTS),
        "samples": Bound(n_samples, n_units * n_atoms / (n_units - n_active) if n_units > n_active else float("inf")),
        "units": Bound(n_units, 2 * n_active * np.log(n_atoms / n_active)),
        "detection": Bound(n_units * reliability / noise if noise > 0 else float("inf"), 2 * np.log(n_atoms)),
    }


def cosine_ceiling(n_atoms: int, n_samples: float, reliability: float) -> float:
    """|cosine| of an atom with its estimate by who knows all codes: ``1 / sqrt(1 + (N / n) (1 - r) / r)``.

    Least squares of an atom with e = n k / N events of mean square amplitude a^2 errs by M s^2 / (e a^2) for noise of
    variance s^2 a unit; with ``M s^2 / (k a^2) = (1 - r) / r`` the rest follows.
    """
    return float(1 / np.sqrt(1 + n_atoms / n_samples * (1 - reliability) / reliability)) if reliability > 0 else 0.0


def planted(plan: Plan, *, narrow: bool = False, random_state: Any = None) -> tuple[Floats, Floats]:
    """Samples (sample, unit) of the plan, and the atoms (atom, unit) that they are made of.

    k atoms a sample, chosen evenly, amplitudes |N(0, 1)| or, if `narrow`, of a gamma law whose standard deviation is a
    quarter of its mean (with a sign where codes have one); atoms are directions of Gaussian samples with the signal's
    covariance, so that the signal has about that covariance; Gaussian noise.
    """
    random = random_state_of(random_state)
    n_units = len(plan.signal)
    atoms = random.standard_normal((plan.n_atoms, n_units)) @ _root(plan.signal)
    atoms = np.abs(atoms) if plan.atoms == "nonnegative" else atoms
    atoms /= np.linalg.norm(atoms, axis=1, keepdims=True)
    codes = np.zeros((plan.n_samples, plan.n_atoms))
    active = random.random_sample(codes.shape).argpartition(plan.n_active - 1, axis=1)[:, : plan.n_active]
    values = random.standard_normal(active.shape)
    values = np.sign(values) * random.gamma(NARROW, size=values.shape) if narrow else values
    np.put_along_axis(codes, active, np.abs(values) if plan.codes == "nonnegative" else values, axis=1)
    signal = codes @ atoms
    signal *= np.sqrt(np.trace(plan.signal) / signal.var(axis=0).sum())
    return signal + random.standard_normal((plan.n_samples, n_units)) @ _root(plan.noise), atoms


def fit_planted(plan: Plan, *, narrow: bool = False, random_state: Any = None) -> World:
    """Learn the dictionary of a planted world as a user would, told its size alone, and score it.

    The penalty is chosen by held-out entries; the fit goes on from the start made there, by the short schedule of
    `surrogate`. Chance: random directions, isotropic and of the samples' covariance; codes of other samples; and the
    dictionary of a Gaussian with the samples' mean and covariance.
    """
    random = random_state_of(random_state)
    x, truth = planted(plan, narrow=narrow, random_state=random)
    settings = Settings(codes=plan.codes, atoms=plan.atoms)
    path = dictionary.choose_penalty(torch.from_numpy(x), plan.n_atoms, settings, random_state=random)
    learned, codes = _short_fit(x, plan, path.penalty, random, start=path.dictionary)
    cosine = recovery(learned, truth)
    for column in codes.T:
        random.shuffle(column)
    knowing_less = {
        "isotropic": baselines.random_dictionary(*learned.shape, random_state=random),
        "covariance_matched": baselines.covariance_matched_dictionary(x, plan.n_atoms, random_state=random),
        "shuffled_codes": codes.T @ (x - x.mean(0)),
        "gaussian_surrogate": _short_fit(gaussian_surrogate(x, random_state=random), plan, path.penalty, random)[0],
    }
    chance = {name: float(recovery(atoms, truth).mean()) for name, atoms in knowing_less.items()}
    return World(float(cosine.mean()), float((cosine >= 0.9).mean()), chance, "narrow" if narrow else "spread")


def fit_worlds(
    plan: Plan, n_worlds: int, *, random_state: Any = None, on_step: Callable[[int], None] | None = None
) -> list[World]:
    """`fit_planted`, so many times, every other one with narrow amplitudes; `on_step` is called with each's number.

    The law of the amplitudes decides as much as their number: where several codes are active in few samples, those of
    one size are hard to take apart (|cos| .6, and .997 where they are spread; M 32, N 48, k 8, n 250). Data do not say.
    """
    random, worlds = random_state_of(random_state), []
    for number in range(n_worlds):
        worlds.append(fit_planted(plan, narrow=number % 2 == 1, random_state=random))
        if on_step is not None:
            on_step(number)
    return worlds


def corrected(worlds: list[World]) -> float:
    """Mean |cosine| above the largest chance, as a share of what is left up to 1."""
    chance = max(np.mean([world.chance[name] for world in worlds]) for name in worlds[0].chance)
    return float(chance_corrected(np.mean([world.cosine for world in worlds]), chance))


def judge(found: dict[str, Bound], worlds: list[World]) -> Verdict:
    """Impossible below the wall of counting, else what the worlds say.

    Without worlds: possible where all bounds are met, impossible where one is missed by a factor of four.
    """
    if not found["samples"].met:
        return "impossible"
    if not worlds:
        far = any(bound.has < bound.needed / 4 for bound in found.values())
        return "possible" if all(bound.met for bound in found.values()) else "impossible" if far else "marginal"
    share = corrected(worlds)
    return "possible" if share >= POSSIBLE else "marginal" if share >= IMPOSSIBLE else "impossible"


def _short_fit(
    x: Floats, plan: Plan, penalty: float, random: Random, start: torch.Tensor | None = None
) -> tuple[Floats, Floats]:
    settings, rows = replace(SETTINGS, codes=plan.codes, atoms=plan.atoms), torch.from_numpy(x)
    learner = dictionary.fit(rows, plan.n_atoms, penalty, settings, random_state=random, start=start).learner
    return learner.dictionary.numpy(), learner.codes.numpy().copy()


def _root(covariance: Floats) -> Floats:
    """A matrix whose Gram matrix is the covariance, its negative eigenvalues (of rounding) left out."""
    size, directions = np.linalg.eigh(covariance)
    return np.asarray(np.sqrt(np.maximum(size, 0))[:, None] * directions.T)
