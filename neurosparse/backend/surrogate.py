"""Would a Gaussian of equal mean and covariance give as good a dictionary?

Samples (sample, unit) enter as numpy arrays, statistics of the data and of Gaussian surrogates leave. Imports numpy,
scipy, torch, `errors` and the backend's `inference`, `dictionary`, `matching` and `baselines`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats

from neurosparse.backend import baselines, dictionary
from neurosparse.backend.devices import one_thread
from neurosparse.backend.dictionary import Learner, Random, Settings
from neurosparse.backend.inference import encode
from neurosparse.backend.matching import match
from neurosparse.backend.threads import side_by_side

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Splits = Sequence[tuple[Ints, Ints]]

# Level: of each of the two one-sided tests, so Gaussians pass both in less than 1 % of draws. Margin: of stability
# above the surrogates', as a share of what is left up to 1. With many samples a difference that nobody could use is
# beyond any level; a dictionary less than a tenth of the way from a Gaussian's to a stable one says nothing about
# features. Set knowing the V4 recording (.28 at 15 atoms, .04 at 100), before any Gaussian or planted draw was judged.
LEVEL = 0.01
MARGIN = 0.1
N_REFERENCE = 3
# Of `dictionary.reference_penalty`: codes of few atoms, for Gaussians too. Lower penalties, as held-out entries prefer
# where noise is low, tell no better (a planted gain then lies fewer sd above the surrogates) at ten times the cost.
PENALTY = 0.4
# The same short schedule for the data and for each surrogate: what matters is that they are treated alike.
SETTINGS = Settings(first_level=0.9, levels=24, block=1, hold=1, surplus=0, patience=1, trial=6, tol=3e-4, max_iter=80)
# Multiply-adds, all samples on all atoms, from which fits run side by side. Below, a fit's time is the interpreter's:
# two at a time took 1 s of CPU for what one after the other took .7 (400 samples, 16 units, 24 atoms).
SHARED = 2**18


class Evidence(NamedTuple):
    """How good the dictionary of one set of samples is.

    Attributes
    ----------
    stability : float
        Mean matched |cosine| of two dictionaries learned from disjoint halves with their own starts; mean over splits.
    gain : float
        ``1 - objective / objective of covariance-matched random dictionaries``, on the half not learned from, at the
        same penalty; mean over both directions and splits.
    n_active : float
        Mean active atoms a held-out sample.
    """

    stability: float
    gain: float
    n_active: float


@dataclass(frozen=True)
class SurrogateTest:
    """The data's evidence beside that of its Gaussian surrogates; see `surrogate_test`."""

    penalty: float
    observed: Evidence
    stability: Floats  # (surrogate,)
    gain: Floats  # (surrogate,)
    n_active: Floats  # (surrogate,)
    chance: dict[str, float]
    p_stability: float
    p_gain: float

    @property
    def excess(self) -> float:
        """Stability above the surrogates' mean, as a share of what is left up to 1."""
        usual = float(self.stability.mean())
        return (self.observed.stability - usual) / (1 - usual) if usual < 1 else 0.0

    @property
    def told(self) -> bool:
        """Whether both statistics lie beyond the surrogates' and the excess is worth having."""
        return self.p_stability < LEVEL and self.p_gain < LEVEL and self.excess >= MARGIN


def gaussian_surrogate(x: Floats, *, random_state: Any = None) -> Floats:
    """A Gaussian draw given its sample mean and sample covariance, which are exactly those of `x`.

    ``mean + Q S V^T`` where ``U S V^T`` is the centred `x` and Q a random orthonormal frame orthogonal to the constant.

    Parameters
    ----------
    x : (sample, unit) array
    random_state : int, numpy.random.RandomState or None

    Returns
    -------
    (sample, unit) array

    Notes
    -----
    Mean and covariance are sufficient for a Gaussian: were `x` Gaussian, it and its surrogates would be exchangeable,
    whatever the covariance, so a test against them needs no asymptotics. Cost n_samples n_units^2.
    """
    random = _random(random_state)
    mean = x.mean(0)
    _, size, directions = np.linalg.svd(x - mean, full_matrices=False)
    kept = size > size[0] * 1e-12
    frame = random.standard_normal((len(x), int(kept.sum())))
    frame = np.linalg.qr(frame - frame.mean(0))[0]
    return np.asarray(mean + (frame * size[kept]) @ directions[kept])


