"""A time series on the clock of a population: position, speed, pupil or an angle, a value for each of its samples.

`Series` and a population enter, a DataArray on the population's sample dims leaves.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from neurosparse import population
from neurosparse.errors import InputError
from neurosparse.recordings.assembly import Origin
from neurosparse.recordings.frames import SLACK, Frames, frame_width
from neurosparse.recordings.load_report import LoadReport
from neurosparse.recordings.series import Series, orient

HOW = ("linear", "nearest", "mean")
# Two samples of behaviour further apart than this many typical steps have a gap between them.
MISSING = 5.0


def load_covariate(
    series: Series,
    like: xr.DataArray,
    *,
    how: str | None,
    period: float | None,
    max_gap: float | None,
    repair: bool,
    origin: Origin,
    report: LoadReport,
) -> xr.DataArray:
    """What `Recording.covariate` gives, from one series."""
    if how not in (None, *HOW):
        raise InputError(f"how must be one of {', '.join(HOW)}; got {how!r}.")
    if period is not None and not (np.isfinite(period) and period > 0):
        raise InputError(f"period must be the length of one turn in the series' own unit, such as 360; got {period!r}.")
    starts, stops, dims = session_times(like)
    reduced = "time" not in dims
    how = how or ("mean" if reduced else "linear")
    if reduced and how != "mean":
        raise InputError(f"samples without time are windows, over which a covariate is averaged; got how={how!r}.")
    frames = _frames(series, repair, report)
    times, values = frames.times, frames.read(0, len(frames.times)).astype(np.float64)
    if not len(times):
        raise InputError(f"series {series.path!r} holds no values. Nothing can be brought to the population's clock.")
    if period is not None:
        values = np.exp(2j * np.pi * values / period)
    limit = MISSING * frame_width(times) if max_gap is None else max_gap
    if how == "mean":
        made = means(times, values, starts.ravel(), stops.ravel(), limit)
    else:
        made = interpolated(times, values, (starts + stops).ravel() / 2, how, limit)
    if period is not None:
        made = np.where(np.isnan(made), np.nan, np.angle(made) / (2 * np.pi) * period % period)
    unknown = np.isnan(made).any(1)
    if unknown.any():
        report.warn(
            f"{series.path!r} is NaN at {int(unknown.sum())} of {len(unknown)} samples of the population: it runs from "
            f"{times[0]:g} to {times[-1]:g} s, and gaps of more than {limit:g} s are not bridged."
        )
    report.choose(how=how, period=period, max_gap=limit)
    return _labelled(made.reshape(*starts.shape, -1), dims, like, series, origin, report)


def _frames(series: Series, repair: bool, report: LoadReport) -> Frames:
    turned, n_times, _ = orient(series, None, report)
    times, rows = series.mended_times(n_times, report) if repair else (series.times(n_times), None)
    return Frames(series, turned, None, times, rows)


def _labelled(
    values: np.ndarray, dims: tuple[str, ...], like: xr.DataArray, series: Series, origin: Origin, report: LoadReport
) -> xr.DataArray:
    """On the dims and coords of the samples; several columns get the dim `component`."""
    coords: dict[Any, Any] = {name: like[name].variable for name in like.coords if set(like[name].dims) <= set(dims)}
    if values.shape[-1] == 1:
        values = values[..., 0]
    else:
        dims = (*dims, "component")
        names = np.array(["x", "y", "z"])[: values.shape[-1]] if values.shape[-1] <= 3 else np.arange(values.shape[-1])
        coords["component"] = ("component", names)
    x = xr.DataArray(values, dims=dims, coords=coords, name=series.name)
    x.attrs = {
        "quantity": series.name,
        "units": series.unit or "unknown",
        "session": origin.session,
        "source": f"{origin.file}:{origin.path}",
    }
    return population.record(x, "covariate", file=dict(origin.facts), path=origin.path, **report.as_dict())


def session_times(like: xr.DataArray) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Start and stop of each sample of a population in seconds of the recording, and the dims they lie on.

    Bins last ``attrs["bin_width"]``; without one they are instants. Trials begin where their table's column says, which
    the population's provenance names.

    Raises
    ------
    InputError
        If the population does not say when its samples were.
    """
    population.check(like)
    if like.dims[0] == "stimulus":
        raise InputError("samples of a stimulus average lie at no one time. Bring a covariate to the trials first.")
    half = float(like.attrs.get("bin_width", 0.0)) / 2
    if like.dims[:-1] == ("time",):
        centres = like["time"].values
        return centres - half, centres + half, ("time",)
    chosen = population.provenance(like).get("chosen", {})
    column, window = chosen.get("align_column", "start_time"), chosen.get("window")
    if column not in like.coords:
        column = f"{str(chosen.get('align', '')).rpartition('/')[2]}_{column}"
    if column not in like.coords or like[column].dims != ("trial",):
        raise InputError(
            "the population does not say when its trials were: it needs the coord start_time on trial, or that of the "
            "column it was aligned to. Take it from a recording, or assign it."
        )
    events = like[column].values.astype(np.float64)
    if "time" in like.dims:
        centres = events[:, None] + like["time"].values
        return centres - half, centres + half, ("trial", "time")
    if window in (None, "row"):
        if "stop_time" not in like.coords:
            raise InputError("the population does not say when its trials ended: it needs the coord stop_time.")
        return events, like["stop_time"].values.astype(np.float64), ("trial",)
    return events + window[0], events + window[1], ("trial",)


