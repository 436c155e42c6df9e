"""What a file holds, told: as a table, and as text that a person reads.

`Part`s enter, a DataFrame or lines leave. Reads the ends of clocks and short columns, no values.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any

import numpy as np
import pandas as pd

from neurosparse.errors import InputError
from neurosparse.recordings.calcium import doubtful_rate, kind_of
from neurosparse.recordings.contents import WAYS, Contents, Part, interval_extent
from neurosparse.recordings.load_report import some
from neurosparse.recordings.series import Series
from neurosparse.recordings.spans import MONTH
from neurosparse.recordings.units import count_areas

COLUMNS = ("path", "kind", "shape", "rate", "count", "start", "stop", "units", "notes")
_HEADS = {
    "units": "units",
    "crossings": "threshold crossings",
    "binned": "binned spikes",
    "rois": "ROI series",
    "series": "2-D series",
    "signals": "1-D series",
    "intervals": "intervals",
    "events": "events",
    "presentations": "presentations of images",
    "images": "images",
    "movies": "raw movies",
}
_LONGEST = 12  # parts of one group that are shown


def as_frame(parts: Sequence[Part]) -> pd.DataFrame:
    """One row a part: path, kind, shape, rate (Hz), count, start and stop (seconds), units of measure, notes."""
    return pd.DataFrame([_row(part) for part in parts], columns=list(COLUMNS))


def _row(part: Part) -> dict[str, Any]:
    row: dict[str, Any] = {"path": part.path, "kind": part.group, "units": "", "notes": "; ".join(troubles(part))}
    row |= dict.fromkeys(("rate", "start", "stop"), np.nan)
    extent = None
    if part.group in ("units", "intervals", "events"):
        row |= {"shape": (part.table.n_rows, len(part.table.columns)), "count": part.table.n_rows, "units": "s"}
        extent = interval_extent(part.table)
    elif part.group == "binned":
        row |= {"shape": part.binned.shape, "count": part.binned.shape[0], "units": "s", "rate": 1 / part.binned.width}
        extent = part.binned.extent()
    elif not part.clocked:
        row |= {"shape": part.stack.shape, "count": part.stack.shape[0]}
    else:
        series = part.series
        row |= {"shape": series.shape, "count": series.n_times, "units": series.unit}
        row["rate"] = np.nan if series.rate is None else series.rate
        row["kind"] = f"rois ({kind_of(series)})" if part.group == "rois" else part.group
        extent = series.extent()
    return row if extent is None else row | {"start": extent[0], "stop": extent[1]}


def troubles(part: Part) -> list[str]:
    """What is wrong with a part, or must be known of it."""
    found = list(part.notes)
    if part.group == "units":
        if "spike_times" not in part.table.columns:
            found.append("has no spike_times")
        return found
    if part.group == "crossings":
        found.append("threshold crossings, not sorted: spikes(table=...) counts them as one unit")
    if not part.clocked:
        return found
    series = part.series
    extent = series.extent()
    if 0 in (series.shape or (0,)) and not (part.group in ("images", "movies") and part.stack.external):
        found.append("holds no values")
    if part.group == "rois" and series.looks_transposed:
        found.append("is stored (ROI, time); loaded the other way round")
    if part.group == "rois" and doubtful_rate(series):
        found.append("a rate of exactly 1 Hz: its time is likely the frame index")
    if extent is not None and not -MONTH < extent[1] - extent[0] < MONTH:
        found.append("spans more than 30 days: some of its time stamps are wrong")
    return found


def describe(contents: Contents) -> str:
    """The parts as lines, group by group, each group under the method that loads it; long groups are cut short."""
    blocks = []
    for group, head in _HEADS.items():
        members = contents.group(group)
        if not members:
            continue
        entries = list(_signals(members)) if group == "signals" else [_entry(part, contents) for part in members]
        if len(entries) > _LONGEST:
            entries = [*entries[:_LONGEST], f"  ... and {len(entries) - _LONGEST} more: recording.contents lists all"]
        way = WAYS.get(group, "")
        way = f"  ->  {way}{'' if way.endswith(')') else '(...)'}" if way else ""
        blocks.append("\n".join([head + way, *entries]))
    return "\n".join(blocks) if blocks else "nothing that can be loaded: no units, series, intervals or images"


def _entry(part: Part, contents: Contents) -> str:
    facts = [*_FACTS[part.group](part), *(f"! {trouble}" for trouble in troubles(part))]
    if part.group == "series":
        facts.append(_trials(part, contents))
    return _lines(part.path, facts)


def _lines(head: str, facts: Sequence[str]) -> str:
    indent = " " * 6
    wrapped = [
        textwrap.fill(fact, 116, initial_indent=indent, subsequent_indent=indent + "  ", break_long_words=False)
        for fact in facts
        if fact
    ]
    return "\n".join([f"  {head}", *wrapped])


def _trials(part: Part, contents: Contents) -> str:
    try:
        table = contents.sampled_rows(part, None)
    except InputError as several:
        return f"! {several}"
    return "" if table is None else f"one sample a row of {table.path}: a vector a trial"


def _signals(parts: Sequence[Part]) -> list[str]:
    """Signals of one folder that differ in nothing but their name share an entry: ``Position/x, y, z``."""
    entries = []
    for (folder, facts), members in groupby(parts, key=_signal_key):
        names = ", ".join(part.path.rpartition("/")[2] for part in members)
        entries.append(_lines(f"{folder}/{names}" if folder else names, facts))
    return entries


def _signal_key(part: Part) -> tuple[str, tuple[str, ...]]:
    facts = [*_series_facts(part), *(f"! {trouble}" for trouble in troubles(part))]
    return part.path.rpartition("/")[0], tuple(facts)


def _columns(part: Part, *hidden: str) -> str:
    names = [name for name in part.table.columns if name not in hidden]
    return f"columns {some(names, 30)}" if names else ""


def _units_facts(part: Part) -> list[str]:
    spikes = part.table.columns.get("spike_times")
    count = "" if spikes is None else ", " + _count(spikes.shape[0], "spike")
    areas = f"areas: {count_areas(part.table)}"
    return [f"{_count(part.table.n_rows, 'unit')}{count}; {areas}", _columns(part, "spike_times", "obs_intervals")]


def _binned_facts(part: Part) -> list[str]:
    binned = part.binned
    around = "" if binned.events is None else f" around {_count(len(binned.events), 'event')}"
    size = f"{_count(binned.shape[0], 'unit')}, {_count(binned.shape[-1], 'bin')} of {binned.width:g} s{around}"
    extent = binned.extent()
    return ["; ".join([size, *([_span(extent)] if extent else [])])]


def _intervals_facts(part: Part) -> list[str]:
    extent = interval_extent(part.table)
    rows = _count(part.table.n_rows, "row")
    return [rows + (f", {_span(extent)}" if extent else ""), _columns(part)]


def _series_facts(part: Part) -> list[str]:
    series = part.series
    if part.group == "rois":
        facts = [kind_of(series), _size(series, "frame", "ROI"), _clock(series), series.unit]
    else:
        facts = [_size(series, "sample", "column"), _clock(series), series.unit]
    return ["; ".join(fact for fact in facts if fact)]


def _count(n: int, noun: str) -> str:
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def _size(series: Series, row: str, column: str) -> str:
    if len(series.shape) != 2:
        return _count(series.shape[0], row) if len(series.shape) == 1 else " x ".join(f"{n:,}" for n in series.shape)
    n_rows, n_columns = series.shape[::-1] if series.looks_transposed else series.shape
    return f"{_count(n_rows, row)} x {_count(n_columns, column)}"


def _clock(series: Series) -> str:
    extent = series.extent()
    if extent is None:
        return ""
    return (f"{series.rate:g} Hz, " if series.rate is not None else "") + _span(extent)


def _span(extent: tuple[float, float]) -> str:
    return f"{extent[0]:.7g} to {extent[1]:.7g} s"


def _images_facts(part: Part) -> list[str]:
    stack = part.stack
    clock = "" if not part.clocked or part.path.startswith("stimulus/templates") else _clock(part.series)
    if stack.external:
        size = f"pixels in {_count(len(stack.external), 'other file')}"
    elif stack.shape:
        size = _count(stack.shape[0], "image")
        if stack.names is None:
            size += f" of {' x '.join(map(str, stack.shape[1:]))}"
    else:
        size = ""
    return ["; ".join(fact for fact in (size, clock) if fact)]


_FACTS: dict[str, Callable[[Part], list[str]]] = {
    "units": _units_facts,
    "crossings": _series_facts,
    "binned": _binned_facts,
    "rois": _series_facts,
    "series": _series_facts,
    "signals": _series_facts,
    "intervals": _intervals_facts,
    "events": _intervals_facts,
    "presentations": _series_facts,
    "images": _images_facts,
    "movies": _images_facts,
}
