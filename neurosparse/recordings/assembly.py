"""The last step of every loader: values, unit coords and windows become a labelled population."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from neurosparse import population
from neurosparse.recordings.intervals import Request, Windows, trial_coords
from neurosparse.recordings.load_report import LoadReport
from neurosparse.recordings.tables import Table


@dataclass(frozen=True)
class Origin:
    """Where a population comes from: the session, the file's name and facts about it, the place in the file."""

    session: str
    file: str
    facts: Mapping[str, Any]
    path: str


@dataclass(frozen=True)
class Measure:
    """What the values are: `kind` of population ("" where none fits), quantity and unit of measure."""

    kind: str
    quantity: str
    units: str


@dataclass(frozen=True)
class Load:
    """One load, as every loader is told of it.

    Attributes
    ----------
    request : Request
        What is asked for.
    find : callable
        Gives the interval table of a name.
    origin : Origin
    report : LoadReport
        Gets what was found, chosen, assumed and dropped.
    """

    request: Request
    find: Callable[[str], Table]
    origin: Origin
    report: LoadReport

    def windows(self) -> Windows | None:
        """The windows asked for; None where nothing is aligned to."""
        return None if self.request.align is None else self.request.windows(self.find, self.report)


def assemble(
    load: Load,
    values: np.ndarray,
    unit_coords: Mapping[str, np.ndarray],
    measure: Measure,
    *,
    windows: Windows | None = None,
    time: np.ndarray | None = None,
    bin_width: float | None = None,
) -> xr.DataArray:
    """Label `values`; which of `windows` and `time` are given says which dims they have."""
    origin, report = load.origin, load.report
    dims = (*(("trial",) if windows is not None else ()), *(("time",) if time is not None else ()), "unit")
    coords = {name: ("unit", entries) for name, entries in unit_coords.items()}
    if windows is not None:
        trials = trial_coords(windows.table, windows.rows, load.request.stimulus, unit_coords, report)
        coords |= {name: ("trial", entries) for name, entries in trials.items()}
    x = population.from_arrays(
        values,
        dims=dims,
        time=time,
        coords=coords,
        kind=measure.kind or "simulated",
        quantity=measure.quantity,
        units=measure.units,
        session=origin.session,
        source=f"{origin.file}:{origin.path}",
        bin_width=bin_width,
        provenance={"file": dict(origin.facts), "path": origin.path, **report.as_dict()},
    )
    if not measure.kind:
        del x.attrs["kind"]  # neither spikes nor calcium, and from_arrays knows no other kind of recording
    return x