def surrogate_test(
    x: Floats,
    n_atoms: int,
    splits: Splits,
    *,
    penalty: float | None = None,
    settings: Settings = SETTINGS,
    n_surrogates: int = 19,
    random_state: Any = None,
    on_step: Callable[[int], None] | None = None,
) -> SurrogateTest:
    """Stability and held-out gain of dictionaries of `x` and of Gaussians with its mean and covariance.

    Parameters
    ----------
    x : (sample, unit) array
    n_atoms : int
    splits : sequence of pairs of int arrays
        Rows of either half of each split; the two disjoint.
    penalty : float, optional
        Default: .4 of `dictionary.reference_penalty`. The same number serves every surrogate.
    settings : Settings
    n_surrogates : int
        At least 3; the two p-values are of a t prediction interval over them.
    random_state : int, numpy.random.RandomState or None
    on_step : callable, optional
        Called with 0 after the data and 1, 2, ... after each surrogate.

    Returns
    -------
    SurrogateTest

    Notes
    -----
    Two fits of half the samples a split for the data and for each surrogate, one start each. Each has a seed of
    its own, so that they run side by side.
    """
    random = _random(random_state)
    if penalty is None:
        penalty = PENALTY * dictionary.reference_penalty(_rows(x), n_atoms, offset=settings.offset)
    seeds = random.randint(2**31, size=n_surrogates + 1)

    def judge(number: int) -> tuple[Evidence, dict[str, float]]:
        own = Random(seeds[number])
        rows = gaussian_surrogate(x, random_state=own) if number else x
        return _evidence(rows, n_atoms, penalty, splits, settings, own)

    n_threads = 1 if x.size * n_atoms < SHARED else None
    with one_thread():
        (observed, chance), *found = side_by_side(judge, range(n_surrogates + 1), on_done=on_step, n_threads=n_threads)
    draws = [evidence for evidence, _ in found]
    stability, gain, n_active = np.array(draws).T
    return SurrogateTest(
        penalty=penalty,
        observed=observed,
        stability=stability,
        gain=gain,
        n_active=n_active,
        chance=chance,
        p_stability=prediction_p(observed.stability, stability),
        p_gain=prediction_p(observed.gain, gain),
    )


def prediction_p(observed: float, draws: Floats) -> float:
    """One-sided p of `observed` as one more of normal `draws`: Student's t with ``len(draws) - 1`` degrees of freedom.

    ``t = (observed - mean) / (sd sqrt(1 + 1 / n))``. Finer than rank, which stops at 1 / (1 + n).
    """
    n = len(draws)
    spread = float(np.std(draws, ddof=1)) * np.sqrt(1 + 1 / n)
    if spread == 0:
        return 0.0 if observed > draws[0] else 1.0
    return float(stats.t.sf((observed - float(np.mean(draws))) / spread, n - 1))


def _evidence(
    x: Floats, n_atoms: int, penalty: float, splits: Splits, settings: Settings, random: Random
) -> tuple[Evidence, dict[str, float]]:
    """Means over splits, and chance levels of the first split."""
    found: list[tuple[float, ...]] = []
    chance: dict[str, float] = {}
    for halves in splits:
        fits = [
            dictionary.fit(_rows(x[half]), n_atoms, penalty, settings, random_state=random).learner for half in halves
        ]
        stability = match(_atoms(fits[0]), _atoms(fits[1])).value.mean()
        directions = [
            _held_out(x[own], x[other], learner, penalty, random)
            for learner, own, other in zip(fits, halves, halves[::-1], strict=True)
        ]
        chance = chance or _chance(x, fits, halves, random)
        found.append((stability, *np.mean(directions, axis=0)))
    return Evidence(*np.mean(found, axis=0).tolist()), chance


def _held_out(own: Floats, other: Floats, learner: Learner, penalty: float, random: Random) -> tuple[float, float]:
    """Gain and active atoms of a dictionary on the samples it has not seen."""
    rows, codes = other - learner.offset.numpy(), learner.settings.codes
    found = encode(rows, _atoms(learner), penalty, codes=codes, tol=1e-3)
    reference = [
        baselines.covariance_matched_dictionary(own, len(learner.dictionary), random_state=random)
        for _ in range(N_REFERENCE)
    ]
    usual = np.mean([encode(rows, atoms, penalty, codes=codes, tol=1e-3).objective.mean() for atoms in reference])
    return float(1 - found.objective.mean() / usual), float((found.codes != 0).sum(1).mean())


def _chance(x: Floats, fits: list[Learner], halves: Sequence[Ints], random: Random) -> dict[str, float]:
    """Mean matched |cosine| of the second half's dictionary with dictionaries that know less than the first half's."""
    first, second = fits
    n_atoms, n_units = first.dictionary.shape
    own = x[halves[0]]
    shuffled = first.codes.numpy().copy()
    for column in shuffled.T:
        random.shuffle(column)
    others = {
        "isotropic": baselines.random_dictionary(n_atoms, n_units, random_state=random),
        "covariance_matched": baselines.covariance_matched_dictionary(own, n_atoms, random_state=random),
        # Codes of one sample on another: what atoms of these rates and amplitudes become when they mean nothing.
        "shuffled_codes": shuffled.T @ (own - own.mean(0)),
    }
    return {name: float(match(atoms, _atoms(second)).value.mean()) for name, atoms in others.items()}


def _atoms(learner: Learner) -> Floats:
    return np.asarray(learner.dictionary.numpy())


def _rows(x: Floats) -> torch.Tensor:
    return torch.from_numpy(np.array(x, dtype=np.float64, order="C"))


def _random(random_state: Any) -> Random:
    return random_state if isinstance(random_state, Random) else Random(random_state)
