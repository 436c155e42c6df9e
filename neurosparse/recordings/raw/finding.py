"""What an HDF5 file holds. Things of an unknown extension are what they extend: they are told by what they hold."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import h5py

from neurosparse.recordings.contents import Part
from neurosparse.recordings.identity import Identity
from neurosparse.recordings.raw.reading import Raw
from neurosparse.recordings.raw.things import KNOWN, attribute, datasets, kind_of, path_of, stored_text, type_of


def parts(file: h5py.File) -> list[Part]:
    """Every units table, series, table of intervals or events and image stack, in the order of their paths."""
    reader = Raw()
    found = [(group, kind_of(group)) for group in _groups(file)]
    named = [Part(path_of(group), kind, type_of(group), group, reader) for group, kind in found if kind]
    return sorted(named, key=lambda part: part.path)


def foreign_namespaces(file: h5py.File) -> dict[str, int]:
    """Extensions that things in the file are of, with the number of those things."""
    found: dict[str, int] = {}
    for group in _groups(file):
        for thing in [group, *datasets(group)]:
            name = attribute(thing, "namespace")
            if name and name not in KNOWN:
                found[name] = found.get(name, 0) + 1
    return found


def identity(file: h5py.File) -> Identity:
    """What the file states of itself."""
    return Identity(
        session_id=stored_text(file, "general/session_id"),
        identifier=stored_text(file, "identifier"),
        object_id=attribute(file, "object_id"),
        description=" ".join(stored_text(file, "session_description").split()),
        subject_id=stored_text(file, "general/subject/subject_id"),
        species=stored_text(file, "general/subject/species"),
        start=_moment(stored_text(file, "session_start_time")),
        reference_time=_moment(stored_text(file, "timestamps_reference_time")),
    )


def _groups(group: h5py.Group) -> Iterator[h5py.Group]:
    """All groups below, each once, at the place where it is rather than where it is linked to."""
    for name in group:
        if not isinstance(group.get(name, getlink=True), h5py.HardLink) or name in ("specifications", ".specloc"):
            continue
        child = group[name]
        if isinstance(child, h5py.Group):
            yield child
            yield from _groups(child)


def _moment(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None
