"""`Series`: what a file states of one time series, with the clock of its frames."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from neurosparse.errors import FileError
from neurosparse.recordings.load_report import LoadReport
from neurosparse.recordings.tables import Column


@dataclass(frozen=True)
class Series:
    """One time series of a file.

    Attributes
    ----------
    path, name, type : str
        Place in the file, name, neurodata type.
    container, container_type : str
        Name and neurodata type of what holds it.
    data : array-like
        Stored values; the first axis is time, save where a writer transposed it.
    rate, start : float or None
        Frames a second and the time of the first, where the clock is regular.
    timestamps : array-like or None
        Time of each frame in seconds, where it is not.
    conversion, offset : float
        A value in `unit` is ``stored * conversion * channel_conversion + offset``.
    channel_conversion : numpy.ndarray or None
        One factor a column.
    region : Column or None
        The table rows (ROIs, electrodes) that the columns stand for.
    area : str
        Where the imaging plane lies, "" where not stated.
    expected_rate : float or None
        Frame rate that the imaging plane states.
    """

    path: str
    name: str
    type: str
    container: str
    container_type: str
    data: Any
    rate: float | None
    start: float
    timestamps: Any
    conversion: float
    offset: float
    channel_conversion: np.ndarray | None
    unit: str
    description: str
    comments: str
    region: Column | None
    area: str
    expected_rate: float | None

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape as stored."""
        shape = getattr(self.data, "shape", None)
        return tuple(shape) if shape is not None else np.shape(self.data)

    @property
    def n_times(self) -> int:
        """Number of timestamps, or of frames where the clock is regular."""
        if self.timestamps is not None:
            return len(self.timestamps)
        return self.shape[int(self.looks_transposed)] if self.shape else 0

    @property
    def n_rows(self) -> int | None:
        """Number of table rows (ROIs, electrodes) that the columns stand for; None where none are named."""
        return None if self.region is None else self.region.shape[0]

    @property
    def looks_transposed(self) -> bool:
        """Whether the lengths of rois and timestamps fit (unit, time) alone."""
        if len(self.shape) != 2:
            return False
        upright, turned = self.fits()
        return turned and not upright

    def fits(self) -> tuple[bool, bool]:
        """Whether the lengths of rois and timestamps allow (time, unit), and whether (unit, time)."""
        n_stamps = None if self.timestamps is None else len(self.timestamps)
        upright, turned = (
            self.n_rows in (None, columns) and n_stamps in (None, rows)
            for rows, columns in (self.shape, self.shape[::-1])
        )
        return upright, turned

    def times(self, n_frames: int | None = None) -> np.ndarray:
        """Time of each frame in seconds, float64, shape (frame,).

        Raises
        ------
        FileError
            If the file gives the series no clock, or one that runs backwards or holds NaN.
        """
        if self.timestamps is not None:
            times = np.asarray(self.timestamps[:], dtype=np.float64)
            if not np.isfinite(times).all() or (np.diff(times) < 0).any():
                bad = int(np.sum(~np.isfinite(times)) + np.sum(np.diff(times) < 0))
                raise FileError(
                    f"timestamps of {self.path!r} must rise without NaN; {bad} of {len(times)} do not. "
                    "Give repair=True to leave out frames without a time and put the others in order, or mend the "
                    "clock first."
                )
            return times
        if self.rate is None or not self.rate > 0:
            raise FileError(
                f"series {self.path!r} has neither timestamps nor a positive rate (got {self.rate}), so its values "
                "cannot be placed in time. Read them through recording.nwbfile."
            )
        return self.start + np.arange(self.n_times if n_frames is None else n_frames) / self.rate

    def mended_times(self, n_frames: int, report: LoadReport) -> tuple[np.ndarray, np.ndarray | None]:
        """Times in rising order without NaN or repeats, and the stored frame of each; None where all stays as it is.

        Frames without a time are left out, and of several at one time all but the first; both are counted.
        """
        if self.timestamps is None:
            return self.times(n_frames), None
        stored = np.asarray(self.timestamps[:], dtype=np.float64)
        frames = np.flatnonzero(np.isfinite(stored))
        frames = frames[np.argsort(stored[frames], kind="stable")]
        first = np.diff(stored[frames], prepend=-np.inf) > 0
        moved, lost = int((np.diff(stored) < 0).sum()), len(stored) - len(frames)
        if moved or lost or not first.all():
            report.warn(
                f"the clock of {self.path!r} is mended: {lost} of {len(stored)} frames have no time and are left out, "
                f"{int((~first).sum())} repeat a time and are left out, the clock ran backwards {moved} times and its "
                "frames are put in order. If it was reset within the recording, the times are wrong."
            )
        frames = frames[first]
        return stored[frames], None if np.array_equal(frames, np.arange(len(stored))) else frames

    def extent(self) -> tuple[float, float] | None:
        """Time of the first and last frame in seconds, from two reads; None where there is no clock or no frame."""
        if self.timestamps is not None and self.n_times:
            first, last = float(self.timestamps[0]), float(self.timestamps[self.n_times - 1])
        elif self.rate and self.rate > 0 and self.n_times:
            first, last = self.start, self.start + (self.n_times - 1) / self.rate
        else:
            return None
        return (first, last) if np.isfinite([first, last]).all() else None
