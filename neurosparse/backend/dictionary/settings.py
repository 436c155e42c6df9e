"""How to learn, and the scale of penalties. Imports numpy, torch and `errors`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch

from neurosparse.backend.inference import Codes, Solver
from neurosparse.errors import InputError

Tensor = torch.Tensor
Random = np.random.RandomState
Step = dict[str, Any]
OnStep = Callable[[Step], None]

# Duality gap of the codes: where statistics are gathered from fresh codes, and where each round starts from the last.
ROUGH_TOL, CODE_TOL = 5e-3, 1e-3
# Codes of more entries than this are kept from round to round without their zeros.
DENSE_ENTRIES = 20_000_000


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
        Settled: in two rounds the objective fell by less than two fifths of this share.
    first_level : float or None
        Multiple of `reference_penalty` where annealing starts. None: see `first_level`.
    levels : int
        Penalties of annealing, falling geometrically.
    block : int or None
        Steps, of one batch each, after which staying at a level is judged by what they gained. None: see
        `annealing.block_size`.
    hold : int
        Blocks at one level, at the most: see `annealing.still_pays`.
    surplus : float
        Share of atoms that are learned beyond those wanted, and let go once annealing is over: where every true atom
        has several candidates few are missed.
    relearnings : int
        Coarse stages of `relearning` where samples are few; 0 for none.
    batch, window : int or None
        Samples of a batch, and how many of the last ones the statistics remember. None: by the numbers of samples and
        atoms, see `batch_size` and `memory`.
    patience : int
        Replacement ends after so many trials in a row that did not pay; 0 for no replacement.
    trial : int
        Steps after which a replacement is judged.
    solver : {"auto", "coordinate", "fista"}
        As in `inference.encode`; ``"fista"`` keeps every loop in torch.
    """

    codes: Codes = "nonnegative"
    atoms: Literal["signed", "nonnegative"] = "signed"
    offset: bool = True
    max_iter: int = 500
    tol: float = 1e-5
    first_level: float | None = None
    levels: int = 5
    block: int | None = None
    hold: int = 40
    surplus: float = 0.25
    relearnings: int = 10
    batch: int | None = None
    window: int | None = None
    patience: int = 3
    trial: int = 16
    solver: Solver = "auto"


# Replacement works at no less than this multiple of `reference_penalty`: below, wrong atoms share the work of right
# ones too well for a new atom to take its place.
WORKING_LEVEL = 0.15
# Samples an atom that are few; atoms that are many, so that steps are dear.
FEW, MANY = 6, 512
# Where annealing starts: higher, codes are fewer and steps cheaper, but of a hundred atoms one in fifty may be missed.
FIRST_LEVEL, FIRST_LEVEL_OF_MANY = 0.4, 0.54


def few_samples(settings: Settings, n_samples: int, n_atoms: int) -> bool:
    """Whether there are so few samples an atom that `relearning` finds what annealing a surplus does not."""
    return bool(settings.relearnings) and n_atoms > 1 and n_samples < FEW * n_atoms


def n_at_first(settings: Settings, n_samples: int, n_atoms: int) -> int:
    """Atoms to begin with: the surplus included where there are samples to learn it from."""
    if few_samples(settings, n_samples, n_atoms):
        return n_atoms
    return max(n_atoms, min(n_atoms + round(settings.surplus * n_atoms), n_samples))


def first_level(settings: Settings, n_samples: int, n_atoms: int) -> float:
    """Multiple of `reference_penalty` where annealing starts."""
    if settings.first_level is not None:
        return settings.first_level
    many = n_atoms >= MANY and not few_samples(settings, n_samples, n_atoms)
    return FIRST_LEVEL_OF_MANY if many else FIRST_LEVEL


def batch_size(settings: Settings, n_samples: int, n_atoms: int) -> int:
    """Samples a step: a quarter of all, between 256 and two an atom."""
    size = max(256, min(2 * n_atoms, n_samples // 4)) if settings.batch is None else settings.batch
    return min(size, n_samples)


def memory(settings: Settings, n_samples: int, n_atoms: int) -> int:
    """Samples the statistics remember: all, or ten an atom where there are more, but never fewer than 5,000.

    At twenty annealing takes up to half as many steps again: codes of worse dictionaries are longer believed.
    """
    return min(n_samples, max(5000, 10 * n_atoms) if settings.window is None else settings.window)


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


def random_state_of(random_state: Any) -> Random:
    """A generator: itself, or a new one from a seed."""
    return random_state if isinstance(random_state, Random) else Random(random_state)
