"""Queries on coords: a small language of comparisons, read by ``ast`` and never evaluated as code."""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from neurosparse.errors import InputError

_COMPARE = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_ARITHMETIC = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Mod: operator.mod,
}


def parse(query: str) -> tuple[list[ast.expr], dict[str, str]]:
    """The parts of `query` that are joined by ``and``, and the names that stood in backticks.

    Raises
    ------
    InputError
        If `query` is not a str or not an expression.
    """
    if not isinstance(query, str) or not query.strip():
        raise InputError(f"a query is a text such as \"area == 'V4'\"; got {query!r}.")
    quoted: dict[str, str] = {}

    def rename(match: re.Match[str]) -> str:
        quoted[f"_quoted_{len(quoted)}"] = match.group(1)
        return f"_quoted_{len(quoted) - 1}"

    try:
        tree = ast.parse(re.sub(r"`([^`]+)`", rename, query).strip(), mode="eval").body
    except (SyntaxError, ValueError) as error:
        raise InputError(
            f"cannot read the query {query!r} ({error.args[0]}). Write it like \"area == 'V4' and snr > 2\", "
            "names with spaces in backticks."
        ) from None
    return _conjuncts(tree), quoted


def _conjuncts(node: ast.expr) -> list[ast.expr]:
    if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.And):
        return [part for value in node.values for part in _conjuncts(value)]
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitAnd):
        return [*_conjuncts(node.left), *_conjuncts(node.right)]
    return [node]


def names(node: ast.expr) -> list[str]:
    """The names that occur in one part, in order and without repeats."""
    return list(dict.fromkeys(leaf.id for leaf in ast.walk(node) if isinstance(leaf, ast.Name)))


def evaluate(node: ast.expr, table: Mapping[str, np.ndarray]) -> np.ndarray:
    """Boolean mask of the rows of `table` for which one part holds.

    Parameters
    ----------
    node : ast.expr
        A part from `parse`.
    table : dict of name -> (n,) array

    Returns
    -------
    (n,) bool array
        A comparison with a missing entry is false, save ``!=`` and ``not in``; ``area == None`` finds missing ones.

    Raises
    ------
    InputError
        If the part compares text with numbers, does not give true or false, or uses more than comparisons,
        ``in``, ``and``, ``or``, ``not`` and arithmetic.
    """
    return _truth(_value(node, table), node)


def _truth(value: Any, node: ast.expr) -> np.ndarray:
    array = np.asarray(value)
    if array.dtype != bool:
        raise InputError(
            f"{ast.unparse(node)!r} is not true or false for each row. Compare it with something; around & and | every "
            "comparison needs its own brackets."
        )
    return array


def _value(node: ast.expr, table: Mapping[str, np.ndarray]) -> Any:
    match node:
        case ast.Name():
            return table[node.id]
        case ast.Constant(value=None | bool() | int() | float() | str() as constant):
            return constant
        case ast.List() | ast.Tuple() | ast.Set():
            return [_value(entry, table) for entry in node.elts]
        case ast.UnaryOp(op=ast.Not() | ast.Invert()):
            return ~_truth(_value(node.operand, table), node.operand)
        case ast.UnaryOp(op=ast.USub()):
            return -_number(_value(node.operand, table), node.operand)
        case ast.BoolOp() | ast.BinOp(op=ast.BitAnd() | ast.BitOr()):
            return _combine(node, table)
        case ast.BinOp() if type(node.op) in _ARITHMETIC:
            left, right = (_number(_value(side, table), side) for side in (node.left, node.right))
            return _ARITHMETIC[type(node.op)](left, right)
        case ast.Compare():
            return _chain(node, table)
    raise InputError(
        f"a query cannot hold {ast.unparse(node)!r}. Use comparisons, in, and, or, not and + - * / % of coords, "
        "numbers and text."
    )


def _combine(node: ast.BoolOp | ast.BinOp, table: Mapping[str, np.ndarray]) -> np.ndarray:
    sides = node.values if isinstance(node, ast.BoolOp) else [node.left, node.right]
    masks = [_truth(_value(side, table), side) for side in sides]
    join = np.logical_and if isinstance(node.op, ast.And | ast.BitAnd) else np.logical_or
    return join.reduce(np.broadcast_arrays(*masks))


def _number(value: Any, node: ast.expr) -> Any:
    if _sort(value) != "numbers":
        raise InputError(f"{ast.unparse(node)!r} is not a number, so no arithmetic can be done with it.")
    return value


def _chain(node: ast.Compare, table: Mapping[str, np.ndarray]) -> np.ndarray:
    values = [_value(side, table) for side in (node.left, *node.comparators)]
    links = [_compare(op, a, b, node) for op, a, b in zip(node.ops, values[:-1], values[1:], strict=True)]
    return np.logical_and.reduce(np.broadcast_arrays(*links))


def _compare(op: ast.cmpop, left: Any, right: Any, node: ast.expr) -> np.ndarray:
    if isinstance(op, ast.In | ast.NotIn):
        if not isinstance(right, list):
            raise InputError(f"{ast.unparse(node)!r}: 'in' needs a list, as in area in ['V1', 'V4'].")
        for entry in right:
            _same_sort(left, entry, node)
        found = pd.Series(np.atleast_1d(left)).isin(right).to_numpy()
        return ~found if isinstance(op, ast.NotIn) else found
    if type(op) not in _COMPARE:
        raise InputError(f"a query cannot hold {ast.unparse(node)!r}. Compare with == != < <= > >= or in.")
    if isinstance(left, list) or isinstance(right, list):
        raise InputError(f"{ast.unparse(node)!r}: a list goes with in and not in only.")
    if left is None or right is None:
        if not isinstance(op, ast.Eq | ast.NotEq):
            raise InputError(f"{ast.unparse(node)!r}: None, for missing, goes with == and != only.")
        missing = np.asarray(pd.isnull(right if left is None else left))
        return ~missing if isinstance(op, ast.NotEq) else missing
    _same_sort(left, right, node)
    left, right = np.broadcast_arrays(left, right)
    present = ~(pd.isnull(left) | pd.isnull(right))
    result = np.full(left.shape, isinstance(op, ast.NotEq))
    result[present] = _COMPARE[type(op)](left[present], right[present])
    return result


def _sort(value: Any) -> str | None:
    """Whether `value` holds text or numbers; None where it holds nothing but missing entries."""
    array = np.asarray(value)
    if array.dtype.kind in "biuf":
        return "numbers"
    if array.dtype.kind == "U":
        return "text"
    return "text" if any(isinstance(entry, str) for entry in array.ravel().tolist()) else None


def _same_sort(left: Any, right: Any, node: ast.expr) -> None:
    sorts = {_sort(left), _sort(right)} - {None}
    if len(sorts) > 1:
        raise InputError(f"{ast.unparse(node)!r} compares text with numbers. Text stands in quotes, numbers do not.")
