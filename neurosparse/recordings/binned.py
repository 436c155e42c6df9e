"""Spikes that a file keeps as counts, around events or over the session (ndx-binned-spikes), as populations.

`Binned` and `Request` enter, populations leave. The bins are the file's own: there are no spike times to count anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr

from neurosparse.errors import FileError, InputError
from neurosparse.recordings.assembly import Load, Measure, assemble
from neurosparse.recordings.intervals import REDUCTIONS, Request, Windows
from neurosparse.recordings.load_report import LoadReport
from neurosparse.recordings.presets import chosen_rows
from neurosparse.recordings.tables import Column, Table, plain
from neurosparse.recordings.trains import choose_units

KINDS = ("BinnedAlignedSpikes", "BinnedSpikes")
# What the releases of the extension call each fact; milliseconds.
_WIDTH = ("bin_width_in_ms", "bin_width_in_milliseconds")
_START = ("event_to_bin_offset_in_ms", "milliseconds_from_event_to_first_bin", "start_time_in_ms")
_EVENTS = ("event_timestamps", "timestamps")


@dataclass(frozen=True)
class Binned:
    """Counts as a file keeps them.

    Attributes
    ----------
    path, name : str
    data : array-like
        (unit, event, bin), or (unit, bin) over the session.
    width : float
        Seconds; NaN where not stated.
    start : float
        Seconds from each event, or from the file's zero, to the first bin.
    events : array-like or None
        Seconds, shape (event,); None over the session.
    conditions, labels : array-like or None
        Number of each event's condition, and the names that these number.
    region : Column or None
        The rows of the units table that the counts are of.
    """

    path: str
    name: str
    data: Any
    width: float
    start: float
    events: Any
    conditions: Any
    labels: Any
    region: Column | None

    @property
    def shape(self) -> tuple[int, ...]:
        """As stored."""
        return tuple(np.shape(self.data))

    def extent(self) -> tuple[float, float] | None:
        """Start of the first bin and stop of the last in seconds; None where that is not stated."""
        length = self.shape[-1] * self.width if self.shape else np.nan
        first = last = 0.0
        if self.events is not None:
            events = np.asarray(self.events[:], dtype=np.float64)
            events = events[np.isfinite(events)]
            first, last = (float(events.min()), float(events.max())) if len(events) else (np.nan, np.nan)
        ends = first + self.start, last + self.start + length
        return ends if np.isfinite(ends).all() else None


def read_binned(path: str, name: str, stated: Callable[[str], Any], region: Column | None) -> Binned:
    """Counts of which `stated` gives the facts by the names of the extension, None for those that are not there."""

    def first(names: tuple[str, ...]) -> Any:
        return next((value for value in map(stated, names) if value is not None), None)

    width, start = first(_WIDTH), first(_START)
    return Binned(
        path=path,
        name=name,
        data=stated("data"),
        width=np.nan if width is None else float(width) / 1000,
        start=0.0 if start is None else float(start) / 1000,
        events=first(_EVENTS),
        conditions=stated("condition_indices"),
        labels=stated("condition_labels"),
        region=region,
    )


def load_binned(
    binned: Binned, load: Load, *, bin_width: float | None, quantity: str, fixed: Mapping[str, Any]
) -> xr.DataArray:
    """What `Recording.spikes` gives of counts: (trial, time, unit) around events, (trial, unit) of them reduced, or
    (time, unit) over the session.

    Parameters
    ----------
    binned : Binned
    load : Load
        Of its request `reduce`, `units` and `stimulus`; the events of the counts are the trials, their conditions the
        stimuli.
    bin_width : float or None
        Seconds; no other than the file's.
    quantity : {"count", "rate"}
    fixed : mapping of name to value
        Further arguments of `Recording.spikes`, which must be None.

    Raises
    ------
    InputError
        If something is asked for that counts cannot give any more.
    FileError
        If shapes do not fit, or no width of bins is stated.
    """
    request, report = load.request, load.report
    _check_file(binned)
    _check_asked(binned, request, bin_width, quantity, fixed)
    coords = _unit_coords(binned, report)
    rows = chosen_rows(coords, request.units, binned.path, report)
    report.choose(bin_width=binned.width, reduce=request.reduce, counted_by="the file")
    values = _small(np.moveaxis(np.asarray(binned.data[:])[rows], 0, -1))  # (trial, time, unit) or (time, unit)
    values, measure = _measured(values, binned.width, quantity, request.reduce)
    n_bins = binned.shape[-1]
    windows, time = None, binned.start + (np.arange(n_bins) + 0.5) * binned.width
    if binned.events is not None:
        table = _table_of_events(binned)
        begins = table.columns["timestamp"].values() + binned.start
        windows = Windows(table, np.arange(table.n_rows), begins, begins + n_bins * binned.width, binned.start)
        if request.stimulus is None and "condition" in table.columns:
            load = replace(load, request=replace(request, stimulus="condition"))
    chosen = {name: entries[rows] for name, entries in coords.items()}
    width = binned.width if request.reduce in (None, "mean") else None
    shown = time if request.reduce is None else None
    return assemble(load, values, chosen, measure, windows=windows, time=shown, bin_width=width)


def _check_file(binned: Binned) -> None:
    shape, n_events = binned.shape, None if binned.events is None else len(binned.events)
    if len(shape) != (2 if n_events is None else 3) or 0 in shape or n_events not in (None, *shape[1:2]):
        expected = "(unit, bin)" if n_events is None else f"(unit, event, bin) with {n_events} events"
        raise FileError(f"counts of {binned.path!r} must be {expected}; got shape {shape}. The file breaks its schema.")
    if not (np.isfinite(binned.width) and binned.width > 0):
        raise FileError(
            f"{binned.path!r} must state the width of its bins, {' or '.join(_WIDTH)}; got "
            f"{binned.width * 1000:g}. Read its counts through recording.nwbfile."
        )


def _check_asked(
    binned: Binned, request: Request, bin_width: float | None, quantity: str, fixed: Mapping[str, Any]
) -> None:
    held = f"{binned.path!r} holds spikes that are counted already, in bins of {binned.width:g} s"
    given = {"align": request.align, "window": request.window, **fixed}
    asked = [name for name, value in given.items() if value is not None]
    if asked:
        raise InputError(f"{held}: {', '.join(asked)} would need spike times. Leave out, and choose from what comes.")
    if bin_width is not None and not np.isclose(bin_width, binned.width, rtol=1e-6):
        raise InputError(f"{held}; got bin_width={bin_width:g}. Leave it out.")
    if quantity not in ("count", "rate"):
        raise InputError(f"quantity must be 'count' or 'rate'; got {quantity!r}.")
    if request.reduce not in (None, *REDUCTIONS):
        raise InputError(f"reduce must be one of {', '.join(REDUCTIONS)}; got {request.reduce!r}.")
    if binned.events is None and (request.reduce is not None or request.stimulus is not None):
        raise InputError(f"{held}, over the session: there are no trials for reduce= or stimulus=. Leave them out.")


def _unit_coords(binned: Binned, report: LoadReport) -> dict[str, np.ndarray]:
    """Coords of the rows of the units table that the counts are of; numbers where the file names no such rows."""
    region, n_units = binned.region, binned.shape[0]
    rows = None if region is None or region.target is None else np.atleast_1d(region.values()).astype(np.int64)
    if rows is not None and len(rows) == n_units and region is not None and region.target is not None:
        _, coords = choose_units(region.target, None, report)
        if ((rows >= 0) & (rows < region.target.n_rows)).all():
            return {name: entries[rows] for name, entries in coords.items()}
    report.assume(f"the units of {binned.path!r} are numbered: the file does not name a row of a units table for each.")
    return {"unit": np.arange(n_units), "unit_id": np.arange(n_units), "area": np.full(n_units, "")}


def _table_of_events(binned: Binned) -> Table:
    times = np.asarray(binned.events[:], dtype=np.float64)
    columns = {"timestamp": Column("timestamp", times)}
    if binned.conditions is not None:
        numbers = np.asarray(binned.conditions[:]).astype(np.int64)
        names = np.array([]) if binned.labels is None else plain(binned.labels[:])
        inside = bool(len(names)) and bool(((numbers >= 0) & (numbers < len(names))).all())
        columns["condition"] = Column("condition", names[numbers] if inside else numbers)
    return Table(binned.path, binned.name, np.arange(len(times)), columns)


def _small(values: np.ndarray) -> np.ndarray:
    """Whole counts as uint16, or uint32 above 65,535; others as float32."""
    if values.dtype.kind not in "iub" or values.min() < 0:
        return values.astype(np.float32)
    return values.astype(np.uint16 if values.max() <= np.iinfo(np.uint16).max else np.uint32)


def _measured(values: np.ndarray, width: float, quantity: str, reduce: str | None) -> tuple[np.ndarray, Measure]:
    if reduce == "sum":
        return _small(values.sum(-2)), Measure("spikes", "spike count", "1")
    if reduce == "mean" and quantity == "count":
        return values.mean(-2), Measure("spikes", "mean spike count a bin", "1")
    if reduce is not None:
        return values.mean(-2) / width, Measure("spikes", "firing rate", "Hz")
    if quantity == "rate":
        return (values / width).astype(np.float32), Measure("spikes", "firing rate", "Hz")
    return values, Measure("spikes", "spike count", "1")
