"""Loading neurons: one method a kind of part, which chooses what is meant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import xarray as xr

from neurosparse.recordings import opening
from neurosparse.recordings.binned import load_binned
from neurosparse.recordings.intervals import Request
from neurosparse.recordings.nwb.open_file import OpenFile
from neurosparse.recordings.spikes import load_spikes
from neurosparse.recordings.traces import load_rois, load_series, load_trials

Align = str | tuple[str, str] | None
Stimulus = str | Sequence[str] | None


class Neurons(OpenFile):
    """The part of `Recording` that gives populations."""

    def spikes(
        self,
        *,
        bin_width: float | None = None,
        align: Align = None,
        window: tuple[float, float] | None = None,
        reduce: str | None = None,
        units: str | Sequence[Any] | None = None,
        stimulus: Stimulus = None,
        table: str | None = None,
        sampling_rate: float | None = None,
        quantity: str = "count",
        kernel: tuple[str, float] | None = None,
        min_rate: float = 0.0,
        chunks: int | str | None = None,
    ) -> xr.DataArray:
        """Spike counts, or firing rates, of the units table.

        Bin k counts the spikes t with ``start + k * bin_width <= t < start + (k + 1) * bin_width``: a spike on an edge
        belongs to the bin that starts there, whatever float error time and edge carry.

        Parameters
        ----------
        bin_width : float, optional
            Seconds; needed unless `reduce` is "sum" or "rate".
        align : str or (str, str), optional
            Interval table, or table and column of event times; a row is a trial. ``start_time`` unless named.
        window : (float, float), optional
            Seconds around the event. Without `align`, seconds of the recording. With `reduce`, each row's own start to
            stop if not given.
        reduce : {"sum", "mean", "rate"}, optional
            One number a trial: spikes in the window, mean spikes a bin, or spikes a second.
        units : str or sequence, optional
            A query on the unit coords, or ids as in the file; or a preset: "good", what the columns quality, KSLabel,
            is_sua or is_good call so, the first that is there; "allen", ``amplitude_cutoff <= 0.1 and presence_ratio
            >= 0.95 and isi_violations <= 0.5``.
        stimulus : str or sequence of str, optional
            Column of the interval table that names what was shown. Several make a label a combination
            (``orientation=90, contrast=0.8``), "blank" where none has a value. Unless given, the first column called
            stimulus, stimulus_id, image_name, stimulus_condition_id or frame that has a value in every row, else the
            position of the image that an IndexSeries shows within each row.
        table : str, optional
            Name or path of the units table; needed where there are several. Also of a SpikeEventSeries, whose
            threshold crossings are one unit, or of spikes kept as counts (ndx-binned-spikes), which come with their
            own bins, events and conditions.
        sampling_rate : float, optional
            Samples a second. Spike times are then whole samples; taken from the file where it states a resolution.
        quantity : {"count", "rate"}
            Of each bin: its spikes, or spikes a second.
        kernel : (str, float), optional
            Smooths the rates. Symmetric: ``("gaussian", sd)``, ``("boxcar", width)``; causal, so that no bin sees
            what comes after it: ``("half-gaussian", sd)``, ``("exponential", time constant)``; in seconds. Spikes
            around the window are read too, and bins that were not observed weigh nothing.
        min_rate : float
            Leave out units that fire less, in Hz over the time they were observed. 0 keeps silent ones too.
        chunks : int or "auto", optional
            A population backed by dask (extra ``dask``), counted when asked for: entries of its first dim a block.

        Returns
        -------
        xarray.DataArray
            Population (time, unit), (trial, time, unit) or (trial, unit). Counts are uint16 (uint32 above 65,535),
            float32 where some are NaN: bins outside a unit's obs_intervals, or outside the session where it has none.
            Rates of bins are float32. Silent units are zeros.

        Raises
        ------
        MissingError
            If there are no units, spike times, tables or columns of that name.
        InputError
            If arguments do not fit together.

        Notes
        -----
        Spike times are read once, whole; time then goes with the spikes inside the windows plus the number of bins.
        Times that are NaN or infinite are dropped, unsorted ones sorted, negative ones kept (they lie before the
        file's zero), and so are those that equal the one before: each is counted in a `DataWarning`, which
        ``warnings.simplefilter("error", DataWarning)`` turns into an error.
        """
        request = Request(align, window, reduce, units, stimulus)
        part = self._contents().units(table, counted=True)
        if part.group == "binned":
            fixed = {"sampling_rate": sampling_rate, "kernel": kernel, "min_rate": min_rate or None, "chunks": chunks}
            asked = {"bin_width": bin_width, "quantity": quantity, "fixed": fixed}
            return self._load(load_binned, part, part.binned, request, **asked)
        request.checked()
        options: dict[str, Any] = {"bin_width": bin_width, "sampling_rate": sampling_rate}
        options |= {"quantity": quantity, "kernel": kernel, "min_rate": min_rate, "chunks": chunks}
        with opening.reading(self._source):
            options["extents"] = self._held.extents()
        return self._load(load_spikes, part, part.table, request, **options)

    def calcium(
        self,
        series: str | Sequence[str] | None = None,
        *,
        kind: str | None = None,
        cells_only: bool = False,
        align: Align = None,
        window: tuple[float, float] | None = None,
        reduce: str | None = None,
        units: str | Sequence[Any] | None = None,
        stimulus: Stimulus = None,
        transposed: bool | None = None,
        repair: bool = False,
        bin_width: float | None = None,
        neuropil: float | tuple[str | Sequence[str], float] | None = None,
        baseline: tuple[float, float] | None = None,
        deconvolve: str | tuple[str, float] | None = None,
        clock: str | None = None,
        chunks: int | str | None = None,
    ) -> xr.DataArray:
        """Traces of a ROI series, in the unit of measure that the file states: ``stored * conversion + offset``.

        Parameters
        ----------
        series : str or sequence of str, optional
            Name or path; needed where there are several. Of several, such as the planes of one recording, `clock`
            says how they are brought together.
        kind : {"raw", "neuropil", "dF/F", "deconvolved", "events", "unknown"}, optional
            Take the one series of this kind, by what it and its container are called.
        cells_only : bool
            Leave out ROIs that the columns iscell, accepted or rejected mark as no cells.
        align, window, reduce, units, stimulus
            As in `spikes`; "mean" and "sum" are over the frames of the window, "rate" is their sum a second.
        transposed : bool, optional
            Whether values are stored (roi, time); found from the lengths of rois and timestamps if not given.
        repair : bool
            Put a clock in order that runs backwards, and leave out frames without a time or at a time that was
            already; both are counted. Otherwise such a clock is an error.
        bin_width : float, optional
            Seconds over which frames are averaged; a bin with a NaN frame, or none, is NaN.
        neuropil : float or (str or sequence of str, float), optional
            Take this share of the neuropil away, ``F - factor * F_neuropil``: of the series around the same ROIs, the
            file's only one for a single series, or of those named, one for each series.
        baseline : (float, float), optional
            Percentile and seconds: ``(F - F0) / F0``, F0 the running percentile of as many seconds around each frame.
        deconvolve : "oasis" or ("oasis", float), optional
            Events inferred by the package oasis-deconv (extra ``calcium``), with its estimate of the decay or this one
            in seconds. The three steps are done in this order, on whole traces, and stand in the provenance.
        clock : {"nearest", "linear", "bin"}, optional
            Bring several series to the clock of the first: the nearest frame, the line between two, or the mean of the
            frames up to the next tick. Without names, all series of `kind`. Units get the coords `plane` and
            `time_offset`, the typical seconds from a tick to the plane's own nearest frame.
        chunks : int or "auto", optional
            A population backed by dask (extra ``dask``), read when asked for: entries of its first dim a block.

        Returns
        -------
        xarray.DataArray
            Population (time, unit), (trial, time, unit) or (trial, unit). NaN frames stay NaN.

        Raises
        ------
        MissingError
            If there are no ROI series, none of that kind, or no column that marks cells.
        InputError
            If several could be meant, or their orientation cannot be told.
        """
        request = Request(align, window, reduce, units, stimulus).checked()
        held = self._contents()
        parts = held.roi_parts(series, kind, several=clock is not None)
        options: dict[str, Any] = {"transposed": transposed, "cells_only": cells_only, "repair": repair}
        options |= {"baseline": baseline, "deconvolve": deconvolve, "clock": clock}
        options |= {"bin_width": bin_width, "chunks": chunks}
        if neuropil is not None:
            options["neuropil"] = held.neuropil(neuropil, [part.series for part in parts])
        notes = [note for part in parts for note in part.notes]
        part = replace(parts[0], path=" + ".join(part.path for part in parts), notes=notes)
        return self._load(load_rois, part, [part.series for part in parts], request, **options)

    def series(
        self,
        name: str,
        *,
        align: Align = None,
        window: tuple[float, float] | None = None,
        reduce: str | None = None,
        units: str | Sequence[Any] | None = None,
        stimulus: Stimulus = None,
        transposed: bool | None = None,
        repair: bool = False,
        bin_width: float | None = None,
        chunks: int | str | None = None,
    ) -> xr.DataArray:
        """Any time series of one or two axes, its columns as units.

        Parameters
        ----------
        name : str
            Name or path.
        align, window, reduce, units, stimulus, transposed, repair, bin_width, chunks
            As in `calcium`. A series with one sample a row of an interval table (its timestamps are the start times,
            or each lies inside its row) is a vector a trial: it needs no window and has all the table's columns. Give
            a window without `align`, in seconds of the recording, to have it over time instead.

        Returns
        -------
        xarray.DataArray
            Population (time, unit), (trial, unit) or (trial, time, unit).

        Raises
        ------
        MissingError, InputError
            As in `calcium`.
        """
        request = Request(align, window, reduce, units, stimulus)
        part = self._contents().find(name, "series", "series", "signals", "rois", "presentations", "crossings")
        # One sample a row of an interval table is the trial's vector, unless windows are asked for.
        table = None
        if window is None and reduce is None and (align is None or isinstance(align, str)):
            table = self._held.sampled_rows(part, align)
        if table is not None:
            return self._load(load_trials, part, part.series, request, table=table, transposed=transposed)
        options: dict[str, Any] = {"bin_width": bin_width, "chunks": chunks}
        return self._load(
            load_series, part, part.series, request.checked(), transposed=transposed, repair=repair, **options
        )
