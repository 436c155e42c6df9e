"""HDF5 groups and datasets by name and type, and which kind of part each is: told by what it holds."""

from __future__ import annotations

from typing import Any

import h5py
import numpy as np

from neurosparse.recordings import binned

KNOWN = frozenset({"core", "hdmf-common", "hdmf-experimental"})


def path_of(thing: h5py.HLObject) -> str:
    return str(thing.name).strip("/")


def name_of(thing: h5py.HLObject) -> str:
    return path_of(thing).rpartition("/")[2]


def type_of(thing: h5py.HLObject) -> str:
    return attribute(thing, "neurodata_type")


def attribute(thing: h5py.HLObject, name: str) -> str:
    return text(thing.attrs.get(name, ""))


def text(value: Any) -> str:
    return value.decode("utf-8", errors="replace") if isinstance(value, bytes) else str(value)


def stored_text(group: h5py.Group, path: str) -> str:
    """A text dataset, "" where there is none."""
    found = group.get(path)
    return text(found[()]) if isinstance(found, h5py.Dataset) and found.shape == () else ""


def datasets(group: h5py.Group) -> list[h5py.Dataset]:
    return [group[name] for name in group if group.get(name, getclass=True) is h5py.Dataset]


def columns_of(group: h5py.Group) -> list[str]:
    """The columns in the file's order, those of it that are there."""
    return [name for name in map(text, np.atleast_1d(group.attrs["colnames"])) if name in group]


def kind_of(group: h5py.Group) -> str:
    """Which kind of part a group is, "" for none."""
    kind = type_of(group)
    if "colnames" in group.attrs:
        columns = set(columns_of(group))
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
    if attribute(group, "namespace") in KNOWN or not isinstance(group.get("timestamps"), h5py.Dataset):
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
