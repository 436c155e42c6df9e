"""Who the units are: unique labels, brain areas from wherever the file keeps them, and choosing by query or id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from neurosparse import population
from neurosparse.errors import InputError, MissingError
from neurosparse.recordings.load_report import LoadReport, some
from neurosparse.recordings.tables import Column, Table

# Unit columns that may name an area, best first; the first is taken before what electrodes say.
AREA_COLUMNS = ("area", "brain_area", "brain_region", "region", "structure", "location")
NOWHERE = frozenset({"", "unknown", "n/a", "na", "none", "nan", "null", "not available"})


def unit_labels(ids: np.ndarray, path: str, report: LoadReport) -> np.ndarray:
    """`ids` where they are unique, else text with a number after each repeat: ``7``, ``7-2``, ``7-3``."""
    if len(np.unique(ids)) == len(ids):
        return ids
    seen: dict[str, int] = {}
    labels: list[str] = []
    for name in map(str, ids):
        seen[name] = seen.get(name, 0) + 1
        labels.append(name if seen[name] == 1 else f"{name}-{seen[name]}")
    report.warn(
        f"{len(ids) - len(np.unique(ids))} of {len(ids)} ids of {path!r} are repeats; units are labelled "
        "id, id-2, ... and keep the file's ids in unit_id."
    )
    if len(set(labels)) < len(labels):  # an id that looks like one of our labels
        labels = [f"{row}:{label}" for row, label in enumerate(labels)]
    return np.array(labels)


def unit_areas(table: Table, report: LoadReport) -> tuple[np.ndarray, str]:
    """Area of each unit, "" where nothing states it, and the source that was used.

    Sources in order: a column `area`, the location of the peak channel (`peak_channel_id`, an id of an electrode), of
    the electrodes, of the electrode group, then columns called brain_area, brain_region, region, structure or
    location. A source that names no area is passed over. A unit on electrodes of several areas gets the most frequent
    one, and is counted. Areas that are known better go over these with ``x.assign_coords(area=("unit", areas))``.
    """
    first, *rest = AREA_COLUMNS
    for source in (first, "peak_channel_id", "electrodes", "electrode_group", *rest):
        own = LoadReport()
        if source in ("electrodes", "peak_channel_id"):
            areas = _from_electrodes(table, source, own)
        elif source == "electrode_group":
            areas = _from_groups(table.columns.get(source))
        else:
            areas = _from_column(table, source)
        if areas is not None and any(_names_area(area) for area in areas):
            report.warn(*own.warned)
            return areas, source
    return np.full(table.n_rows, "", dtype="U1"), ""


def _names_area(text: str) -> bool:
    return text.strip().lower() not in NOWHERE


def _from_column(table: Table, name: str) -> np.ndarray | None:
    values = table.scalar(name) if name in table.columns else None
    return values if values is not None and values.dtype.kind == "U" else None


def _from_groups(column: Column | None) -> np.ndarray | None:
    if column is None or column.ragged:
        return None
    return np.array([str(getattr(group, "location", "") or "") for group in column.data[:]], dtype=str)


def _from_electrodes(table: Table, name: str, report: LoadReport) -> np.ndarray | None:
    column = table.columns.get(name)
    if column is None or column.target is None or len(column.ends) > 1:
        return None
    locations = _from_column(column.target, "location")
    if locations is None:
        return None
    areas, several, beyond = [], 0, 0
    for electrodes in column.rows():
        index = np.atleast_1d(electrodes).astype(np.int64)
        if column.by_id:
            index = positions(column.target.ids, index)
        inside = index[(index >= 0) & (index < len(locations))]
        beyond += len(inside) < len(index)
        names, counts = np.unique(locations[inside], return_counts=True)
        several += len(names) > 1
        areas.append(names[counts.argmax()] if len(names) else "")
    if several:
        report.warn(
            f"{several} of {len(areas)} units of {table.path!r} lie on electrodes of several areas; "
            "area is the most frequent one."
        )
    if beyond:
        report.warn(
            f"{beyond} of {len(areas)} units of {table.path!r} name electrodes that are not in the electrode table "
            f"({len(locations)} rows)."
        )
    return np.array(areas, dtype=str)


def positions(ids: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Where each of `wanted` stands among `ids`; -1 where it does not."""
    place = {one: row for row, one in enumerate(ids.tolist())}
    return np.array([place.get(one, -1) for one in wanted.tolist()], dtype=np.int64)


def match_ids(coords: Mapping[str, np.ndarray], units: str | Sequence[Any] | None, path: str) -> np.ndarray:
    """Rows of the units that a query or a list of ids asks for, in the file's order for a query, else in the list's.

    Raises
    ------
    MissingError
        If an id or a name in the query does not exist.
    InputError
        If nothing is left.
    """
    n_units = len(coords["unit"])
    if units is None:
        return np.arange(n_units)
    if isinstance(units, str):
        return _match_query(coords, units)
    ids = np.asarray(coords["unit_id"])
    wanted = list(np.atleast_1d(units))
    if not wanted:
        raise InputError(f"units=[] asks for none of the {n_units} units of {path!r}. Leave it out to load all.")
    places = [np.flatnonzero(ids == one) for one in wanted]
    absent = [one for one, place in zip(wanted, places, strict=True) if not len(place)]
    if absent:
        raise MissingError(
            f"{len(absent)} of {len(wanted)} unit ids are not in {path!r}: {some(absent)}. "
            f"Its {n_units} ids: {some(ids, 12)}."
        )
    return np.concatenate(places)


def _match_query(coords: Mapping[str, np.ndarray], query: str) -> np.ndarray:
    """Let the population's own query language choose, on a population of no values."""
    n_units = len(coords["unit"])
    labels = {name: ("unit", values) for name, values in coords.items()}
    labels["row_in_table"] = ("unit", np.arange(n_units))
    frame = population.from_arrays(np.empty((0, n_units)), dims=("time", "unit"), time=np.empty(0), coords=labels)
    return population.select(frame, query)["row_in_table"].values


def count_areas(table: Table) -> str:
    """Areas of the units with their counts, most frequent first, for a person."""
    areas, _ = unit_areas(table, LoadReport())
    names, counts = np.unique(areas, return_counts=True)
    if not any(names):
        return "not stated"
    order = np.argsort(-counts, kind="stable")
    return some([f"{names[i] or 'not stated'} {counts[i]}" for i in order], 8)
