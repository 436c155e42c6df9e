"""Which atoms may exceed their penalty, by products of 8-bit integers: four times as fast as float32's, and bounded.

Where ``r = a q + e`` and ``d = b p + f``, with q and p of integers, ``r . d`` is ``a b q . p`` within
``||e|| ||b p|| + ||r|| ||f||``. The product of integers is exact; only atoms within that bound of their penalty need
another look.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

from neurosparse.backend.inference.kernels.compiling import compiled, inlined, key, value_of

instruction: Any = intrinsic
# Atoms that are compared at a time; there are as many or a multiple of it, those at the end of zeros.
AT_ONCE = 64
# float32 rounds the bound and the steps.
ROUNDING = 1e-5


class Coarse(NamedTuple):
    """Atoms over their penalty in 8 bits, and the bounds of what that loses."""

    atoms: np.ndarray  # (atom, unit) int8, void ones at the end
    step: np.ndarray  # (atom,) float32: what 1 is worth
    longest: float  # greatest norm of an atom in 8 bits
    furthest: float  # greatest distance of an atom from what it was


def make_coarse(atoms: np.ndarray, rate: np.ndarray) -> Coarse:
    """``atoms * rate`` in 8 bits."""
    n_atoms = -(-len(atoms) // AT_ONCE) * AT_ONCE
    made = np.zeros((n_atoms, atoms.shape[1]), np.int8)
    step, norm, lost = np.zeros((3, n_atoms), np.float32)
    _coarsen_all(atoms, rate, made, step, norm, lost)
    return Coarse(made, step, float(norm.max()), float(lost.max()))


@compiled
def _coarsen_all(
    atoms: np.ndarray, rate: np.ndarray, made: np.ndarray, step: np.ndarray, norm: np.ndarray, lost: np.ndarray
) -> None:  # pragma: no cover (compiled)
    scaled = np.empty(atoms.shape[1], atoms.dtype)
    for j in range(len(atoms)):
        for u in range(len(scaled)):
            scaled[u] = atoms[j, u] * rate[j]
        step[j], lost[j] = coarsen(scaled, made[j])
        norm[j] = rate[j] + lost[j]  # atoms are of unit norm


@inlined
def coarsen(values: np.ndarray, made: np.ndarray) -> tuple[float, float]:  # pragma: no cover (compiled)
    """`values` in 8 bits into `made`; returns what 1 is worth, and the norm of what is lost."""
    none = values.dtype.type(0)
    most = key(none, 0, 0)
    for u in range(len(values)):
        now = key(abs(values[u]), 0, 0)
        most = now if now > most else most
    top = value_of(most)
    if top < 1e-30:  # too small to divide by: all is lost
        for u in range(len(values)):
            made[u] = 0
        return none, top * np.sqrt(values.dtype.type(len(values)))
    step, by, lost = top / values.dtype.type(127), values.dtype.type(127) / top, none
    for u in range(len(values)):
        whole = nearest(np.float32(values[u] * by))
        made[u] = whole
        missing = values[u] - step * np.float32(whole)
        lost += missing * missing
    return step, np.sqrt(lost)


@inlined
def gather_above(
    products: np.ndarray, step: np.ndarray, level: float, signed: bool, place: np.ndarray, found: np.ndarray
) -> int:  # pragma: no cover (compiled)
    """Atoms that are no candidate yet and whose product exceeds `level`, in order, into `found`; how many."""
    count = 0
    for start in range(0, len(step), AT_ONCE):
        bits = _above(products, step, start, np.float32(level), signed)
        while bits != np.uint64(0):
            j = start + np.int64(_lowest(bits))
            bits &= bits - np.uint64(1)
            if place[j] < 0:
                found[count] = j
                count += 1
    return count


@instruction
def nearest(typingctx: Any, value: Any) -> Any:
    """The nearest integer to a float32, in 8 bits."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        rounded = builder.module.declare_intrinsic("llvm.rint", (ir.FloatType(),))
        whole = builder.fptosi(builder.call(rounded, arguments), ir.IntType(32))
        return builder.trunc(whole, ir.IntType(8))

    return types.int8(types.float32), build


@instruction
def _above(typingctx: Any, products: Any, step: Any, start: Any, level: Any, signed: Any) -> Any:
    """Which of 64 products from `start` on, times their steps, exceed the level: as bits; numba compares one at a time.

    Without their signs where `signed`.
    """

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        floats, whole = (ir.VectorType(kind, AT_ONCE) for kind in (ir.FloatType(), ir.IntType(32)))

        def load(which: int, kind: Any) -> Any:
            array = make_array(signature.args[which])(context, builder, arguments[which])
            place = builder.gep(array.data, [arguments[2]])
            return builder.load(builder.bitcast(place, kind.as_pointer()), align=4)

        value = builder.fmul(builder.sitofp(load(0, whole), floats), load(1, floats))
        below = builder.fcmp_ordered("<", value, ir.Constant(floats, [0.0] * AT_ONCE))
        bare = builder.select(below, builder.fneg(value), value)
        value = builder.select(arguments[4], bare, value)
        blank, first = ir.Constant(floats, ir.Undefined), ir.Constant(ir.IntType(32), 0)
        limit = builder.insert_element(blank, arguments[3], first)
        limit = builder.shuffle_vector(limit, blank, ir.Constant(whole, [0] * AT_ONCE))
        return builder.bitcast(builder.fcmp_ordered(">", value, limit), ir.IntType(AT_ONCE))

    return types.uint64(products, step, types.int64, types.float32, types.boolean), build


@instruction
def _lowest(typingctx: Any, bits: Any) -> Any:
    """Place of the lowest bit that is set."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return types.uint64(types.uint64), build
