"""What a file holds, and choosing the part that is meant.

The `Part`s that a reader found enter; the one asked for leaves, as table, series or image stack. Reads no values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from neurosparse.errors import InputError, MissingError
from neurosparse.recordings import calcium
from neurosparse.recordings.binned import Binned
from neurosparse.recordings.load_report import some
from neurosparse.recordings.series import Series, trial_table
from neurosparse.recordings.stimuli import Stack
from neurosparse.recordings.tables import Table

# The method that loads each group of parts.
WAYS = {
    "units": "recording.spikes",
    "crossings": "recording.spikes(table=)",
    "binned": "recording.spikes(table=)",
    "rois": "recording.calcium",
    "series": "recording.series",
    "signals": "recording.series",
    "intervals": "recording.intervals",
    "events": "recording.intervals",
    "presentations": "recording.intervals",
    "images": "recording.stimuli",
}
# Groups whose rows can be trials.
ROWS = ("intervals", "events", "presentations")


class Reader(Protocol):
    """How the parts of a file are read: through pynwb (`built`) or through h5py alone (`raw`)."""

    def table(self, stored: Any, path: str) -> Table:
        """A part as a table."""

    def series(self, stored: Any, path: str) -> Series:
        """A part as a series."""

    def binned(self, stored: Any, path: str) -> Binned:
        """A part as counts of spikes."""

    def stack(self, stored: Any, path: str) -> Stack:
        """A part as a stack of images."""


@dataclass(frozen=True)
class Part:
    """One thing in a file.

    Attributes
    ----------
    path : str
        Its place, such as ``processing/ophys/DfOverF/activity``.
    group : str
        A key of `WAYS`, or "movies" of raw imaging. Two-dimensional series are "series", others "signals";
        "crossings" are the threshold crossings of a SpikeEventSeries, "binned" spikes kept as counts, "events" tables
        of one time a row, "presentations" an IndexSeries.
    type : str
        Its neurodata type.
    stored : object
        What `reader` makes the part of.
    reader : Reader
    notes : list of str
        What pynwb found wrong with it.
    """

    path: str
    group: str
    type: str
    stored: Any
    reader: Reader
    notes: list[str] = field(default_factory=list)

    @cached_property
    def table(self) -> Table:
        """The part as a table."""
        return self.reader.table(self.stored, self.path)

    @cached_property
    def series(self) -> Series:
        """The part as a series."""
        return self.reader.series(self.stored, self.path)

    @cached_property
    def binned(self) -> Binned:
        """The part as counts of spikes."""
        return self.reader.binned(self.stored, self.path)

    @cached_property
    def stack(self) -> Stack:
        """The part as a stack of images."""
        return self.reader.stack(self.stored, self.path)

    @property
    def clocked(self) -> bool:
        """Whether the part is a series; the others are tables and sets of single images."""
        return self.group not in ("units", "binned", "intervals", "events") and not (
            self.group == "images" and self.stack.names is not None
        )


@dataclass(frozen=True)
class Contents:
    """The parts of one file, in the order of their paths.

    Attributes
    ----------
    file : str
        The file's name, for messages.
    parts : sequence of Part
    """

    file: str
    parts: Sequence[Part]

    def group(self, *groups: str) -> list[Part]:
        """The parts of some groups."""
        return [part for part in self.parts if part.group in groups]

    def find(self, name: str, what: str, *groups: str) -> Part:
        """The part of `groups` whose path is `name` or ends in it; `what` it is, for messages.

        Raises
        ------
        MissingError
            If there is none; the message lists those there are.
        InputError
            If several fit.
        """
        parts, wanted = self.group(*groups), str(name).strip("/")
        fits = [part for part in parts if part.path == wanted]
        fits = fits or [part for part in parts if part.path.endswith(f"/{wanted}")]
        if not fits:
            have = some([repr(part.path) for part in parts], 20) or f"none. {self.said()}"
            raise MissingError(f"there is no {what} {name!r} in {self.file}; there are: {have}. Give one of these.")
        if len(fits) > 1:
            raise InputError(
                f"{len(fits)} parts of {self.file} are called {name!r}: {some([part.path for part in fits], 20)}. "
                "Give more of the path."
            )
        return fits[0]

    def only(self, parts: Sequence[Part], what: str, option: str) -> Part:
        """The single one of `parts`; `option` is how to choose where there are several."""
        if not parts:
            raise MissingError(f"{self.file} holds no {what}. {self.said()}")
        if len(parts) > 1:
            raise InputError(
                f"{self.file} holds {len(parts)} {what}s: {some([part.path for part in parts], 20)}. "
                f"Choose one by {option}."
            )
        return parts[0]

    def said(self) -> str:
        """What the file holds, for messages."""
        held = {group: [part.path for part in self.group(group)] for group in WAYS}
        said = [f"{some(paths, 6)} ({WAYS[group]})" for group, paths in held.items() if paths]
        if not said:
            return "It holds nothing that can be loaded."
        neural = any(held[group] for group in ("units", "crossings", "binned", "rois", "series"))
        return ("" if neural else "There seem to be no neural data in it. ") + "It holds " + "; ".join(said) + "."

    def rows(self, name: str) -> Table:
        """The table of intervals, events or presentations of that name, with what was shown on its clock."""
        table = self.find(name, "interval table", *ROWS).table
        shown = self.group("presentations")
        return replace(table, presentations=lambda: [part.table for part in shown])

    def counts(self) -> dict[str, int]:
        """Number of parts of each group that there is any of."""
        return {group: len(self.group(group)) for group in WAYS if self.group(group)}

    def units(self, name: str | None, *, counted: bool = False) -> Part:
        """The units table of that name, or the only one with spike times; where `counted`, spikes kept as counts too.

        Counts are taken unasked where no table has spike times; threshold crossings, of no one unit, never are.
        """
        if name is not None:
            return self.find(name, "units table", "units", "crossings", *(("binned",) if counted else ()))
        parts = self.group("units")
        with_spikes = [part for part in parts if "spike_times" in part.table.columns]
        if counted and not with_spikes and self.group("binned"):
            return self.only(self.group("binned"), "binned-spikes table", "table=")
        if parts and not with_spikes:
            columns = "; ".join(f"{part.path!r} has {some(part.table.columns, 20) or 'no columns'}" for part in parts)
            raise MissingError(f"no units table of {self.file} has spike_times: {columns}. {self.said()}")
        return self.only(with_spikes, "units table", "table=")

    def rois(self, name: str | None, kind: str | None) -> Part:
        """The ROI series of that name, or the only one, of `kind` where given."""
        parts = self.group("rois")
        if not parts:
            raise MissingError(f"{self.file} holds no ROI series. {self.said()}")
        if name is not None:
            return self.find(name, "ROI series", "rois")
        chosen = calcium.choose_kind([part.series for part in parts], kind)
        if len(chosen) > 1:
            raise InputError(
                f"{self.file} holds {len(chosen)} ROI series"
                + (f" of kind {kind!r}" if kind else "")
                + f": {calcium.listed(chosen)}. Choose one by series= or kind=."
            )
        return next(part for part in parts if part.series is chosen[0])

    def roi_parts(self, names: str | Sequence[str] | None, kind: str | None, *, several: bool) -> list[Part]:
        """The ROI series of these names; without names the only one of `kind`, or all of it where `several`."""
        if names is not None and not isinstance(names, str):
            return [self.rois(name, None) for name in names]
        if not several or names is not None:
            return [self.rois(names, kind)]
        chosen = calcium.choose_kind([part.series for part in self.group("rois")], kind)
        return [part for part in self.group("rois") if any(part.series is series for series in chosen)]

    def neuropil(self, given: Any, planes: Sequence[Series]) -> tuple[list[Series], Any]:
        """The neuropil series of each of `planes`, those named or those around the same ROIs, and the factor."""
        names, factor = given if isinstance(given, tuple | list) and len(given) == 2 else (None, given)
        if names is None:
            around = calcium.choose_kind([part.series for part in self.group("rois")], "neuropil")
            return [calcium.neuropil_of(series, around, len(planes)) for series in planes], factor
        names = [names] if isinstance(names, str) else list(names)
        if len(names) != len(planes):
            raise InputError(
                f"neuropil names {len(names)} series for {len(planes)} ROI series; it must name one for each, in their "
                "order."
            )
        return [self.rois(name, None).series for name in names], factor

    def images(self, name: str | None) -> Part:
        """The image stack of that name, or the only one; what stands under stimulus/ is preferred."""
        if name is not None:
            return self.find(name, "image stack", "images")
        parts = self.group("images")
        shown = [part for part in parts if part.path.startswith("stimulus/")]
        return self.only(shown or parts, "image stack", "its name")

    def sampled_rows(self, part: Part, align: str | None) -> Table | None:
        """The interval table, of all or the one called `align`, of which a series has one sample a row."""
        tables = self.group("intervals") if align is None else [self.find(align, "interval table", "intervals")]
        return trial_table(part.series, [one.table for one in tables])

    def extents(self) -> list[tuple[float, float]]:
        """Extents in seconds of interval tables and of series on the session's clock: templates were not recorded."""
        found = [interval_extent(part.table) for part in self.group("intervals", "events")]
        found += [part.binned.extent() for part in self.group("binned")]
        for part in self.group("rois", "series", "signals", "presentations", "crossings", "movies"):
            if not part.path.startswith("stimulus/templates"):
                found.append(part.series.extent())
        return [one for one in found if one is not None]


def interval_extent(table: Table) -> tuple[float, float] | None:
    """Earliest start and latest stop of a table of intervals or events in seconds; None where it has none."""
    ends = [table.scalar(name) for name in ("start_time", "stop_time", "timestamp") if name in table.columns]
    finite = [values[np.isfinite(values)] for values in ends if values is not None and values.dtype.kind in "iuf"]
    finite = [values for values in finite if len(values)]
    return (float(min(v.min() for v in finite)), float(max(v.max() for v in finite))) if finite else None
