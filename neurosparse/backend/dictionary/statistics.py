"""What a dictionary update needs to know of samples and codes, and the updates.

Codes (sample, atom) and samples (sample, unit) are summed into a few matrices that do not grow with the samples; a new
dictionary comes from those alone. Imports numpy, numba and torch.

References
----------
Sufficient statistics: Mairal, Bach, Ponce & Sapiro 2010, alg. 1 and 2; here atoms lie on the unit sphere rather than in
the ball, the offset is eliminated exactly, and old samples are forgotten geometrically, which drops the warm-up.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from numba import njit
from scipy.sparse import csr_array

Tensor = torch.Tensor
# Share of an atom's median use with which `regress` holds it where it was: what hardly was used hardly moves.
PULL = 0.02


class Statistics:
    """Sums over samples of codes with codes, codes with samples, codes, samples, and their weight.

    Parameters
    ----------
    n_atoms, n_units : int
    like : tensor
        Gives dtype and device.
    compiled : bool
        Whether the sums run compiled, at the cost of the active codes alone.
    """

    NAMES = ("gram", "cross", "use", "total", "events", "weight")

    def __init__(self, n_atoms: int, n_units: int, like: Tensor, *, compiled: bool) -> None:
        self.gram = like.new_zeros((n_atoms, n_atoms))  # sum z z^T
        self.cross = like.new_zeros((n_atoms, n_units))  # sum z x^T
        self.use = like.new_zeros(n_atoms)  # sum z
        self.total = like.new_zeros(n_units)  # sum x
        self.events = like.new_zeros(n_atoms)  # samples in which the atom is active
        self.weight = like.new_zeros(())  # samples
        self.compiled = compiled

    def add(self, codes: Tensor | csr_array, x: Tensor) -> None:
        """Count samples and their codes in; sparse codes where the sums run compiled."""
        if self.compiled:
            sums = Sums(*(each.numpy() for each in (self.gram, self.cross, self.use, self.events)))
            if isinstance(codes, csr_array):
                _count_compressed(sums, codes.data, codes.indices, codes.indptr, x.numpy())
            else:
                _count_all(sums, codes.numpy(), x.numpy())
        else:
            assert isinstance(codes, Tensor)
            self.gram += codes.T @ codes
            self.cross += codes.T @ x
            self.use += codes.sum(0)
            self.events += (codes != 0).sum(0)
        self.total += x.sum(0)
        self.weight += len(x)

    def scale(self, share: float) -> None:
        """Forget all but a share of every sum."""
        for name in self.NAMES:
            getattr(self, name).mul_(share)

    def clear(self, atoms: Tensor) -> None:
        """Forget that these atoms were ever used."""
        self.gram[atoms] = 0
        self.gram[:, atoms] = 0
        for sums in (self.cross, self.use, self.events):
            sums[atoms] = 0

    def keep(self, atoms: Tensor) -> None:
        """Forget all atoms but these; (atom,) bool."""
        self.gram = self.gram[atoms][:, atoms].contiguous()
        self.cross, self.use, self.events = self.cross[atoms].contiguous(), self.use[atoms], self.events[atoms]

    def centred(self, offset: bool) -> tuple[Tensor, Tensor]:
        """Gram and cross sums once the best offset for every dictionary is taken out: (atom, atom), (atom, unit)."""
        if not offset or not float(self.weight) > 0:
            return self.gram, self.cross
        mean = self.use / self.weight
        return self.gram.addr(mean, self.use, alpha=-1), self.cross.addr(mean, self.total, alpha=-1)

    def offset(self, dictionary: Tensor) -> Tensor:
        """The best offset for a dictionary, (unit,)."""
        return (self.total - self.use @ dictionary) / self.weight

    def copy(self) -> Statistics:
        """A copy that shares nothing."""
        new = Statistics.__new__(Statistics)
        new.compiled = self.compiled
        for name in self.NAMES:
            setattr(new, name, getattr(self, name).clone())
        return new

    def state(self) -> dict[str, np.ndarray]:
        """The sums as numpy arrays."""
        return {name: getattr(self, name).cpu().numpy().copy() for name in self.NAMES}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Take over the sums of `state`."""
        for name in self.NAMES:
            setattr(self, name, torch.tensor(np.asarray(state[name])).to(self.gram))


