"""Steps that make traces of traces: neuropil taken away, dF/F, deconvolution, planes brought to one clock.

A `Source` of frames enters, another leaves; each reads what it needs of the one before, when it is read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from neurosparse.errors import DependencyError, InputError
from neurosparse.recordings.frames import GAP, SLACK, Source, frame_width
from neurosparse.recordings.load_report import LoadReport

CLOCKS = ("nearest", "linear", "bin")


@dataclass(frozen=True)
class _Step:
    """A step that keeps the frames' clock and units."""

    source: Source

    @property
    def path(self) -> str:
        return self.source.path

    @property
    def times(self) -> np.ndarray:
        return self.source.times

    @property
    def n_units(self) -> int:
        return self.source.n_units


@dataclass(frozen=True)
class Corrected(_Step):
    """Traces less a share of their neuropil: ``F - factor * F_neuropil``."""

    neuropil: Source
    factor: float

    def read(self, first: int, last: int) -> np.ndarray:
        """Frames `first` to `last`, (time, unit)."""
        return self.source.read(first, last) - self.factor * self.neuropil.read(first, last)


def correct(source: Source, neuropil: Source, factor: Any, report: LoadReport) -> Corrected:
    """Take `factor` times the neuropil away.

    Raises
    ------
    InputError
        If it has other frames or units, or `factor` is no number from 0 to 1.
    """
    if isinstance(factor, bool) or not isinstance(factor, int | float) or not 0 < factor <= 1:
        raise InputError(f"neuropil must be a factor above 0 and up to 1, such as 0.7; got {factor!r}.")
    theirs, ours = (len(neuropil.times), neuropil.n_units), (len(source.times), source.n_units)
    if theirs != ours or not np.allclose(neuropil.times, source.times, rtol=0, atol=SLACK * frame_width(source.times)):
        raise InputError(
            f"neuropil {neuropil.path!r} must have the clock and the units of {source.path!r}, (time, unit) = {ours}; "
            f"got {theirs}. Give neuropil=(path, factor) with the series that belongs to it."
        )
    told = {"series": neuropil.path, "factor": float(factor), "formula": "F - factor * F_neuropil"}
    before = report.chosen.get("neuropil")  # of another plane
    report.choose(neuropil=told if before is None else [*(before if isinstance(before, list) else [before]), told])
    return Corrected(source, neuropil, float(factor))


@dataclass(frozen=True)
class Relative(_Step):
    """``(F - F0) / F0`` with F0 the running percentile of `half` frames on either side and the frame itself."""

    percentile: float
    half: int

    def read(self, first: int, last: int) -> np.ndarray:
        """Frames `first` to `last`, (time, unit), float64; NaN where the baseline is not above 0."""
        low, high = max(first - self.half, 0), min(last + self.half, len(self.times))
        values = self.source.read(low, high).astype(np.float64)
        # at the ends of the recording the window shrinks; frames that are NaN do not count
        rolling = pd.DataFrame(values).rolling(2 * self.half + 1, center=True, min_periods=1)
        baseline = rolling.quantile(self.percentile / 100).to_numpy()[first - low : last - low]
        values = values[first - low : last - low]
        return np.divide(values - baseline, baseline, out=np.full(values.shape, np.nan), where=baseline > 0)


