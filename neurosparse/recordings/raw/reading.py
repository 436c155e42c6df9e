"""HDF5 groups as the tables, series and image stacks of this room."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import h5py
import numpy as np

from neurosparse.recordings import binned, presentations
from neurosparse.recordings.raw.things import (
    attribute,
    columns_of,
    datasets,
    kind_of,
    name_of,
    path_of,
    stored_text,
    text,
    type_of,
)
from neurosparse.recordings.series import Series
from neurosparse.recordings.stimuli import Stack
from neurosparse.recordings.tables import Column, Table, plain, stated_number, stated_resolution

ELECTRODES = "general/extracellular_ephys/electrodes"


class Raw:
    """`contents.Reader` of HDF5 groups."""

    def table(self, stored: h5py.Group, path: str) -> Table:
        kind = kind_of(stored)
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
            path, name_of(stored), partial(_fact, stored), None if region is None else _region(region)
        )

    def series(self, stored: h5py.Group, path: str) -> Series:
        return read_series(stored)

    def stack(self, stored: h5py.Group, path: str) -> Stack:
        if type_of(stored) == "Images":
            images = _ordered(stored)
            return Stack(path, (len(images),), tuple(images), tuple(name_of(image) for image in images))
        files = stored.get("external_file")
        external = () if files is None else tuple(text(one) for one in np.atleast_1d(files[()]))
        return Stack(path, tuple(stored["data"].shape), (stored["data"],), external=external)


def read_table(group: h5py.Group, *, parameters: bool = False) -> Table:
    """A DynamicTable as a `Table`; reads the row ids alone."""
    columns = {name: _column(group, name) for name in columns_of(group)}
    if "id" in group:
        ids = plain(group["id"][:])
    else:
        ids = np.arange(len(next(iter(columns.values())).data) if columns else 0)
    resolution = group["spike_times"].attrs.get("resolution") if "spike_times" in columns else None
    if "peak_channel_id" in columns and ELECTRODES in group.file:
        peak = columns["peak_channel_id"]
        columns["peak_channel_id"] = Column(peak.name, peak.data, peak.ends, read_table(group.file[ELECTRODES]), True)
    return Table(path_of(group), name_of(group), ids, columns, stated_resolution(resolution), parameters)


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
        return [
            _Thing(name_of(one), stored_text(one, "location") if isinstance(one, h5py.Group) else "") for one in things
        ]


def read_series(group: h5py.Group) -> Series:
    """A TimeSeries of any type as a `Series`; reads no values."""
    data, start = group["data"], group.get("starting_time")
    region = next((group[name] for name in ("rois", "electrodes") if name in group), None)
    plane = None if region is None else group.file[region.attrs["table"]].get("imaging_plane")
    factor = group.get("channel_conversion")
    return Series(
        path=path_of(group),
        name=name_of(group),
        type="RoiResponseSeries" if "rois" in group else type_of(group),
        container=name_of(group.parent),
        container_type=type_of(group.parent),
        data=data,
        rate=None if start is None else stated_number(start.attrs.get("rate"), None),
        start=0.0 if start is None else float(start[()]),
        timestamps=group.get("timestamps"),
        conversion=stated_number(data.attrs.get("conversion"), 1.0),
        offset=stated_number(data.attrs.get("offset"), 0.0),
        channel_conversion=None if factor is None else np.asarray(factor[:]),
        unit=attribute(data, "unit"),
        description=attribute(group, "description"),
        comments=attribute(group, "comments"),
        region=None if region is None else _region(region),
        area="" if plane is None else stored_text(plane, "location"),
        expected_rate=None if plane is None else stated_number(_scalar(plane, "imaging_rate"), None),
    )


def _fact(group: h5py.Group, name: str) -> Any:
    """A dataset or attribute, None where there is neither."""
    found = group.get(name)
    return found if found is not None else group.attrs.get(name)


def _region(region: h5py.Dataset) -> Column:
    return Column(name_of(region), region, (), read_table(region.file[region.attrs["table"]]))


def _scalar(group: h5py.Group, name: str) -> Any:
    return group[name][()] if name in group else None


def _ordered(images: h5py.Group) -> list[h5py.Dataset]:
    order = images.get("order_of_images")
    if order is not None:
        return [images.file[one] for one in order[:]]
    return [one for one in datasets(images) if type_of(one) != "ImageReferences"]


def _shown(series: h5py.Group) -> Table | None:
    """The images that an IndexSeries numbers."""
    images, movie = series.get("indexed_images"), series.get("indexed_timeseries")
    if images is not None:
        names = np.array([name_of(one) for one in _ordered(images)], dtype=str)
        return presentations.templates(name_of(images), len(names), names)
    return None if movie is None else presentations.templates(name_of(movie), len(movie["data"]), None)