def interpolated(times: np.ndarray, values: np.ndarray, at: np.ndarray, how: str, limit: float) -> np.ndarray:
    """`values` (sample, column) at the times `at`, on the line between neighbours or those of the nearest sample.

    NaN beyond the first and last sample and between samples more than `limit` seconds apart.
    """
    after = np.clip(np.searchsorted(times, at), min(1, len(times) - 1), len(times) - 1)
    before = np.maximum(after - 1, 0)
    step = times[after] - times[before]
    share = np.divide(at - times[before], step, out=np.zeros(len(at)), where=step > 0)
    share = np.clip(np.round(share) if how == "nearest" else share, 0, 1)[:, None]
    with np.errstate(invalid="ignore"):
        made = np.where(share == 0, values[before], np.where(share == 1, values[after], 0))
        between = (share > 0) & (share < 1)
        made = np.where(between, values[before] * (1 - share) + values[after] * share, made)
    typical = frame_width(times)
    outside = (at < times[0] - SLACK * typical) | (at > times[-1] + SLACK * typical)
    on_sample = np.minimum(np.abs(at - times[before]), np.abs(at - times[after])) <= SLACK * typical
    return np.where((outside | ((step > limit) & ~on_sample))[:, None], np.nan, made)


def means(times: np.ndarray, values: np.ndarray, starts: np.ndarray, stops: np.ndarray, limit: float) -> np.ndarray:
    """Mean of the samples with ``start <= time < stop``, (span, column).

    A span between two samples, with none inside, takes the line between them at its middle. NaN where a span leaves
    the series or reaches into a gap of more than `limit` seconds.
    """
    slack = SLACK * frame_width(times)
    first, last = np.searchsorted(times, starts - slack), np.searchsorted(times, stops - slack)
    made = np.full((len(starts), values.shape[1]), np.nan, values.dtype)
    for span in np.flatnonzero(last > first):
        made[span] = values[first[span] : last[span]].mean(0)
    empty = last <= first
    made[empty] = interpolated(times, values, (starts[empty] + stops[empty]) / 2, "linear", limit)
    typical = frame_width(times)
    gaps = np.flatnonzero(np.diff(times) > limit)  # each lasts from a step after one sample to the next
    entered = np.searchsorted(times[gaps] + typical, stops - slack)
    in_gap = entered > np.searchsorted(times[gaps + 1], starts + slack, side="right")
    made[in_gap | (starts < times[0] - typical - slack) | (stops > times[-1] + typical + slack)] = np.nan
    return made
