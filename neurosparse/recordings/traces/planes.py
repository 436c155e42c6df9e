"""Several planes of one recording, each with its own clock, brought to one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from neurosparse.errors import InputError
from neurosparse.recordings import steps
from neurosparse.recordings.frames import Source
from neurosparse.recordings.load_report import LoadReport
from neurosparse.recordings.series import Series


def on_one_clock(
    made: Sequence[tuple[Source, dict[str, np.ndarray]]], planes: Sequence[Series], clock: Any, report: LoadReport
) -> tuple[Source, dict[str, np.ndarray]]:
    """Several planes on the clock of the first; units get the coords `plane` and `time_offset`."""
    if clock not in steps.CLOCKS:
        raise InputError(
            f"{len(planes)} ROI series have a clock each: clock= says how they are brought to that of the first, one "
            f"of {', '.join(steps.CLOCKS)}; got {clock!r}. Or load them one by one."
        )
    sources = [source for source, _ in made]
    names = [series.name for series in planes]
    if len(set(names)) < len(names):
        names = [series.path for series in planes]
    columns = []
    for (source, coords), name in zip(made, names, strict=True):
        n = source.n_units
        offset = steps.typical_offset(source.times, sources[0].times)
        labels = np.array([f"{name}:{unit}" for unit in coords["unit"]])
        columns.append(coords | {"unit": labels, "plane": np.full(n, name), "time_offset": np.full(n, offset)})
    shared = [name for name in columns[0] if all(name in one for one in columns)]
    left_out = sorted({name for one in columns for name in one} - set(shared))
    report.choose(clock={"how": clock, "of": planes[0].path, "planes": [series.path for series in planes]})
    if left_out:
        report.choose(columns_left_out=left_out)
    return steps.Planes(sources, clock), {name: np.concatenate([one[name] for one in columns]) for name in shared}