def sweep(dictionary: Tensor, gram: Tensor, cross: Tensor, nonnegative: bool, *, compiled: bool) -> None:
    """Each atom in turn to its best place on the unit sphere, in place, codes and other atoms fixed.

    ``d_j`` points along ``cross_j - sum_(l != j) gram_jl d_l``; the objective never rises. Unused atoms stay.
    """
    if compiled:
        _sweep(dictionary.numpy(), gram.numpy(), cross.numpy(), nonnegative)
        return
    for j in torch.nonzero(gram.diagonal() > 0)[:, 0].tolist():
        aim = cross[j] + gram[j, j] * dictionary[j] - gram[j] @ dictionary
        aim = aim.clamp(min=0) if nonnegative else aim
        norm = aim.norm()
        dictionary[j] = torch.where(norm > 0, aim / norm, dictionary[j])


def regress(dictionary: Tensor, gram: Tensor, cross: Tensor, nonnegative: bool) -> Tensor:
    """All atoms at once by least squares, held a little where they were, brought back to unit norm.

    ``(gram + e I)^-1 (cross + e D)``: faster than `sweep` from afar, without its promise that the objective falls.
    """
    used = gram.diagonal()[gram.diagonal() > 0]
    if not len(used):
        return dictionary
    pull = PULL * float(used.median())
    held = gram.clone()
    held.diagonal().add_(pull)
    factor, failed = torch.linalg.cholesky_ex(held)
    if int(failed):
        return dictionary
    new = torch.cholesky_solve(cross + pull * dictionary, factor)
    new = new.clamp(min=0) if nonnegative else new
    norm = new.norm(dim=1, keepdim=True)
    # The solver returns columns first; one layout, whichever way a dictionary came, gives one result to the last bit.
    return torch.where(norm > 0, new / norm.clamp(min=torch.finfo(new.dtype).tiny), dictionary).contiguous()


class Sums(NamedTuple):
    """What codes are counted into: see `Statistics`."""

    gram: np.ndarray
    cross: np.ndarray
    use: np.ndarray
    events: np.ndarray


@njit(fastmath=True, forceinline=True)  # as `inference.kernels.compiling.inlined`: one code, one order of the sums
def _count(sums: Sums, atom: np.ndarray, z: np.ndarray, x: np.ndarray) -> None:  # pragma: no cover (compiled)
    for p in range(len(atom)):
        sums.use[atom[p]] += z[p]
        sums.events[atom[p]] += 1
        for q in range(len(atom)):
            sums.gram[atom[p], atom[q]] += z[p] * z[q]
        for u in range(len(x)):
            sums.cross[atom[p], u] += z[p] * x[u]


@njit(cache=True, fastmath=True)
def _count_compressed(
    sums: Sums, data: np.ndarray, indices: np.ndarray, pointer: np.ndarray, x: np.ndarray
) -> None:  # pragma: no cover (compiled)
    for i in range(len(x)):
        _count(sums, indices[pointer[i] : pointer[i + 1]], data[pointer[i] : pointer[i + 1]], x[i])


@njit(cache=True, fastmath=True)
def _count_all(sums: Sums, codes: np.ndarray, x: np.ndarray) -> None:  # pragma: no cover (compiled)
    atom, z = np.empty(codes.shape[1], np.int64), np.empty(codes.shape[1], codes.dtype)
    for i in range(len(codes)):
        n_active = 0
        for j in range(codes.shape[1]):
            if codes[i, j] != 0.0:
                atom[n_active], z[n_active] = j, codes[i, j]
                n_active += 1
        _count(sums, atom[:n_active], z[:n_active], x[i])


@njit(cache=True, fastmath=True)
def _sweep(
    dictionary: np.ndarray, gram: np.ndarray, cross: np.ndarray, nonnegative: bool
) -> None:  # pragma: no cover (compiled)
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
