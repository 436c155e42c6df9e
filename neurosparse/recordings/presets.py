"""Named choices of units: what many mean by a good unit, as queries on whatever a file calls its columns.

The name of a preset and the names of columns enter, a query leaves. Measures of quality have no agreed names, scales or
bounds, so a preset is never applied unless it is asked for, and the query that it became stands in the provenance.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from neurosparse.errors import MissingError
from neurosparse.recordings.load_report import LoadReport, some
from neurosparse.recordings.units import match_ids

# Conditions that must all hold, each in several wordings: the first whose column is there is taken. `isi_violation` and
# `contamination` are left out, since files mean a ratio, a share or a percentage by them.
PRESETS: dict[str, tuple[tuple[str, ...], ...]] = {
    # Called a single unit by whoever looked; a curator's word goes before the sorter's own.
    "good": (("quality == 'good'", "KSLabel == 'good'", "is_sua == True", "is_good == True"),),
    # What AllenSDK applies unless told otherwise (allensdk/brain_observatory/ecephys, UNIT_FILTER_DEFAULTS); the ISI
    # ratio of Hill, Mehta and Kleinfeld (2011) is `isi_violations` there and `isi_violations_ratio` in SpikeInterface.
    "allen": (
        ("amplitude_cutoff <= 0.1",),
        ("presence_ratio >= 0.95",),
        ("isi_violations <= 0.5", "isi_violations_ratio <= 0.5"),
    ),
}


def chosen_rows(coords: Mapping[str, np.ndarray], units: Any, path: str, report: LoadReport) -> np.ndarray:
    """Rows of the units that a query, a preset or a list of ids asks for; all where `units` is None.

    Parameters
    ----------
    coords : mapping of name to array (unit,)
        Of all units, `unit` and `unit_id` among them.
    units : str, sequence of ids or None
        As in `Recording.spikes`.
    path : str
        The table's or series', for messages.
    report : LoadReport
        Gets the choice, and how many units it leaves.
    """
    query = as_query(units, coords, path, report)
    rows = match_ids(coords, query, path)
    if query is not None:
        report.choose(units=query if isinstance(query, str) else list(query), n_units=[len(rows), len(coords["unit"])])
    return rows


def as_query(units: Any, columns: Collection[str], path: str, report: LoadReport) -> Any:
    """`units` itself, or the query that it names where it is a preset and no column is called so.

    Parameters
    ----------
    units : str, sequence of ids or None
        As in `Recording.spikes`.
    columns : collection of str
        Names of the unit coords.
    path : str
        The table's, for messages.
    report : LoadReport
        Gets the preset and its query.

    Raises
    ------
    MissingError
        If the table has none of the columns that a condition needs.
    """
    if not isinstance(units, str) or units in columns or units not in PRESETS:
        return units
    query = " and ".join(_worded(condition, units, columns, path) for condition in PRESETS[units])
    report.choose(units_preset=units)
    return query


def _worded(condition: tuple[str, ...], preset: str, columns: Collection[str], path: str) -> str:
    fits = [wording for wording in condition if _column(wording) in columns]
    if not fits:
        raise MissingError(
            f"units={preset!r} needs a column {' or '.join(map(_column, condition))}; {path!r} has "
            f"{some(columns, 30)}. Write a query on these instead."
        )
    return fits[0]


def _column(wording: str) -> str:
    return wording.split()[0]
