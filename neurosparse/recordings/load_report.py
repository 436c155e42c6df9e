"""What a loader found, chose, assumed and dropped, gathered while it works and told once at the end.

Strings and numbers enter; one dict for `provenance`, a text for a person and one warning a point leave. Any file of
this room may import it.
"""

from __future__ import annotations

import sys
import textwrap
import warnings
from dataclasses import dataclass, field, fields
from typing import Any

import xarray as xr

from neurosparse import population
from neurosparse.errors import DataWarning

_PACKAGE = __name__.partition(".")[0]


@dataclass
class LoadReport:
    """Facts of one load; `print` shows them, `as_dict` gives them as plain data.

    Attributes
    ----------
    found : dict
        What was there to choose from. Told in provenance alone, like the next two.
    chosen : dict
        What was selected: table, series, window, ids.
    assumed : list of str
        What the file does not say and the loader took for granted.
    warned : list of str
        What was dropped, mended or is suspect, each with its count. Told in provenance and as a `DataWarning`.
    """

    found: dict[str, Any] = field(default_factory=dict)
    chosen: dict[str, Any] = field(default_factory=dict)
    assumed: list[str] = field(default_factory=list)
    warned: list[str] = field(default_factory=list)

    def find(self, **facts: Any) -> None:
        """Record what was there."""
        self.found.update(facts)

    def choose(self, **facts: Any) -> None:
        """Record what was selected."""
        self.chosen.update(facts)

    def assume(self, text: str) -> None:
        """Record what was taken for granted."""
        self.assumed.append(text)

    def warn(self, *texts: str) -> None:
        """Record what a reader of the numbers must know."""
        self.warned.extend(texts)

    def emit(self) -> None:
        """Issue the warnings, pointing at the line outside this package that asked for the load."""
        frame, level = sys._getframe(1), 2
        while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == _PACKAGE:
            frame, level = frame.f_back, level + 1
        for text in self.warned:
            warnings.warn(text, DataWarning, stacklevel=level)

    def as_dict(self) -> dict[str, Any]:
        """The parts, empty ones left out."""
        parts = {part.name: getattr(self, part.name) for part in fields(self)}
        return {name: part for name, part in parts.items() if part}

    def __str__(self) -> str:
        lines = []
        fill = textwrap.TextWrapper(116, initial_indent="  ", subsequent_indent="    ").fill
        for name, part in self.as_dict().items():
            points = [f"{key}: {value}" for key, value in part.items()] if isinstance(part, dict) else part
            lines += [name, *map(fill, points)]
        return "\n".join(lines) or "nothing to report"


def report_of(x: xr.DataArray) -> LoadReport:
    """The report of the load that a population came from, also of one that was saved and opened again.

    Parameters
    ----------
    x : population
        From `Recording.spikes`, `calcium` or `series`.

    Returns
    -------
    LoadReport
        Empty parts where the population's provenance holds none.

    Examples
    --------
    >>> from neurosparse.recordings import open_nwb, report_of
    >>> print(report_of(open_nwb("session.nwb").spikes(bin_width=0.1)))  # doctest: +SKIP
    """
    told = population.provenance(x)
    return LoadReport(**{part.name: told[part.name] for part in fields(LoadReport) if part.name in told})


def some(labels: Any, limit: int = 5) -> str:
    """The first few of `labels` as text: ``a, b, c and 4 more``."""
    labels = [str(label) for label in labels]
    shown = ", ".join(labels[:limit])
    return shown if len(labels) <= limit else f"{shown} and {len(labels) - limit} more"
