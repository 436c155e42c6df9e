"""Reading through h5py alone, for files that pynwb cannot build: the extension they use is not installed.

An open HDF5 file enters; the same parts, tables, series and image stacks leave that `built` makes. Things are told by
what they hold (an HDF5 group with `colnames` and `spike_times` is a units table), so types of unknown extensions are
read as what they extend.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

import h5py
import numpy as np

from neurosparse.recordings import binned, presentations
from neurosparse.recordings.contents import Part
from neurosparse.recordings.identity import Identity
from neurosparse.recordings.series import Series
from neurosparse.recordings.stimuli import Stack
from neurosparse.recordings.tables import Column, Table, plain, stated_resolution

KNOWN = frozenset({"core", "hdmf-common", "hdmf-experimental"})
ELECTRODES = "general/extracellular_ephys/electrodes"


def parts(file: h5py.File) -> list[Part]:
    """Every units table, series, table of intervals or events and image stack, in the order of their paths."""
    reader = _Raw()
    found = [(group, _group(group)) for group in _groups(file)]
    named = [Part(_path(group), kind, _type(group), group, reader) for group, kind in found if kind]
    return sorted(named, key=lambda part: part.path)


def foreign_namespaces(file: h5py.File) -> dict[str, int]:
    """Extensions that things in the file are of, with the number of those things."""
    found: dict[str, int] = {}
    for group in _groups(file):
        for thing in [group, *_datasets(group)]:
            name = _attr(thing, "namespace")
            if name and name not in KNOWN:
                found[name] = found.get(name, 0) + 1
    return found


def identity(file: h5py.File) -> Identity:
    """What the file states of itself."""
    return Identity(
        session_id=_stored(file, "general/session_id"),
        identifier=_stored(file, "identifier"),
        object_id=_attr(file, "object_id"),
        description=" ".join(_stored(file, "session_description").split()),
        subject_id=_stored(file, "general/subject/subject_id"),
        species=_stored(file, "general/subject/species"),
        start=_moment(_stored(file, "session_start_time")),
        reference_time=_moment(_stored(file, "timestamps_reference_time")),
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


def _datasets(group: h5py.Group) -> list[h5py.Dataset]:
    return [group[name] for name in group if group.get(name, getclass=True) is h5py.Dataset]


def _path(thing: h5py.HLObject) -> str:
    return str(thing.name).strip("/")


def _name(thing: h5py.HLObject) -> str:
    return _path(thing).rpartition("/")[2]


def _type(thing: h5py.HLObject) -> str:
    return _attr(thing, "neurodata_type")


def _attr(thing: h5py.HLObject, name: str) -> str:
    return _text(thing.attrs.get(name, ""))


def _text(value: Any) -> str:
    return value.decode("utf-8", errors="replace") if isinstance(value, bytes) else str(value)


def _stored(group: h5py.Group, path: str) -> str:
    """A text dataset, "" where there is none."""
    found = group.get(path)
    return _text(found[()]) if isinstance(found, h5py.Dataset) and found.shape == () else ""


def _moment(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _group(group: h5py.Group) -> str:
    """Which kind of part a group is, "" for none."""
    kind = _type(group)
    if "colnames" in group.attrs:
        columns = set(_columns(group))
        if "spike_times" in columns or kind == "Units":
            return "units"
        if {"start_time", "stop_time"} <= columns:
            return "intervals"
        return "events" if {"timestamp", "event_times"} & columns else ""
    if kind == "Images":
        return "images"
    if kind in binned.KINDS:
        return "binned"
    if _is_events(group):
        return "events"
    if not isinstance(group.get("data"), h5py.Dataset):
        return ""
    for mark, found in _MARKS:
        if mark in (kind, *group):
            return found
    if "timestamps" not in group and "starting_time" not in group:
        return ""
    return "series" if group["data"].ndim == 2 else "signals"


def _is_events(group: h5py.Group) -> bool:
    """Whether a group is of ndx-events before 0.4: time stamps alone, or with data whose codes have labels."""
    if _attr(group, "namespace") in KNOWN or not isinstance(group.get("timestamps"), h5py.Dataset):
        return False
    return "data" not in group or "labels" in group["data"].attrs


# The neurodata type, or the dataset, that tells what a group with data is; the first that fits.
_MARKS = (
    ("rois", "rois"),
    ("imaging_plane", "movies"),
    ("OnePhotonSeries", "movies"),
    ("IndexSeries", "presentations"),
    ("indexed_images", "presentations"),
    ("SpikeEventSeries", "crossings"),
    ("format", "images"),
    ("external_file", "images"),
)


class _Raw:
    """`contents.Reader` of HDF5 groups."""

    def table(self, stored: h5py.Group, path: str) -> Table:
        kind = _group(stored)
        if kind == "presentations":
            return presentations.as_table(self.series(stored, path), _shown(stored))
        if kind == "crossings":
            return presentations.as_unit(self.series(stored, path))
        if "colnames" not in stored.attrs:
            data = stored.get("data")
            return presentations.as_events(
                path, stored["timestamps"], data, None if data is None else data.attrs.get("labels")
            )
        table = read_table(stored, parameters=kind != "units")
        return presentations.one_a_row(table) if presentations.is_annotated(table) else table

    def binned(self, stored: h5py.Group, path: str) -> binned.Binned:
        region = stored.get("units_region")
        return binned.read_binned(
            path, _name(stored), partial(_fact, stored), None if region is None else _region(region)
        )

    def series(self, stored: h5py.Group, path: str) -> Series:
        return read_series(stored)

    def stack(self, stored: h5py.Group, path: str) -> Stack:
        if _type(stored) == "Images":
            images = _ordered(stored)
            return Stack(path, (len(images),), tuple(images), tuple(_name(image) for image in images))
        files = stored.get("external_file")
        external = () if files is None else tuple(_text(one) for one in np.atleast_1d(files[()]))
        return Stack(path, tuple(stored["data"].shape), (stored["data"],), external=external)


def read_table(group: h5py.Group, *, parameters: bool = False) -> Table:
    """A DynamicTable as a `Table`; reads the row ids alone."""
    columns = {name: _column(group, name) for name in _columns(group)}
    if "id" in group:
        ids = plain(group["id"][:])
    else:
        ids = np.arange(len(next(iter(columns.values())).data) if columns else 0)
    resolution = group["spike_times"].attrs.get("resolution") if "spike_times" in columns else None
    if "peak_channel_id" in columns and ELECTRODES in group.file:
        peak = columns["peak_channel_id"]
        columns["peak_channel_id"] = Column(peak.name, peak.data, peak.ends, read_table(group.file[ELECTRODES]), True)
    return Table(_path(group), _name(group), ids, columns, stated_resolution(resolution), parameters)


def _columns(group: h5py.Group) -> list[str]:
    """The columns in the file's order, those of it that are there."""
    return [name for name in map(_text, np.atleast_1d(group.attrs["colnames"])) if name in group]


