"""What a file holds: every part found by its type, anywhere, and choosing the one that is meant.

An open pynwb file enters; `Part`s with their path, table or series leave. Reads no values.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pynwb

from neurosparse.errors import InputError, MissingError
from neurosparse.recordings import calcium
from neurosparse.recordings.load_report import some
from neurosparse.recordings.series import Series, read_series, trial_table
from neurosparse.recordings.tables import Table, read_table

# The method that loads each group of parts.
WAYS = {
    "units": "recording.spikes",
    "rois": "recording.calcium",
    "series": "recording.series",
    "signals": "recording.series",
    "intervals": "recording.intervals",
    "images": "recording.stimuli",
}


@dataclass(frozen=True)
class Part:
    """One thing in a file.

    Attributes
    ----------
    path : str
        Its place, such as ``processing/ophys/DfOverF/activity``.
    group : {"units", "rois", "series", "signals", "intervals", "images", "movies"}
        Two-dimensional series are "series", others "signals"; "movies" are raw imaging.
    stored : pynwb object
    notes : list of str
        What pynwb found wrong with it.
    """

    path: str
    group: str
    stored: Any
    notes: list[str] = field(default_factory=list)

    @cached_property
    def table(self) -> Table:
        """The part as a table."""
        return read_table(self.stored, self.path)

    @cached_property
    def series(self) -> Series:
        """The part as a series."""
        return read_series(self.stored, self.path)


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

    @classmethod
    def of(cls, file: str, nwbfile: pynwb.NWBFile, path_of: Callable[[Any], str], notes: Sequence[str]) -> Contents:
        """Every units table, series, interval table and image stack; `notes` are pynwb's, naming parts in quotes."""
        parts = []
        for stored in nwbfile.objects.values():
            group = _group(stored)
            if group:
                own = [note for note in notes if f"'{stored.name}'" in note]
                parts.append(Part(path_of(stored), group, stored, own))
        return cls(file, sorted(parts, key=lambda part: part.path))

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
        neural = any(held[group] for group in ("units", "rois", "series"))
        return ("" if neural else "There seem to be no neural data in it. ") + "It holds " + "; ".join(said) + "."

    def units(self, name: str | None) -> Part:
        """The units table of that name, or the only one with spike times."""
        if name is not None:
            return self.find(name, "units table", "units")
        parts = self.group("units")
        with_spikes = [part for part in parts if "spike_times" in part.table.columns]
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
        found = [interval_extent(part.table) for part in self.group("intervals")]
        for part in self.group("rois", "series", "signals", "movies"):
            if not part.path.startswith("stimulus/templates"):
                found.append(part.series.extent())
        return [one for one in found if one is not None]


def _group(stored: Any) -> str:
    if isinstance(stored, pynwb.misc.Units):
        return "units"
    if isinstance(stored, pynwb.epoch.TimeIntervals):
        return "intervals"
    if isinstance(stored, pynwb.ophys.RoiResponseSeries):
        return "rois"
    if isinstance(stored, pynwb.ophys.TwoPhotonSeries | pynwb.ophys.OnePhotonSeries):
        return "movies"
    if isinstance(stored, pynwb.image.ImageSeries | pynwb.base.Images):
        return "images"
    if isinstance(stored, pynwb.TimeSeries):
        return "series" if len(getattr(stored.data, "shape", ())) == 2 else "signals"
    return ""


def interval_extent(table: Table) -> tuple[float, float] | None:
    """Earliest start and latest stop of an interval table in seconds; None where it has none."""
    ends = [table.scalar(name) for name in ("start_time", "stop_time") if name in table.columns]
    finite = [values[np.isfinite(values)] for values in ends if values is not None and values.dtype.kind in "iuf"]
    finite = [values for values in finite if len(values)]
    return (float(min(v.min() for v in finite)), float(max(v.max() for v in finite))) if finite else None
