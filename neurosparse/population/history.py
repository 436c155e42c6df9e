"""Provenance: one JSON string in the attrs that says where a population came from and what was done to it."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import xarray as xr

from neurosparse.errors import InputError


def plain(value: Any) -> Any:
    """`value` as JSON knows it: numpy scalars and arrays become numbers and lists, NaN and infinity become null."""
    if isinstance(value, dict):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(entry) for entry in value]
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value)


def to_json(facts: dict[str, Any]) -> str:
    """`facts` as one line of strict JSON, in the order given."""
    return json.dumps(plain(facts), allow_nan=False, ensure_ascii=False)


def provenance(x: xr.DataArray | xr.Dataset) -> dict[str, Any]:
    """What is known of the origin of `x`: the facts of its source and, under ``steps``, what was done since.

    Parameters
    ----------
    x : DataArray or Dataset
        A population or a result.

    Returns
    -------
    dict
        Empty where `x` carries no provenance.

    Raises
    ------
    InputError
        If ``attrs["provenance"]`` is not a JSON object.
    """
    text = x.attrs.get("provenance", "")
    if not text:
        return {}
    try:
        facts = json.loads(text)
    except (TypeError, ValueError):
        facts = None
    if not isinstance(facts, dict):
        raise InputError(
            f"attrs['provenance'] must be a JSON object in one string; got {str(text)[:60]!r}. "
            "Delete it with del x.attrs['provenance'], or write it with population.record."
        )
    return facts


def record(x: xr.DataArray, step: str, **facts: Any) -> xr.DataArray:
    """A shallow copy of `x` whose provenance ends with this step.

    Parameters
    ----------
    x : DataArray
    step : str
        What was done, in a word: ``"average"``.
    **facts
        What a reader needs to repeat or judge it: arguments, counts of what was dropped. JSON types or numpy.

    Returns
    -------
    DataArray
        The same values and labels; `x` keeps its own provenance.
    """
    known = provenance(x)
    known["steps"] = [*known.get("steps", []), {"step": step, **facts}]
    result = x.copy(deep=False)
    result.attrs = {**x.attrs, "provenance": to_json(known)}
    return result
