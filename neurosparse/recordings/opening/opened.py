"""`Opened`: what a reader built, told."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import h5py
import pynwb

from neurosparse.recordings import built
from neurosparse.recordings.contents import Contents
from neurosparse.recordings.identity import Identity
from neurosparse.recordings.load_report import LoadReport
from neurosparse.recordings.sources import Source

# Said by pynwb and hdmf of nearly every file that is not quite new, and of no consequence for what is loaded here.
IDLE = re.compile(
    r"cached namespace|is deprecated|Device\.model|model attribute of the Device|was not closed before being garbage "
    r"collected|ObjectMapper",
    re.I,
)


@dataclass(frozen=True)
class Opened:
    """A file that is open.

    Attributes
    ----------
    source : Source
    version : str
        Of the NWB schema, "" where not stated.
    nwbfile : pynwb.NWBFile or None
        None where h5py alone reads the file.
    contents : Contents
    identity : Identity
    report : LoadReport
        How it was opened.
    notes : list of str
        What is wrong with the file as a whole; `report` has them as warnings.
    close : callable
        Releases the file.
    """

    source: Source
    version: str
    nwbfile: pynwb.NWBFile | None
    contents: Contents
    identity: Identity
    report: LoadReport
    notes: list[str]
    close: Callable[[], None]


class Unbuildable(Exception):
    """pynwb cannot build the file because of what it says of its schema."""


def opened_of(source: Source, version: str, nwbfile: pynwb.NWBFile, notes: list[str], reader: Any) -> Opened:
    """What pynwb built, told; `reader` is left open for values to be read."""
    path_of = built.place
    if reader is not None and hasattr(reader, "manager"):

        def path_of(stored: Any) -> str:
            return reader.manager.get_builder(stored).path.removeprefix("root/")

    contents = Contents(source.name, built.parts(nwbfile, path_of, notes))
    names = [repr(part.path.rpartition("/")[2]) for part in contents.parts]
    own = [note for note in notes if not any(name in note for name in names)]
    report = LoadReport(warned=[f"pynwb says of {source.name}: {note}" for note in own])
    close = reader.close if reader is not None else nothing
    return told(Opened(source, version, nwbfile, contents, built.identity(nwbfile), report, own, close), "pynwb")


def told(opened: Opened, reader: str) -> Opened:
    """`opened` with what was found and chosen in its report."""
    session, rule = opened.identity.session(opened.source.name.partition(".nwb")[0])
    opened.report.find(**opened.contents.counts())
    opened.report.choose(reader=f"{reader} {pynwb.__version__ if reader == 'pynwb' else h5py.__version__}")
    opened.report.choose(session=session, session_from=rule)
    if opened.identity.delay:
        opened.report.assume(
            f"times count from timestamps_reference_time, {opened.identity.delay:+g} s from the session's start."
        )
    return opened


def nothing() -> None:
    """What closing does to a file that is the user's own."""


def line(text: Any, limit: int = 300) -> str:
    return " ".join(str(text).split())[:limit]
