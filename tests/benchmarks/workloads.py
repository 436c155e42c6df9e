"""The recordings that the benchmarks read: written once, into a folder that they keep.

W1 has spikes and trials, W2 a calcium matrix and trials; sizes are arguments, so that a tiny one serves as a warm-up.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import h5py
import numpy as np
import pynwb
from pynwb.ophys import Fluorescence, ImageSegmentation, OpticalChannel, RoiResponseSeries

from neurosparse.files import content_key, write_whole

SAMPLING_RATE = 30_000.0


def units_file(folder: Path, *, n_units: int, seconds: float, rate: float, n_trials: int, seed: int = 0) -> Path:
    """Spikes on the samples of a 30 kHz clock, rates lognormal with mean `rate`, trials at random and overlapping."""

    def build(nwbfile: pynwb.NWBFile) -> None:
        rng = np.random.default_rng(seed)
        spread = rng.lognormal(sigma=1.0, size=n_units)
        counts = rng.poisson(spread / spread.mean() * rate * seconds)
        samples = [np.sort(rng.integers(0, int(seconds * SAMPLING_RATE), n)) for n in counts]
        times = pynwb.core.VectorData(
            name="spike_times", description="in seconds", data=np.concatenate(samples) / SAMPLING_RATE
        )
        index = pynwb.core.VectorIndex(name="spike_times_index", target=times, data=np.cumsum(counts))
        ids = pynwb.core.ElementIdentifiers(name="id", data=np.arange(n_units))
        nwbfile.units = pynwb.misc.Units(
            name="units",
            description="simulated",
            resolution=1 / SAMPLING_RATE,
            id=ids,
            columns=[times, index],
            colnames=["spike_times"],
        )
        _trials(nwbfile, np.sort(rng.uniform(1.0, seconds - 4.0, n_trials)), 2.0)

    return _written(folder, f"units-{n_units}-{seconds:g}-{rate:g}-{n_trials}-{seed}", build)


def rois_file(folder: Path, *, n_rois: int, n_frames: int, rate: float, n_trials: int, seed: int = 0) -> Path:
    """A float32 matrix (frame, ROI) of noise, stored whole as most writers do, and trials of 4 s at random."""

    def build(nwbfile: pynwb.NWBFile) -> None:
        rng = np.random.default_rng(seed)
        table = _segmentation(nwbfile, n_rois)
        region = table.create_roi_table_region("all", region=list(range(n_rois)))
        data = np.empty((n_frames, n_rois), np.float32)
        for first in range(0, n_frames, 1000):
            data[first : first + 1000] = rng.standard_normal(data[first : first + 1000].shape, dtype=np.float32)
        series = RoiResponseSeries(name="RoiResponseSeries", data=data, unit="lumens", rois=region, rate=rate)
        nwbfile.processing["ophys"].add(Fluorescence(roi_response_series=[series]))
        _trials(nwbfile, np.sort(rng.uniform(0.0, n_frames / rate - 4.5, n_trials)), 4.0)

    return _written(folder, f"rois-{n_rois}-{n_frames}-{rate:g}-{n_trials}-{seed}", build)


def _segmentation(nwbfile: pynwb.NWBFile, n_rois: int) -> pynwb.ophys.PlaneSegmentation:
    channel = OpticalChannel(name="green", description="green", emission_lambda=500.0)
    plane = nwbfile.create_imaging_plane(
        name="plane",
        optical_channel=channel,
        description="plane",
        device=nwbfile.create_device("scope"),
        excitation_lambda=900.0,
        indicator="GCaMP",
        location="V1",
    )
    segmentation = ImageSegmentation()
    nwbfile.create_processing_module("ophys", "ophys").add(segmentation)
    table = segmentation.create_plane_segmentation(name="cells", description="cells", imaging_plane=plane)
    for roi in range(n_rois):
        table.add_roi(pixel_mask=[(roi % 512, roi // 512, 1.0)])
    return table


def _trials(nwbfile: pynwb.NWBFile, starts: np.ndarray, length: float) -> None:
    nwbfile.add_trial_column("stimulus", "which stimulus")
    for trial, start in enumerate(starts):
        nwbfile.add_trial(start_time=float(start), stop_time=float(start + length), stimulus=trial % 10)


def _written(folder: Path, name: str, build) -> Path:
    """The file of this name and of this module's present text; made where it is not there."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{content_key(Path(__file__).read_bytes())[:8]}.nwb"
    if not path.exists():
        nwbfile = pynwb.NWBFile("a benchmark", name, datetime(2024, 1, 1, tzinfo=UTC))
        build(nwbfile)
        with write_whole(path) as temporary, pynwb.NWBHDF5IO(temporary, "w") as io:
            io.write(nwbfile)
    with h5py.File(path, "r", rdcc_nbytes=0) as file:  # into the page cache, so that the first run is like the others
        file.visititems(_touch)
    return path


def _touch(_: str, item: h5py.Dataset | h5py.Group) -> None:
    if isinstance(item, h5py.Dataset) and item.ndim and item.dtype.kind in "fiu":
        for first in range(0, len(item), 4096):
            item[first : first + 4096]