def _column(group: h5py.Group, name: str) -> Column:
    ends: list[h5py.Dataset] = []
    index = f"{name}_index"
    while index in group:
        ends.insert(0, group[index])
        index += "_index"
    data = group[name]
    target = read_table(group.file[data.attrs["table"]]) if "table" in data.attrs else None
    return Column(name, _Things(data) if h5py.check_ref_dtype(data.dtype) else data, tuple(ends), target)


@dataclass(frozen=True)
class _Thing:
    """What a reference points to: its name and, for electrode groups and planes, where it lies."""

    name: str
    location: str


class _Things:
    """A dataset of references, read as what they point to."""

    def __init__(self, data: h5py.Dataset) -> None:
        self._data, self.shape, self.dtype = data, data.shape, data.dtype

    def __len__(self) -> int:
        return len(self._data)

    def __getitem__(self, key: Any) -> list[_Thing]:
        things = [self._data.file[one] for one in np.atleast_1d(self._data[key])]
        return [_Thing(_name(one), _stored(one, "location") if isinstance(one, h5py.Group) else "") for one in things]


def read_series(group: h5py.Group) -> Series:
    """A TimeSeries of any type as a `Series`; reads no values."""
    data, start = group["data"], group.get("starting_time")
    region = next((group[name] for name in ("rois", "electrodes") if name in group), None)
    plane = None if region is None else group.file[region.attrs["table"]].get("imaging_plane")
    factor = group.get("channel_conversion")
    return Series(
        path=_path(group),
        name=_name(group),
        type="RoiResponseSeries" if "rois" in group else _type(group),
        container=_name(group.parent),
        container_type=_type(group.parent),
        data=data,
        rate=None if start is None else _number(start.attrs.get("rate"), None),
        start=0.0 if start is None else float(start[()]),
        timestamps=group.get("timestamps"),
        conversion=_number(data.attrs.get("conversion"), 1.0),
        offset=_number(data.attrs.get("offset"), 0.0),
        channel_conversion=None if factor is None else np.asarray(factor[:]),
        unit=_attr(data, "unit"),
        description=_attr(group, "description"),
        comments=_attr(group, "comments"),
        region=None if region is None else _region(region),
        area="" if plane is None else _stored(plane, "location"),
        expected_rate=None if plane is None else _number(_scalar(plane, "imaging_rate"), None),
    )


def _fact(group: h5py.Group, name: str) -> Any:
    """A dataset or attribute, None where there is neither."""
    found = group.get(name)
    return found if found is not None else group.attrs.get(name)


def _region(region: h5py.Dataset) -> Column:
    return Column(_name(region), region, (), read_table(region.file[region.attrs["table"]]))


def _scalar(group: h5py.Group, name: str) -> Any:
    return group[name][()] if name in group else None


def _number(value: Any, default: Any) -> Any:
    return default if value is None or not np.isfinite(value) else float(value)


def _ordered(images: h5py.Group) -> list[h5py.Dataset]:
    order = images.get("order_of_images")
    if order is not None:
        return [images.file[one] for one in order[:]]
    return [one for one in _datasets(images) if _type(one) != "ImageReferences"]


def _shown(series: h5py.Group) -> Table | None:
    """The images that an IndexSeries numbers."""
    images, movie = series.get("indexed_images"), series.get("indexed_timeseries")
    if images is not None:
        names = np.array([_name(one) for one in _ordered(images)], dtype=str)
        return presentations.templates(_name(images), len(names), names)
    return None if movie is None else presentations.templates(_name(movie), len(movie["data"]), None)
