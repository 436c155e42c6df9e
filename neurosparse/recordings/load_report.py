"""What a loader chose, assumed and dropped, gathered while it works and told once at the end.

Strings and numbers enter; one dict for `provenance` and one warning a point leave. Any file of this room may import it.
"""

from __future__ import annotations

import sys
import warnings
from dataclasses import dataclass, field
from typing import Any

from neurosparse.errors import DataWarning

_PACKAGE = __name__.partition(".")[0]


@dataclass
class LoadReport:
    """Facts of one load.

    Attributes
    ----------
    chosen : dict
        What was selected: table, series, window, ids. Told in provenance alone.
    assumed : list of str
        What the file does not say and the loader took for granted. Told in provenance alone.
    warned : list of str
        What was dropped, mended or is suspect, each with its count. Told in provenance and as a `DataWarning`.
    """

    chosen: dict[str, Any] = field(default_factory=dict)
    assumed: list[str] = field(default_factory=list)
    warned: list[str] = field(default_factory=list)

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
        """The three parts, empty ones left out."""
        parts = {"chosen": self.chosen, "assumed": self.assumed, "warned": self.warned}
        return {name: part for name, part in parts.items() if part}


def some(labels: Any, limit: int = 5) -> str:
    """The first few of `labels` as text: ``a, b, c and 4 more``."""
    labels = [str(label) for label in labels]
    shown = ", ".join(labels[:limit])
    return shown if len(labels) <= limit else f"{shown} and {len(labels) - limit} more"
