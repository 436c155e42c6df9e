"""`Recording`: an open file whose neurons, intervals, stimuli and behaviour are loaded, and looked at."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd
import pynwb
import xarray as xr

from neurosparse.errors import InputError
from neurosparse.recordings import intervals, opening, quality, stimuli
from neurosparse.recordings.covariate import load_covariate
from neurosparse.recordings.intervals import Request
from neurosparse.recordings.load_report import LoadReport
from neurosparse.recordings.nwb import looking
from neurosparse.recordings.nwb.neurons import Align, Neurons, Stimulus


def open_nwb(path: str | os.PathLike[str] | pynwb.NWBFile) -> Recording:
    """Open an NWB file.

    Parameters
    ----------
    path : path-like, URL or pynwb.NWBFile
        A file of NWB 2 or later: HDF5, or Zarr with the extra ``zarr``; an http or https URL of one, with the extra
        ``remote``, of which only what is used is fetched and kept in the cache folder; or a pynwb object, which is
        yours to close.

    Returns
    -------
    Recording
        To be used in a ``with`` block, or closed by hand. It can be pickled: other processes open the file anew.

    Raises
    ------
    FileError
        If the file is missing, damaged, not NWB, or NWB 1; the message says which and what to do.
    DependencyError
        If URLs or Zarr stores need a package that is not installed, or nothing in the file can be read without an NWB
        extension that is not. Where some can, h5py alone reads tables and series, and a warning names the extension.

    Examples
    --------
    >>> import neurosparse
    >>> with neurosparse.open_nwb("session.nwb") as recording:  # doctest: +SKIP
    ...     print(recording)
    ...     x = recording.spikes(bin_width=0.01, align="trials", window=(-0.2, 0.5))
    """
    opened = opening.open_source(path)
    opened.report.emit()
    return Recording(opened)


class Recording(Neurons):
    """An open NWB file; made by `open_nwb`.

    Attributes
    ----------
    path : pathlib.Path or str
        Where the file is; a str if it is a URL.
    nwb_version : str
    nwbfile : pynwb.NWBFile
        For what is not a population; valid while the recording is open.
    session : str
        The file's session_id, else its identifier, else its name.
    report : LoadReport
        How the file was opened. Those of populations are in their provenance: see `report_of`.
    notes : list of str
        What is wrong with the file as a whole; what bears on one part stands in `contents`.
    """

    def __reduce__(self) -> tuple[Callable[..., Recording], tuple[str]]:
        return open_nwb, (opening.reopening(self._source),)

    def intervals(self, name: str = "trials") -> pd.DataFrame:
        """An interval table as a DataFrame, one row an interval.

        Parameters
        ----------
        name : str
            Name or path of a table of trials, epochs or presentations; of a table of events, which have a `timestamp`
            in place of start and stop; or of an IndexSeries, whose rows are the images it shows.

        Returns
        -------
        pandas.DataFrame
            Every column; text decoded, ragged cells as arrays, numbers that are stored as text ("0.04", "null") as
            numbers. The index holds the row ids.

        Raises
        ------
        MissingError
            If there is no such table; the message lists those there are.
        """
        with opening.reading(self._source):
            return intervals.as_frame(self._interval_table(name))

    def stimuli(self, name: str | None = None) -> xr.DataArray:
        """Images that were shown, lazily.

        Parameters
        ----------
        name : str, optional
            Name or path of an ImageSeries, OpticalSeries or Images; needed where there are several.

        Returns
        -------
        xarray.DataArray
            Dims (stimulus, row, column, channel). `stimulus` is 0 to n - 1, as an index column of trials counts.
            Pixels are read when asked for, also after the recording is closed.

        Raises
        ------
        MissingError
            If there are no images, or none of that name.
        InputError
            If several could be meant, or their pixels are in other files or differ in size.
        """
        part = self._contents().images(name)
        with opening.reading(self._source):
            return stimuli.open_stack(part.stack, self._source, self.session)

    def covariate(
        self,
        name: str,
        *,
        like: xr.DataArray,
        how: str | None = None,
        period: float | None = None,
        max_gap: float | None = None,
        repair: bool = False,
    ) -> xr.DataArray:
        """A time series, such as position, speed or pupil, on the clock of a population of this recording.

        Parameters
        ----------
        name : str
            Name or path of a series of one or two axes.
        like : population
            (time, unit), (trial, time, unit) or (trial, unit), as this recording gave it.
        how : {"linear", "nearest", "mean"}, optional
            The line between the samples on either side of each bin's centre, the nearest sample, or the mean over
            the bin. "linear" by default, "mean" for trials without time: over their windows.
        period : float, optional
            Length of one turn in the series' unit (``2 * np.pi``, 360): values are then averaged as directions, and
            lie between 0 and `period`.
        max_gap : float, optional
            Seconds between two samples that are bridged; five typical steps by default.
        repair : bool
            As in `calcium`.

        Returns
        -------
        xarray.DataArray
            Dims of the population's samples, and `component` for a series of several columns; float64, NaN where the
            series does not reach or has a gap. `population.restrict` takes it as it is.

        Raises
        ------
        MissingError
            If there is no such series.
        InputError
            If `like` does not say when its samples were, or arguments do not fit.
        """
        part = self._contents().find(name, "series", "series", "signals", "rois")
        report = LoadReport(warned=list(part.notes))
        options: dict[str, Any] = {"how": how, "period": period, "max_gap": max_gap, "repair": repair}
        x = load_covariate(part.series, like, origin=self._origin(part.path), report=report, **options)
        report.emit()
        return x

    def quality(
        self,
        *,
        align: Align = None,
        window: tuple[float, float] | None = None,
        baseline: tuple[float, float] | None = None,
        stimulus: Stimulus = None,
        units: str | Sequence[Any] | None = None,
        table: str | None = None,
        series: str | None = None,
        random_state: Any = 0,
    ) -> xr.Dataset:
        """A first look: each unit in numbers, and which questions so many stimuli and repeats can carry.

        Parameters
        ----------
        align, window, stimulus, units
            As in `spikes`; without `align` there is nothing about trials.
        baseline : (float, float), optional
            Seconds around the event to compare the window with; as long as it, just before it, if not given.
        table : str, optional
            Name or path of the units table; needed where there are several.
        series : str, optional
            Take this ROI or other (time, unit) series instead of spikes.
        random_state : int, numpy.random.Generator or None
            Of halves and resampled stimuli.

        Returns
        -------
        xarray.Dataset
            Over `unit`. Of spikes: ``n_spikes``, ``rate``, ``refractory``, ``drift``, ``coincidence``,
            ``duplicate_of``; of a series ``mean``, ``sd``, ``nan_share``; with trials ``response_p`` and
            ``responsive``; with repeats ``reliability`` and, for spikes, ``fano``. ``_low`` and ``_high`` are 95 %
            intervals. ``attrs["questions"]`` says what n supports; ``recordings.quality`` defines each.

        Raises
        ------
        MissingError, InputError
            As in `spikes` and `series`.
        """
        held, report = self._contents(), LoadReport()
        part = held.units(table) if series is None else held.find(series, "series", *looking.SERIES)
        variables, coords = looking.unit_facts(held, part, units, report)
        report.warn(*part.notes)
        facts: dict[str, Any] = {}
        if align is not None or series is not None:
            request = Request(align, window, None, units, stimulus)
            x, before = looking.responses(
                held, part, lambda one: self._asked(part, one, LoadReport()), request, baseline
            )
            if x is not None:
                more, facts = quality.of_trials(x, before, random_state)
                variables |= more
        report.emit()
        attrs = {"session": self.session, "source": f"{self._source.name}:{part.path}"}
        return quality.as_dataset(variables, coords, facts, attrs)

    def first_look(self) -> str:
        """`quality` of the units table and, where there are trials, of them, in a few lines; "" without one table."""
        held = self._contents()
        tables = [part for part in held.group("units") if "spike_times" in part.table.columns]
        if len(tables) != 1 or not tables[0].table.n_rows:
            return ""
        aligned = "trials" if any(part.path == "intervals/trials" for part in held.group("intervals")) else None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # each load says them again, to who asks for it
            try:
                return quality.told(self.quality(align=aligned))
            except InputError:
                return quality.told(self.quality())
