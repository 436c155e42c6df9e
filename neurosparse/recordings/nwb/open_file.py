"""An open file: what it holds, what is said of it, and how its parts are found; `Recording` loads them."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from functools import cached_property
from textwrap import shorten
from typing import Any, Self

import pandas as pd
import pynwb
import xarray as xr

from neurosparse.errors import DependencyError, FileError
from neurosparse.recordings import describing, opening
from neurosparse.recordings.assembly import Load, Origin
from neurosparse.recordings.contents import Contents, Part
from neurosparse.recordings.intervals import Request
from neurosparse.recordings.load_report import LoadReport
from neurosparse.recordings.tables import Table


class OpenFile:
    """The part of `Recording` that every loader stands on: the file's life, its contents and its words."""

    def __init__(self, opened: opening.Opened) -> None:
        self._source, self._nwbfile, self._held = opened.source, opened.nwbfile, opened.contents
        self.path, self.nwb_version = opened.source.path, opened.version
        self._identity, self.report = opened.identity, opened.report
        self.notes, self.session = opened.notes, str(opened.report.chosen["session"])
        # Also closes, without pynwb's complaint, when the recording is forgotten rather than closed.
        self._closer = weakref.finalize(self, opened.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the file; populations already loaded and lazy stimuli stay valid."""
        self._closer()

    @property
    def nwbfile(self) -> pynwb.NWBFile:
        """The file as pynwb has it."""
        self._check_open()
        if self._nwbfile is None:
            raise DependencyError(f"pynwb cannot build this file: {'; '.join(self.notes)}")
        return self._nwbfile

    def _check_open(self) -> None:
        if not self._closer.alive:
            raise FileError(
                f"the recording {self._source.name} is closed. Open it again with open_nwb({self._source.where!r})."
            )

    def __repr__(self) -> str:
        if not self._closer.alive:
            return f"<Recording {self._source.name}, closed>"
        notes = "".join(f"\n! {shorten(note, 240)}" for note in self.notes)
        with opening.reading(self._source):
            return f"{self._headline()}\n\n{describing.describe(self._held)}{notes}"

    def _headline(self) -> str:
        said = self._identity
        who = ", ".join(one for one in (said.species, said.subject_id) if one) or "subject not stated"
        when = "start not stated" if said.start is None else f"{said.start:%Y-%m-%d %H:%M}"
        version = f"  (NWB {self.nwb_version})" if self.nwb_version else ""
        head = f"Recording {self._source.name}{version}\nsession {self.session}; {who}; {when}"
        return f"{head}\n{said.description}" if said.description else head

    @cached_property
    def contents(self) -> pd.DataFrame:
        """One row a part: path, kind, shape, rate (Hz), count, start and stop (s), units of measure, notes."""
        with opening.reading(self._source):
            return describing.as_frame(self._contents().parts)

    def _contents(self) -> Contents:
        self._check_open()
        return self._held

    def _origin(self, path: str) -> Origin:
        source, opened = self._source, self.report.chosen
        facts: dict[str, Any] = {"name": source.name, "nwb_version": self.nwb_version, "reader": opened["reader"]}
        if source.size is not None:
            facts["bytes"] = source.size
        if source.remote:
            facts |= {"url": source.where, "version_on_server": source.tag}
        facts |= {**self._identity.facts(), "session_from": opened["session_from"]}
        if self.notes:
            facts["notes"] = self.notes
        return Origin(self.session, source.name, facts, path)

    def _interval_table(self, name: str) -> Table:
        return self._contents().rows(name)

    def _asked(self, part: Part, request: Request, report: LoadReport) -> Load:
        return Load(request, self._interval_table, self._origin(part.path), report)

    def _load(
        self, loader: Callable[..., xr.DataArray], part: Part, stored: Any, request: Request, **options: Any
    ) -> xr.DataArray:
        """What `loader` makes of a part as it is stored; its report is told."""
        report = LoadReport(found=self._held.counts(), warned=list(part.notes))
        with opening.reading(self._source):
            x = loader(stored, self._asked(part, request, report), **options)
        report.emit()
        return x