def relate(source: Source, baseline: Any, report: LoadReport) -> Relative:
    """dF/F over a running percentile, ``baseline=(percentile, seconds)``.

    Raises
    ------
    InputError
        If `baseline` is no such pair, or lasts less than three frames.

    Notes
    -----
    About half a microsecond a value and unit; reads half the window on either side of the frames asked for.
    """
    try:
        percentile, seconds = (float(entry) for entry in baseline)
    except (TypeError, ValueError):
        percentile, seconds = np.nan, np.nan
    width = frame_width(source.times)
    if not (0 <= percentile <= 100 and np.isfinite(seconds) and seconds >= 3 * width > 0):
        raise InputError(
            f"baseline must be a percentile and seconds of at least three frames ({3 * width:g} s), such as (8, 60); "
            f"got {baseline!r}."
        )
    half = max(round(seconds / width) // 2, 1)
    report.choose(baseline={"percentile": percentile, "seconds": seconds, "formula": "(F - F0) / F0", "half": half})
    return Relative(source, percentile, half)


@dataclass(frozen=True)
class Deconvolved(_Step):
    """Events inferred by a library from whole traces; they are kept once they are made."""

    library: str
    decay: float | None

    def read(self, first: int, last: int) -> np.ndarray:
        """Frames `first` to `last`, (time, unit), float64."""
        return self._events[first:last]

    @cached_property
    def _events(self) -> np.ndarray:
        from oasis.functions import deconvolve

        traces = self.source.read(0, len(self.times)).astype(np.float64)
        bad = np.flatnonzero(np.isnan(traces).any(axis=0))
        if len(bad):
            raise InputError(
                f"deconvolve needs whole traces; {len(bad)} of {traces.shape[1]} units of {self.path!r} hold NaN. "
                "Choose the others with units=."
            )
        decay = {} if self.decay is None else {"tau_d": self.decay, "framerate": 1 / frame_width(self.times)}
        events = np.stack([deconvolve(trace, penalty=1, **decay)[1] for trace in traces.T], axis=1)
        return np.maximum(events, 0.0)  # rounding leaves -1e-16 among them


def infer(source: Source, deconvolve: Any, report: LoadReport) -> Deconvolved:
    """Deconvolve with a library: ``"oasis"``, its time constant estimated, or ``("oasis", decay in seconds)``.

    Raises
    ------
    InputError
        If another one is named, or frames are missing.
    DependencyError
        If it is not installed.
    """
    library, decay = deconvolve if isinstance(deconvolve, tuple | list) and len(deconvolve) == 2 else (deconvolve, None)
    if library != "oasis" or not (decay is None or (isinstance(decay, int | float) and 0 < decay < np.inf)):
        raise InputError(f"deconvolve must be 'oasis' or ('oasis', decay in seconds); got {deconvolve!r}.")
    gaps = int((np.diff(source.times) > GAP * frame_width(source.times)).sum())
    if gaps:
        raise InputError(f"deconvolve needs a clock without gaps; that of {source.path!r} has {gaps}.")
    try:
        import oasis.functions  # noqa: F401
    except ImportError as error:
        raise DependencyError(
            "deconvolve='oasis' needs the package oasis-deconv, and nothing else is used in its stead. Install it "
            "with: pip install 'neurosparse[calcium]'"
        ) from error
    how = {"library": library, "decay": decay, "model": "AR(1), noise-constrained, l1", "of": source.path}
    report.choose(deconvolve=how)
    return Deconvolved(source, library, None if decay is None else float(decay))


@dataclass(frozen=True)
class Planes:
    """Several sources side by side on the clock of the first.

    Attributes
    ----------
    sources : sequence of Source
    how : {"nearest", "linear", "bin"}
    """

    sources: Sequence[Source]
    how: str

    @property
    def path(self) -> str:
        """Of the source whose clock it is."""
        return self.sources[0].path

    @property
    def times(self) -> np.ndarray:
        """Clock of the first."""
        return self.sources[0].times

    @property
    def n_units(self) -> int:
        """Of all."""
        return sum(source.n_units for source in self.sources)

    def read(self, first: int, last: int) -> np.ndarray:
        """Frames `first` to `last`, (time, unit), float64; NaN where a plane has none."""
        rest = [resample(source, self.times[first:last], self.how) for source in self.sources[1:]]
        return np.concatenate([self.sources[0].read(first, last).astype(np.float64), *rest], axis=1)


def resample(source: Source, times: np.ndarray, how: str) -> np.ndarray:
    """Values of `source` at `times` (seconds, rising), (time, unit), float64.

    ``nearest`` takes the nearest frame; ``linear`` the line between the frames before and after; ``bin`` the mean of
    the frames from each time up to the next. NaN where no frame is near: beyond half a frame for ``nearest``, beyond
    the ends or in a gap for ``linear``, in a bin without frames.
    """
    own, width = source.times, frame_width(source.times)
    slack = SLACK * width
    if not len(times) or not len(own):
        return np.full((len(times), source.n_units), np.nan)
    if how == "bin":
        edges = np.append(times, times[-1] + (frame_width(times) or width)) - slack
        at = np.searchsorted(own, edges)
        low, values = int(at[0]), source.read(int(at[0]), int(at[-1])).astype(np.float64)
        means = [values[a - low : b - low].mean(0) if b > a else np.nan for a, b in pairwise(at)]
        return np.stack([np.broadcast_to(mean, source.n_units) for mean in means])
    after = np.clip(np.searchsorted(own, times), 1, max(len(own) - 1, 1))
    before = after - 1
    after = np.minimum(after, len(own) - 1)
    low, high = int(before.min()), int(after.max()) + 1
    values = source.read(low, high).astype(np.float64)
    if how == "nearest":
        nearest = np.where(times - own[before] <= own[after] - times + slack, before, after)  # of two the earlier
        result = values[nearest - low]
        result[np.abs(own[nearest] - times) > 0.5 * width + slack] = np.nan
        return result
    step = own[after] - own[before]
    share = np.divide(times - own[before], step, out=np.zeros(len(times)), where=step > 0)[:, None]
    result = values[before - low] * (1 - share) + values[after - low] * share
    on = np.clip(np.round(share), 0, 1)[:, 0].astype(int)  # a time on a frame takes it, though its neighbour be NaN
    frame = np.where(on, after, before)
    exact = np.abs(own[frame] - times) <= slack
    result[exact] = values[frame[exact] - low]
    outside = (times < own[0] - slack) | (times > own[-1] + slack) | ((step > GAP * width) & ~exact)
    result[outside] = np.nan
    return result


def typical_offset(own: np.ndarray, clock: np.ndarray) -> float:
    """Median seconds from the frames of `clock` to the nearest of `own`."""
    after = np.clip(np.searchsorted(own, clock), 1, max(len(own) - 1, 1))
    apart = np.stack([own[after - 1] - clock, own[np.minimum(after, len(own) - 1)] - clock])
    return float(np.median(np.take_along_axis(apart, np.abs(apart).argmin(0)[None], axis=0)))
