"""pynwb series as `Series`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pynwb

from neurosparse.recordings.series.stored import Series
from neurosparse.recordings.tables import read_region, stated_number


def read_series(series: pynwb.TimeSeries, path: str) -> Series:
    """Wrap a pynwb series; `path` is its place in the file. Reads no values."""
    region = getattr(series, "rois", None)
    if region is None:
        region = getattr(series, "electrodes", None)
    plane = getattr(getattr(region, "table", None), "imaging_plane", None)
    parent = series.parent
    factor = getattr(series, "channel_conversion", None)
    start = series.starting_time
    return Series(
        path=path,
        name=series.name,
        type=series.neurodata_type,
        container=getattr(parent, "name", ""),
        container_type=getattr(parent, "neurodata_type", ""),
        data=series.data if series.data is not None else np.empty(0),
        rate=None if series.rate is None else float(series.rate),
        start=0.0 if start is None else float(start),
        timestamps=series.timestamps,
        conversion=stated_number(series.conversion, 1.0),
        offset=stated_number(getattr(series, "offset", None), 0.0),
        channel_conversion=None if factor is None else np.asarray(factor[:]),
        unit=str(series.unit or ""),
        description=_stated(series.description),
        comments=_stated(series.comments),
        region=None if region is None else read_region(region),
        area=_stated(getattr(plane, "location", None)),
        expected_rate=stated_number(getattr(plane, "imaging_rate", None), None),
    )


def _stated(text: Any) -> str:
    """`text`, or "" for the phrases that writers put where nothing is stated."""
    text = str(text or "").strip()
    return "" if text.lower() in {"unknown", "no description", "no comments", "none", "n/a", "nan"} else text
