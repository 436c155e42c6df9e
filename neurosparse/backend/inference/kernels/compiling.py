"""How this folder's functions are compiled, and the two instructions that numba has no name for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

instruction: Any = intrinsic
OPTIONS: dict[str, Any] = {"fastmath": True, "error_model": "numpy", "nogil": True}


def inlined(function: Callable) -> Any:
    """``njit`` for what compiled functions call: no machine code of its own, a part of each caller's.

    A function that were compiled by itself as well would be there twice, in code that sums in another order: a process
    that compiles calls the one, a process that finds the caller on disk the other, and the last bits differ. Handing
    over arrays would also take as long as an inner loop.
    """
    return njit(forceinline=True, **OPTIONS)(function)


def compiled(function: Callable) -> Any:
    """``njit`` for what Python calls, with the machine code kept on disk until any file of this folder changes.

    Numba looks at the function's own file alone, and would go on with old code of what it calls from the others.
    """
    made = njit(cache=True, **OPTIONS)(function)
    kept: Any = getattr(getattr(made, "_cache", None), "_cache_file", None)  # without it numba's own care has to do
    if hasattr(kept, "_source_stamp"):
        kept._source_stamp = (kept._source_stamp, _stamps())
    return made


def _stamps() -> tuple[tuple[str, int, int], ...]:
    facts = ((path.name, path.stat()) for path in sorted(Path(__file__).parent.glob("*.py")))
    return tuple((name, stat.st_mtime_ns, stat.st_size) for name, stat in facts)


@instruction
def key(typingctx: Any, value: Any, low: Any, index: Any) -> Any:
    """The bits of a float of at least 0 as an integer of its width, `index` in place of its `low` bits.

    Such integers order as the floats do, and their maxima vectorise: a greatest value and its place are found at once.
    """
    whole: Any = {types.float32: types.int32, types.float64: types.int64}[value]

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        bits = ir.IntType(whole.bitwidth)
        number, mask, place = arguments
        narrow = [each if each.type == bits else builder.trunc(each, bits) for each in (mask, place)]
        return builder.or_(builder.and_(builder.bitcast(number, bits), builder.not_(narrow[0])), narrow[1])

    return whole(value, types.int64, types.int64), build


@instruction
def value_of(typingctx: Any, bits: Any) -> Any:
    """The float that `key` was made of, where `low` was 0."""
    number: Any = {types.int32: types.float32, types.int64: types.float64}[bits]

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], context.get_value_type(number))

    return number(bits), build
