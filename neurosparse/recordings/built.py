"""Reading through pynwb: its objects enter, the parts, tables, series and image stacks of this room leave.

The usual reader; `raw` is the other. Reads no values but row ids.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pynwb
from hdmf.common import DynamicTable

from neurosparse.recordings import binned, presentations
from neurosparse.recordings.contents import Part
from neurosparse.recordings.identity import Identity
from neurosparse.recordings.series import Series, read_series
from neurosparse.recordings.stimuli import Stack
from neurosparse.recordings.tables import Column, Table, read_region, read_table, sized


def parts(nwbfile: pynwb.NWBFile, path_of: Callable[[Any], str], notes: Sequence[str]) -> list[Part]:
    """Every units table, series, table of intervals or events and image stack, in the order of their paths.

    Parameters
    ----------
    nwbfile : pynwb.NWBFile
    path_of : callable
        Gives the place of a pynwb object in the file.
    notes : sequence of str
        What pynwb found wrong; one that names a part in quotes is kept with it.
    """
    reader, found = _Built(), []
    for stored in nwbfile.objects.values():
        group = _group(stored)
        if group:
            own = [note for note in notes if f"'{stored.name}'" in note]
            if group == "rois":  # which the loaders turn round, and tell of themselves
                own = [note for note in own if "be transposed" not in note]
            found.append(Part(path_of(stored), group, _type(stored), stored, reader, own))
    return sorted(found, key=lambda part: part.path)


def identity(nwbfile: pynwb.NWBFile) -> Identity:
    """What the file states of itself."""
    subject = nwbfile.subject
    return Identity(
        session_id=str(nwbfile.session_id or ""),
        identifier=str(nwbfile.identifier or ""),
        object_id=str(nwbfile.object_id),
        description=" ".join(str(nwbfile.session_description or "").split()),
        subject_id=str(getattr(subject, "subject_id", None) or ""),
        species=str(getattr(subject, "species", None) or ""),
        start=nwbfile.session_start_time,
        reference_time=nwbfile.timestamps_reference_time,
    )


def place(stored: Any) -> str:
    """Path of an object that was not read from a file: where pynwb would write it."""
    names = [stored.name]
    parent, child = stored.parent, stored
    while parent is not None and not isinstance(parent, pynwb.NWBFile):
        names.append(parent.name)
        parent, child = parent.parent, parent
    for attribute, folder in _FOLDERS.items():
        if any(one is child for one in getattr(parent, attribute, {}).values()):
            return "/".join([folder, *reversed(names)])
    if isinstance(child, pynwb.epoch.TimeIntervals):
        return "/".join(["intervals", *reversed(names)])
    return "/".join(reversed(names))


_FOLDERS = {
    "acquisition": "acquisition",
    "analysis": "analysis",
    "processing": "processing",
    "scratch": "scratch",
    "stimulus": "stimulus/presentation",
    "stimulus_template": "stimulus/templates",
    "lab_meta_data": "general",
}


def _type(stored: Any) -> str:
    return str(getattr(stored, "neurodata_type", None) or type(stored).__name__)


def _group(stored: Any) -> str:
    if isinstance(stored, DynamicTable):
        return _table_group(stored)
    for kinds, group in _GROUPS:
        if isinstance(stored, kinds):
            return group
    if isinstance(stored, pynwb.TimeSeries):
        return "series" if len(np.shape(sized(stored.data))) == 2 else "signals"
    return _extension_group(stored)


def _extension_group(stored: Any) -> str:
    """Kinds of extensions, told by their names: pynwb makes their classes from the copy of the schema in the file."""
    if _type(stored) in binned.KINDS:
        return "binned"
    older = any(kind.__name__ == "Events" for kind in type(stored).__mro__)  # of ndx-events before 0.4
    return "events" if older and getattr(stored, "timestamps", None) is not None else ""


_GROUPS: tuple[tuple[Any, str], ...] = (
    (pynwb.ophys.RoiResponseSeries, "rois"),
    ((pynwb.ophys.TwoPhotonSeries, pynwb.ophys.OnePhotonSeries), "movies"),
    ((pynwb.image.ImageSeries, pynwb.base.Images), "images"),
    (pynwb.image.IndexSeries, "presentations"),
    (pynwb.ecephys.SpikeEventSeries, "crossings"),
)


def _table_group(table: DynamicTable) -> str:
    if isinstance(table, pynwb.misc.Units):
        return "units"
    if isinstance(table, pynwb.epoch.TimeIntervals) or {"start_time", "stop_time"} <= set(table.colnames):
        return "intervals"
    return "events" if "timestamp" in table.colnames or "event_times" in table.colnames else ""


class _Built:
    """`contents.Reader` of pynwb objects."""

    def table(self, stored: Any, path: str) -> Table:
        if isinstance(stored, pynwb.image.IndexSeries):
            return presentations.as_table(self.series(stored, path), _shown(stored))
        if isinstance(stored, pynwb.ecephys.SpikeEventSeries):
            return presentations.as_unit(self.series(stored, path))
        if isinstance(stored, pynwb.misc.Units):
            return _units(stored, path)
        if not isinstance(stored, DynamicTable):
            return presentations.as_events(path, stored.timestamps, *_codes(stored))
        table = read_table(stored, path, parameters=True)
        return presentations.one_a_row(table) if presentations.is_annotated(table) else table

    def series(self, stored: Any, path: str) -> Series:
        return read_series(stored, path)

    def binned(self, stored: Any, path: str) -> binned.Binned:
        region = getattr(stored, "units_region", None)
        column = None
        if region is not None:
            column = replace(read_region(region), target=_units(region.table, place(region.table)))
        return binned.read_binned(path, stored.name, partial(_attribute, stored), column)

    def stack(self, stored: Any, path: str) -> Stack:
        if isinstance(stored, pynwb.base.Images):
            return _container(stored, path)
        external = stored.external_file
        files = [] if external is None else [_text(one) for one in external[:]]
        data = sized(stored.data)
        return Stack(path, tuple(np.shape(data)), (data,), external=tuple(files))


def _attribute(stored: Any, name: str) -> Any:
    return getattr(stored, name, None)


def _codes(stored: Any) -> tuple[Any, Any]:
    """Codes and labels of events; `data__labels` is what pynwb calls them without the extension's own class."""
    labels = getattr(stored, "labels", None)
    return getattr(stored, "data", None), labels if labels is not None else getattr(stored, "data__labels", None)


