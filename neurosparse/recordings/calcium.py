"""ROI series: which kind each is, which one is meant, and which ROIs are cells.

`Series` and `Table` enter, choices leave; values are read through `frames`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np

from neurosparse.errors import InputError, MissingError
from neurosparse.recordings.assembly import Measure
from neurosparse.recordings.load_report import LoadReport, some
from neurosparse.recordings.series import Series
from neurosparse.recordings.tables import Table

# Tried in order on the series' name, then on its container's: what a name must hold to be of a kind.
_NAMED = (
    ("raw", re.compile(r"neuropil_?(corr|subtr)", re.I)),
    ("deconvolved", re.compile(r"deconv|spks|inferred|spike_?(prob|rate|train)|oasis|cascade|mlspike", re.I)),
    ("events", re.compile(r"event", re.I)),
    ("neuropil", re.compile(r"neuropil|f_?neu|npil|surround", re.I)),
    ("dF/F", re.compile(r"d(elta)?_?f_?(over|by|[/_-])*_?f|(^|[^a-z])df($|[^a-z])", re.I)),
    ("raw", re.compile(r"fluorescence|raw|demixed|(^|_)f($|_)", re.I)),
)
KINDS = ("raw", "neuropil", "dF/F", "deconvolved", "events", "unknown")
_QUANTITY = {
    "deconvolved": "deconvolved activity",
    "events": "calcium events",
    "neuropil": "neuropil fluorescence",
    "dF/F": "dF/F",
    "raw": "fluorescence",
    "unknown": "calcium signal of unknown kind",
}


def classify(name: str, container: str = "", container_type: str = "") -> str:
    """Kind of a ROI series: raw, neuropil, dF/F, deconvolved, events or unknown.

    The series' own name decides; one that says nothing ("RoiResponseSeries", "activity") leaves it to the container's
    name, and that to the container's type, of which only DfOverF is telling: writers put every kind of series into a
    container of type Fluorescence.
    """
    for text in (name, container):
        for kind, pattern in _NAMED:
            if pattern.search(text):
                return kind
    return {"DfOverF": "dF/F"}.get(container_type, "unknown")


def kind_of(series: Series) -> str:
    """`classify` for a series."""
    return classify(series.name, series.container, series.container_type)


def measure_of(series: Series) -> Measure:
    """What the values of a ROI series are; dF/F is a ratio whatever unit the file gives it."""
    kind = kind_of(series)
    return Measure("calcium", _QUANTITY[kind], "1" if kind == "dF/F" else series.unit or "unknown")


def choose_kind(candidates: Sequence[Series], kind: str | None) -> list[Series]:
    """The candidates of one kind; all where `kind` is None.

    Raises
    ------
    InputError
        If `kind` is no kind.
    MissingError
        If there is none of it.
    """
    if kind is None:
        return list(candidates)
    known = {_key(name): name for name in KINDS}
    if _key(kind) not in known:
        raise InputError(f"kind must be one of {', '.join(KINDS)}; got {kind!r}.")
    chosen = [series for series in candidates if kind_of(series) == known[_key(kind)]]
    if candidates and not chosen:
        raise MissingError(
            f"no ROI series is of kind {known[_key(kind)]!r}; there are {listed(candidates)}. "
            "Choose one by series= if its name misleads"
            + (", or infer it with deconvolve='oasis'." if known[_key(kind)] == "deconvolved" else ".")
        )
    return chosen


def neuropil_of(series: Series, candidates: Sequence[Series], n_planes: int) -> Series:
    """The neuropil series around the ROIs of `series`: the only one of a single plane, else that of the same ROIs.

    Raises
    ------
    InputError
        If not exactly one of several stands on the same rows of the same ROI table.
    """
    if len(candidates) == n_planes == 1:
        return candidates[0]
    fits = [one for one in candidates if _same_rois(one, series)]
    if len(fits) != 1:
        raise InputError(
            f"{len(fits)} of {len(candidates)} neuropil series stand on the ROIs of {series.path!r}; one must. "
            f"There are {listed(candidates)}. Name one for each series: neuropil=(path, factor), or "
            "neuropil=([path, path], factor) for two planes."
        )
    return fits[0]


def _same_rois(one: Series, other: Series) -> bool:
    ours, theirs = one.region, other.region
    if ours is None or theirs is None or ours.target is None or theirs.target is None:
        return False
    return ours.target.path == theirs.target.path and np.array_equal(ours.values(), theirs.values())


def _key(kind: str) -> str:
    return re.sub(r"[^a-z]", "", str(kind).lower())


def listed(candidates: Sequence[Series]) -> str:
    """Paths with kinds, for messages."""
    return some([f"{series.path!r} ({kind_of(series)})" for series in candidates], 12)


def cells(table: Table | None, coords: Mapping[str, np.ndarray], path: str) -> np.ndarray:
    """Which units are marked as cells, by the columns iscell, accepted or rejected: bool, shape (unit,).

    Raises
    ------
    MissingError
        If the ROI table has none of these columns.
    """
    for name, meaning in (("iscell", True), ("is_cell", True), ("accepted", True), ("rejected", False)):
        if name in coords and coords[name].dtype.kind in "biuf":
            return (coords[name] > 0.5) == meaning
    have = "no ROI table" if table is None else f"columns {some(table.columns, 30) or 'none'}"
    raise MissingError(
        f"cells_only=True needs a column iscell, accepted or rejected for the ROIs of {path!r}; the file has {have}. "
        "Choose with units= instead."
    )


def doubtful_rate(series: Series) -> bool:
    """Whether a rate of exactly 1 Hz, which the imaging plane does not confirm, may be the frame index in disguise."""
    return series.timestamps is None and series.rate == 1.0 and series.expected_rate != 1.0


def check_rate(series: Series, report: LoadReport) -> None:
    """Warn of a doubtful rate."""
    if doubtful_rate(series):
        stated = (
            "no imaging rate" if series.expected_rate is None else f"an imaging rate of {series.expected_rate:g} Hz"
        )
        said = f" The file's comment on it: {series.comments!r}." if series.comments else ""
        report.warn(
            f"series {series.path!r} has a rate of exactly 1 Hz and its imaging plane states {stated}: its time is "
            f"likely the frame index, not seconds.{said}"
        )
