"""Parts of small NWB files that the tests of this room write for themselves: each is a function of the file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pynwb

Build = Callable[[pynwb.NWBFile], Any]


def units(trains: list[Any], ids: list[int] | None = None, obs: list[Any] | None = None, **columns: Any) -> Build:
    """A units table with spike times, further columns and, if given, observation intervals."""

    def build(nwbfile: pynwb.NWBFile) -> None:
        for name in columns:
            nwbfile.add_unit_column(name, name)
        for i, train in enumerate(trains):
            row = {name: values[i] for name, values in columns.items()}
            if obs is not None:
                row["obs_intervals"] = obs[i]
            nwbfile.add_unit(spike_times=np.asarray(train, float), id=i if ids is None else ids[i], **row)

    return build


def trials(starts: Any, stops: Any = None, **columns: Any) -> Build:
    """A trials table; `stops` one second after `starts` unless given."""

    def build(nwbfile: pynwb.NWBFile) -> None:
        for name in columns:
            nwbfile.add_trial_column(name, name)
        for i, start in enumerate(starts):
            row = {name: values[i] for name, values in columns.items()}
            stop = start + 1.0 if stops is None else stops[i]
            nwbfile.add_trial(start_time=float(start), stop_time=float(stop), **row)

    return build


def replace(path: Path, dataset: str, values: Any) -> None:
    """Put other values into a file that is written, past pynwb's checks."""
    with h5py.File(path, "r+") as file:
        attrs = dict(file[dataset].attrs)
        del file[dataset]
        file[dataset] = values
        file[dataset].attrs.update(attrs)


def series(name: str, data: Any, **clock: Any) -> Build:
    """A plain TimeSeries in acquisition."""

    def build(nwbfile: pynwb.NWBFile) -> None:
        nwbfile.add_acquisition(pynwb.TimeSeries(name=name, data=np.asarray(data), unit="a.u.", **clock))

    return build


def rois(
    data: Any,
    n_rois: int,
    *,
    name: str = "RoiResponseSeries",
    container: str = "Fluorescence",
    dff: bool = False,
    imaging_rate: float | None = None,
    ids: list[int] | None = None,
    columns: dict[str, Any] | None = None,
    table: str = "cells",
    **series: Any,
) -> Build:
    """A ROI series in a container of its own, and the segmentation that all of one `table` share."""

    def build(nwbfile: pynwb.NWBFile) -> None:
        module, rows = _segmentation(nwbfile, table, n_rois, imaging_rate, ids, columns or {})
        region = rows.create_roi_table_region("all", region=list(range(n_rois)))
        clock = series if "timestamps" in series else {"rate": 10.0, **series}
        stored = pynwb.ophys.RoiResponseSeries(name=name, data=np.asarray(data), unit="lumens", rois=region, **clock)
        kind = pynwb.ophys.DfOverF if dff else pynwb.ophys.Fluorescence
        if container not in module.data_interfaces:
            module.add(kind(name=container))
        module[container].add_roi_response_series(stored)

    return build


def _segmentation(
    nwbfile: pynwb.NWBFile,
    name: str,
    n_rois: int,
    imaging_rate: float | None,
    ids: list[int] | None,
    columns: dict[str, Any],
) -> tuple[Any, Any]:
    module, segmentation, plane = _imaging(nwbfile, imaging_rate)
    if name in segmentation.plane_segmentations:
        return module, segmentation[name]
    table = segmentation.create_plane_segmentation(name=name, description="cells", imaging_plane=plane)
    for column in columns:
        table.add_column(column, column)
    for i in range(n_rois):
        row = {column: values[i] for column, values in columns.items()}
        table.add_roi(pixel_mask=[(i, i, 1.0)], id=i if ids is None else ids[i], **row)
    return module, table


def _imaging(nwbfile: pynwb.NWBFile, imaging_rate: float | None) -> tuple[Any, Any, Any]:
    if "ophys" in nwbfile.processing:
        module = nwbfile.processing["ophys"]
        return module, module["ImageSegmentation"], nwbfile.imaging_planes["plane"]
    device = nwbfile.create_device("scope")
    channel = pynwb.ophys.OpticalChannel(name="green", description="green", emission_lambda=500.0)
    plane = nwbfile.create_imaging_plane(
        name="plane",
        optical_channel=channel,
        description="plane",
        device=device,
        excitation_lambda=900.0,
        indicator="GCaMP",
        location="V1",
        imaging_rate=imaging_rate,
    )
    module = nwbfile.create_processing_module("ophys", "ophys")
    segmentation = pynwb.ophys.ImageSegmentation()
    module.add(segmentation)
    return module, segmentation, plane