def _units(table: pynwb.misc.Units, path: str) -> Table:
    """A units table; its peak channels, where it states them, are ids of electrodes."""
    read = read_table(table, path)
    nwbfile = table.get_ancestor("NWBFile")
    electrodes = getattr(nwbfile, "electrodes", None)
    if electrodes is None or "peak_channel_id" not in read.columns:
        return read
    peak = read.columns["peak_channel_id"]
    target = read_table(electrodes, "general/extracellular_ephys/electrodes")
    columns = {**read.columns, "peak_channel_id": Column(peak.name, peak.data, peak.ends, target, by_id=True)}
    return Table(read.path, read.name, read.ids, columns, read.resolution)


def _container(images: pynwb.base.Images, path: str) -> Stack:
    ordered = list(_ordered(images))
    names = tuple(image.name for image in ordered)
    outside = [image for image in ordered if type(image).__name__ == "ExternalImage"]
    if outside:
        return Stack(path, (len(ordered),), (), names, tuple(_text(image.data) for image in outside))
    data = tuple(sized(image.data) for image in ordered)
    return Stack(path, (len(ordered),), data, names)


def _ordered(images: pynwb.base.Images) -> Iterator[Any]:
    order = images.order_of_images
    if order is None:
        yield from images.images.values()
    else:
        yield from (order[i] for i in range(len(order.data)))


def _shown(stored: pynwb.image.IndexSeries) -> Table | None:
    """The images that an IndexSeries numbers, as a table of their names or of nothing but their number."""
    images, movie = stored.indexed_images, stored.indexed_timeseries
    if images is not None:
        names = np.array([image.name for image in _ordered(images)], dtype=str)
        return presentations.templates(images.name, len(names), names)
    if movie is None:
        return None
    files = movie.external_file if isinstance(movie, pynwb.image.ImageSeries) else None
    n_images = len(files) if files is not None and len(files) else len(sized(movie.data))
    return presentations.templates(movie.name, n_images, None)


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
