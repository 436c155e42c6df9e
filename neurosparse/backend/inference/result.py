"""The codes of all blocks as one result, of the kind that was asked for."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import scipy.sparse
import torch

from neurosparse.backend.inference.candidates import Found
from neurosparse.backend.inference.coordinate import spread
from neurosparse.backend.inference.problem import Problem, Tensor, blank


class Encoding(NamedTuple):
    """Sparse codes and what certifies them, one entry a sample.

    Attributes
    ----------
    codes : (sample, atom)
        A ``scipy.sparse.csr_array`` where sparse codes were asked for.
    objective : (sample,)
        ``1/2 ||x - z D||^2 + sum_j penalty_j |z_j|`` over the observed units; of a pursuit without penalty, the first
        term.
    gap : (sample,)
        Duality gap over half the sample's squared norm: how far the objective can be from its minimum, relative to the
        objective of empty codes. NaN after a pursuit, which has no such bound.
    iterations : (sample,)
        Coordinate steps, FISTA steps, or atoms tried by a pursuit.
    converged : (sample,) bool
        Whether the gap is within the tolerance; of a pursuit, whether it ended with as many codes as asked for or
        with a residual that no atom would lower.
    kkt : (sample,)
        Largest violation of the optimality conditions as a share of the penalty. Of a pursuit: the largest slope that
        a refitted code has left, over the sample's norm.
    solver : str
        What was chosen: solver and form.
    penalty : float or (atom,)
        What was used; NaN for a pursuit.

    Codes refitted on request (`debias`, `prune`) are no minimum of the objective: the certificate is that of the
    codes before.
    """

    codes: Any
    objective: Any
    gap: Any
    iterations: Any
    converged: Any
    kkt: Any
    solver: str
    penalty: Any

    def to_numpy(self) -> Encoding:
        """The same with arrays on the host."""
        arrays = {
            name: value.cpu().numpy() for name, value in self._asdict().items() if isinstance(value, torch.Tensor)
        }
        return self._replace(**arrays)  # type: ignore[arg-type]

    def certificate(self) -> dict[str, float | str]:
        """The worst and the mean of it all, in numbers."""
        return {
            "solver": self.solver,
            "gap_max": float(self.gap.max()),
            "gap_mean": float(self.gap.mean()),
            "kkt_max": float(self.kkt.max()),
            "iterations_mean": float(self.iterations.sum()) / max(1, len(self.iterations)),
            "iterations_max": int(self.iterations.max()),
            "share_converged": float(self.converged.sum()) / max(1, len(self.converged)),
        }


def joined(
    problem: Problem, parts: list[Found], room: Tensor | None, sparse: bool, tol: float, pursuit: bool
) -> Encoding:
    """All blocks as one, with codes of the atoms as they came; those in `room` if they are there already."""
    shape = (len(problem.x), len(problem.atoms))
    value, gap, iterations, kkt = (
        _as_one([getattr(part, name) for part in parts], problem.x)
        for name in ("objective", "gap", "iterations", "kkt")
    )
    converged = kkt <= 1e-4 if pursuit else gap <= tol
    if sparse:
        z: Any = _compressed(problem, parts, shape)
    else:
        if room is None:
            room = blank(shape, problem.x)
            for part, rows in zip(parts, room.split([len(part.codes) for part in parts]), strict=True):
                spread(part, problem.norms, rows)
        z = room
    return Encoding(z, value, gap, iterations, converged, kkt, "", None)


def _as_one(pieces: list[Tensor], like: Tensor) -> Tensor:
    if len(pieces) == 1:
        return pieces[0]
    return torch.cat(pieces) if pieces else like.new_empty(0)


def _compressed(problem: Problem, parts: list[Found], shape: tuple[int, int]) -> scipy.sparse.csr_array:
    data, columns, counts = [], [], []
    for part in parts:
        assert part.atom is not None
        used = part.codes != 0
        data.append((part.codes / problem.norms[part.atom])[used].cpu().numpy())
        columns.append(part.atom[used].int().cpu().numpy())
        counts.append(used.sum(1).cpu().numpy())
    pointer = np.concatenate([[0], *counts]).cumsum()
    if not data:
        return scipy.sparse.csr_array(shape)
    z = scipy.sparse.csr_array((np.concatenate(data), np.concatenate(columns), pointer), shape=shape)
    z.sort_indices()
    return z


def of_kind(found: Encoding, x: Any, dtype: torch.dtype) -> Encoding:
    """In the precision of the samples, and numpy where they were numpy."""
    if isinstance(x, torch.Tensor) and found.objective.dtype == dtype and not scipy.sparse.issparse(found.codes):
        return found

    def back(values: Any) -> Any:
        if isinstance(values, scipy.sparse.sparray):
            return values.astype(np.float32) if dtype == torch.float32 else values
        if not isinstance(values, torch.Tensor):
            return values
        values = values.to(dtype) if values.is_floating_point() else values
        return values if isinstance(x, torch.Tensor) else values.numpy()

    return Encoding(*map(back, found))
