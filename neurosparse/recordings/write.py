"""Spike times, a trials table and images enter; a valid NWB file leaves, whole or not at all.

Imports pynwb, ``files`` and ``errors``; ``simulation`` may use this module, and no other of this room.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from hdmf.backends.hdf5 import H5DataIO
from hdmf.common import ElementIdentifiers, VectorData, VectorIndex
from pynwb import NWBHDF5IO, NWBFile
from pynwb.epoch import TimeIntervals
from pynwb.file import Subject
from pynwb.image import ImageSeries
from pynwb.misc import Units

from neurosparse.errors import FileError, InputError
from neurosparse.files import content_key, write_whole

# A recording that never took place has no date of its own, and a fixed one keeps two writes of the same data alike.
_NOMINAL_START = datetime(2000, 1, 1, tzinfo=UTC)
# "P0D/" is any age from birth on: the ISO form of "unknown".
# A species must be a Latin name or a term of the NCBI taxonomy, which has one for "unidentified".
_NOMINAL_SUBJECT = {
    "subject_id": "unknown",
    "species": "http://purl.obolibrary.org/obo/NCBITaxon_32644",
    "sex": "U",
    "age": "P0D/",
    "description": "not stated",
}
_UNITS_RESERVED = ("spike_times", "obs_intervals", "id", "electrodes", "electrode_group", "waveforms")
_GZIP: dict[str, Any] = {"compression": "gzip", "compression_opts": 4, "shuffle": True}


def write_recording(
    path: str | os.PathLike[str],
    *,
    spike_times: Sequence[np.ndarray],
    intervals: pd.DataFrame | None = None,
    images: np.ndarray | None = None,
    units: pd.DataFrame | None = None,
    obs_intervals: Sequence[np.ndarray] | None = None,
    session: str = "",
    description: str = "written by neurosparse",
    columns: Mapping[str, str] | None = None,
    resolution: float | None = None,
    start: datetime = _NOMINAL_START,
    subject: Mapping[str, str] | None = None,
    overwrite: bool = False,
) -> Path:
    """Write spike times, a trials table and images as one NWB file.

    Parameters
    ----------
    path : path-like
        The file to write, by custom ``*.nwb``.
    spike_times : sequence of (spike,) arrays
        One ascending array of seconds a unit, none negative. An empty array is a unit that never fired.
    intervals : DataFrame, optional
        The trials: ``start_time`` and ``stop_time`` in seconds and any scalar columns (bool, int, float, str).
    images : uint8 array, (stimulus, row, column) or (stimulus, row, column, channel of 1 or 3), optional
        What was shown: frame i of the stimulus template ``images`` is stimulus i.
    units : DataFrame, optional
        One row a unit, in the order of `spike_times`: scalar columns; the index gives the ids, whole numbers.
        The column ``location`` is where readers look for the area.
    obs_intervals : sequence of (interval, 2) arrays, optional
        For each unit, when it was observed (start, stop in seconds). Outside them a silence means nothing.
    session : str
        Session id.
    description : str
        What the session was, in a sentence.
    columns : mapping of str to str, optional
        A description for any column of `intervals` or `units`.
    resolution : float, optional
        Smallest step between two spike times, in seconds (1 / sampling rate).
    start : datetime with a time zone
        When the session began. The default, 1 January 2000, is nominal.
    subject : mapping, optional
        Fields of ``pynwb.file.Subject``; by default the file says that the subject is unknown.
    overwrite : bool
        Whether an existing file may be replaced.

    Returns
    -------
    pathlib.Path
        `path`.

    Raises
    ------
    InputError
        If lengths disagree, a time is negative, not finite or out of order, a table column is not scalar or
        holds missing text, or `images` are not uint8 of the shape above.
    FileError
        If `path` exists and `overwrite` is False, or its folder does not exist.

    Notes
    -----
    A failure leaves no new file and an old one whole. The same input gives the same data, dates and identifier;
    only the object ids, which NWB draws at random, differ. Images are an ``ImageSeries`` of nominal rate 1 Hz:
    pynwb has no faster form, and nwbinspector takes a stack of fewer images than they have rows for transposed.
    Cost: about 1 s for 5 million spikes and 2,500 images of 48 x 48 x 3, and one copy of the spike times.
    """
    target = Path(path)
    if target.exists() and not overwrite:
        raise FileError(f"cannot write {target}: it exists. Give another name, or overwrite=True to replace it.")
    spikes = _checked_spikes(spike_times)
    texts = dict(columns or {})
    table = _units_table(spikes, units, obs_intervals, texts, resolution)
    trials = None if intervals is None else _trials_table(intervals, texts)
    series = None if images is None else _image_series(np.asarray(images))
    file = NWBFile(
        session_description=description,
        identifier=_identifier(spikes, intervals, images, session),
        session_start_time=start,
        file_create_date=start,
        session_id=session or None,
        subject=Subject(**(subject or _NOMINAL_SUBJECT)),
        units=table,
        trials=trials,
    )
    if series is not None:
        file.add_stimulus_template(series)
    with write_whole(target) as temporary, NWBHDF5IO(temporary, "w") as io:
        io.write(file)
    return target


def _checked_spikes(spike_times: Sequence[np.ndarray]) -> list[np.ndarray]:
    if len(spike_times) == 0:
        raise InputError("spike_times needs one array a unit; got none. A silent unit is an empty array.")
    return [_checked_times(times, f"spike_times[{unit}]") for unit, times in enumerate(spike_times)]


def _checked_times(times: np.ndarray, name: str) -> np.ndarray:
    values = np.asarray(times, dtype=np.float64)
    if values.ndim != 1:
        raise InputError(f"{name} needs one dim (spike,); got shape {values.shape}.")
    bad = ~np.isfinite(values) | (values < 0)
    if bad.any():
        raise InputError(
            f"{name} needs finite times of 0 s or later; got {values[bad][0]} at index {int(np.argmax(bad))} "
            f"({bad.sum()} such). Drop them, or shift the clock so that the session starts at 0."
        )
    falls = np.flatnonzero(np.diff(values) < 0)
    if falls.size:
        raise InputError(
            f"{name} needs ascending times; index {falls[0] + 1} ({values[falls[0] + 1]} s) is before "
            f"the one it follows ({values[falls[0]]} s). Sort with np.sort."
        )
    return values


def _units_table(
    spikes: list[np.ndarray],
    units: pd.DataFrame | None,
    obs_intervals: Sequence[np.ndarray] | None,
    texts: Mapping[str, str],
    resolution: float | None,
) -> Units:
    if units is not None and len(units) != len(spikes):
        raise InputError(f"units needs one row for each of the {len(spikes)} spike_times; got {len(units)} rows.")
    frame = pd.DataFrame(index=range(len(spikes))) if units is None else units
    clash = [name for name in frame.columns if name in _UNITS_RESERVED]
    if clash:
        raise InputError(f"units has a column {clash[0]!r}, a name that NWB reserves. Rename it.")
    parts = [*_ragged("spike_times", "the spike times of each unit, in seconds", spikes)]
    if obs_intervals is not None:
        observed = _checked_observed(obs_intervals, len(spikes))
        parts += _ragged("obs_intervals", "when each unit was observed, (start, stop) in seconds", observed)
    parts += [_column(frame[name], "units", texts) for name in frame.columns]
    return Units(
        name="units",
        description="recorded units",
        resolution=resolution,
        id=ElementIdentifiers(name="id", data=_ids(frame.index)),
        columns=parts,
        colnames=[part.name for part in parts if not isinstance(part, VectorIndex)],
    )


def _ragged(name: str, text: str, rows: list[np.ndarray]) -> tuple[VectorData, VectorIndex]:
    data = np.concatenate(rows)
    # An empty dataset cannot be chunked, so it is not compressed either.
    stored = H5DataIO(data, chunks=(min(len(data), 1 << 16), *data.shape[1:]), **_GZIP) if len(data) else data
    values = VectorData(name=name, description=text, data=stored)
    ends = np.cumsum([len(row) for row in rows], dtype=np.uint64)
    return values, VectorIndex(name=f"{name}_index", target=values, data=ends)


def _checked_observed(obs_intervals: Sequence[np.ndarray], n_units: int) -> list[np.ndarray]:
    if len(obs_intervals) != n_units:
        raise InputError(f"obs_intervals needs one array for each of {n_units} units; got {len(obs_intervals)}.")
    checked = []
    for unit, rows in enumerate(obs_intervals):
        values = np.asarray(rows, dtype=np.float64)
        if values.ndim != 2 or values.shape[1] != 2 or not (values[:, 0] < values[:, 1]).all():
            raise InputError(
                f"obs_intervals[{unit}] needs dims (interval, 2) with start before stop, in seconds; "
                f"got shape {values.shape}. Give np.array([[start, stop], ...])."
            )
        checked.append(values)
    return checked


def _ids(index: pd.Index) -> np.ndarray:
    if not pd.api.types.is_integer_dtype(index.dtype) or not index.is_unique:
        raise InputError(
            f"units needs unique whole numbers as its index, the unit ids; got dtype {index.dtype}, "
            f"first label {index[0]!r}. Keep other labels as a column and use units.reset_index()."
        )
    return index.to_numpy(dtype=np.int64)


def _trials_table(intervals: pd.DataFrame, texts: Mapping[str, str]) -> TimeIntervals:
    missing = [name for name in ("start_time", "stop_time") if name not in intervals.columns]
    if missing or len(intervals) == 0:
        raise InputError(
            f"intervals needs rows and the columns start_time and stop_time, in seconds; "
            f"got {len(intervals)} rows of {', '.join(map(str, intervals.columns)) or 'no columns'}."
        )
    begin, end = (intervals[name].to_numpy(dtype=np.float64) for name in ("start_time", "stop_time"))
    bad = ~(np.isfinite(begin) & np.isfinite(end) & (end >= begin))
    if bad.any():
        row = int(np.argmax(bad))
        raise InputError(
            f"intervals needs finite times with stop_time not before start_time; row {row} has "
            f"{begin[row]} to {end[row]} ({bad.sum()} such rows). Drop or mend them."
        )
    names = ["start_time", "stop_time", *(n for n in intervals.columns if n not in ("start_time", "stop_time"))]
    known = {"start_time": "start of the trial, in seconds", "stop_time": "end of the trial, in seconds", **texts}
    return TimeIntervals(
        name="trials",
        description="trials",
        id=ElementIdentifiers(name="id", data=np.arange(len(intervals))),
        columns=[_column(intervals[name], "intervals", known) for name in names],
        colnames=names,
    )


def _column(values: pd.Series, table: str, texts: Mapping[str, str]) -> VectorData:
    name = values.name
    if not isinstance(name, str) or not name or "/" in name:
        raise InputError(f"{table} has a column named {name!r}; a name is text without '/'. Rename it.")
    kind = values.dtype.kind if isinstance(values.dtype, np.dtype) else "O"
    data = values.to_numpy() if kind in "biuf" else _strings(values, f"{table} column {name!r}")
    return VectorData(name=name, description=texts.get(name, name), data=data)


def _strings(values: pd.Series, name: str) -> list[str]:
    cells: Iterable[object] = values.to_list()
    for row, cell in enumerate(cells):
        if not isinstance(cell, str):
            raise InputError(
                f"{name} needs scalars of one type (bool, int, float or text); got dtype {values.dtype} with "
                f"{cell!r} ({type(cell).__name__}) in row {row}. Split it into scalar columns, or fill it with text."
            )
    return list(values)


def _image_series(images: np.ndarray) -> ImageSeries:
    depth = images.shape[3] if images.ndim == 4 else 1
    if images.dtype != np.uint8 or images.ndim not in (3, 4) or depth not in (1, 3) or 0 in images.shape:
        raise InputError(
            f"images needs uint8 with dims (stimulus, row, column) or (stimulus, row, column, channel of 1 or 3); "
            f"got {images.dtype} of shape {images.shape}."
        )
    frames = max(1, (1 << 20) // int(np.prod(images.shape[1:])))
    chunks = (min(frames, len(images)), *images.shape[1:])
    return ImageSeries(
        name="images",
        description="stimulus images; frame i is stimulus i",
        data=H5DataIO(images, chunks=chunks, **_GZIP),
        unit="n.a.",
        format="raw",
        starting_time=0.0,
        rate=1.0,
    )


def _identifier(
    spikes: list[np.ndarray], intervals: pd.DataFrame | None, images: np.ndarray | None, session: str
) -> str:
    # Named by what the file holds: the same data give the same identifier, other data another.
    table = "" if intervals is None else intervals.to_csv(index=False)
    pixels = b"" if images is None else np.ascontiguousarray(images).tobytes()
    return content_key(session, table, pixels, *(times.tobytes() for times in spikes))
