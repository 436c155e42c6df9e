"""Which axis of the stored values is time."""

from __future__ import annotations

from neurosparse.errors import InputError
from neurosparse.recordings.load_report import LoadReport
from neurosparse.recordings.series.stored import Series


def orient(series: Series, transposed: bool | None, report: LoadReport) -> tuple[bool, int, int]:
    """Which axis of the stored values is time.

    Parameters
    ----------
    series : Series
    transposed : bool or None
        Whether the values are stored (unit, time); None to find out from the lengths of `rois` and `timestamps`.
    report : LoadReport

    Returns
    -------
    transposed : bool
    n_times, n_units : int

    Raises
    ------
    InputError
        If the values have no two axes, fit neither way round, or fit both.
    """
    shape = series.shape
    if len(shape) == 1 and shape[0]:
        return False, shape[0], 1
    if len(shape) != 2 or 0 in shape:
        raise InputError(
            f"series {series.path!r} must have one axis of time and one of units; its values have shape {shape}. "
            "Read it through recording.nwbfile."
        )
    if transposed is None:
        transposed = _turned(series, report)
    rows, columns = shape[::-1] if transposed else shape
    return transposed, rows, columns


def _turned(series: Series, report: LoadReport) -> bool:
    upright, turned = series.fits()
    stamps = "a rate and no timestamps" if series.timestamps is None else f"{len(series.timestamps)} timestamps"
    stated = f"{series.n_rows or 'no number of'} units and {stamps}"
    if not upright and not turned:
        raise InputError(
            f"values of {series.path!r} have shape {series.shape}, which fits neither (time, unit) nor (unit, time): "
            f"the file states {stated}. Give transposed=False or True to take the axes as they are."
        )
    if upright and turned and series.n_rows is not None:
        raise InputError(
            f"values of {series.path!r} have shape {series.shape} and the file states {stated}, so time could be "
            "either axis. Give transposed=False for (time, unit) as NWB asks, transposed=True for (unit, time)."
        )
    if turned and not upright:
        report.warn(
            f"series {series.path!r} is stored (unit, time) = {series.shape}: the file states {stated}. "
            "It is transposed."
        )
    return turned and not upright
