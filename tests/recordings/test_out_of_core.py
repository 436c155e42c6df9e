"""A calcium matrix larger than what may be held is cut to trials and averaged in bounded memory."""

import json
import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from nwb_parts import rois, trials

from neurosparse import open_nwb, population
from neurosparse.errors import DataWarning

pytest.importorskip("dask")
DATA = "processing/ophys/Fluorescence/RoiResponseSeries/data"
RATE, LENGTH, N_STIMULI = 30.0, 2.0, 8

# What a process of its own does: the average by stimulus, and the most memory that took above the imports.
AVERAGE = """
import json, sys, warnings
import numpy as np
from neurosparse import open_nwb, population
warnings.simplefilter("ignore")
def run(path):
    with open_nwb(path) as recording:
        x = recording.calcium(align="trials", window=(0, float(sys.argv[3])), stimulus="stimulus", chunks="auto")
    return population.average(x), x.nbytes
def kept(field):
    line = next(line for line in open("/proc/self/status") if line.startswith(field))
    return int(line.split()[1]) * 1024
run(sys.argv[1])
open("/proc/self/clear_refs", "w").write("5")
before = kept("VmRSS")
means, n_bytes = run(sys.argv[2])
print(json.dumps({"peak": kept("VmHWM") - before, "aligned": n_bytes, "sum": float(means.sum())}))
"""


def write_large(write_nwb, name, n_rois, n_frames):
    """Noise that does not compress, in chunks, written block by block; trials back to back through all of it."""
    n_trials = int(n_frames / RATE / LENGTH) // N_STIMULI * N_STIMULI
    path = write_nwb(
        rois(np.zeros((2, n_rois), np.float32), n_rois, rate=RATE),
        trials(np.arange(n_trials) * LENGTH, stimulus=np.arange(n_trials) % N_STIMULI),
        name=name,
    )
    rng = np.random.default_rng(0)
    total = 0.0
    with h5py.File(path, "r+") as file:
        attrs = dict(file[DATA].attrs)
        del file[DATA]
        data = file.create_dataset(DATA, (n_frames, n_rois), np.float32, chunks=(64, n_rois))
        data.attrs.update(attrs)
        for first in range(0, n_frames, 4096):
            block = rng.standard_normal((min(4096, n_frames - first), n_rois), dtype=np.float32)
            data[first : first + len(block)] = block
            inside = block[: max(int(n_trials * LENGTH * RATE) - first, 0)]
            total += float(inside.sum(dtype=float))
    return path, total / (n_trials / N_STIMULI)


def averaged(tiny, path):
    done = subprocess.run(
        [sys.executable, "-c", AVERAGE, str(tiny), str(path), str(LENGTH)],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="peak memory is read from /proc")
def test_a_large_matrix_is_averaged_in_a_part_of_its_size(write_nwb):
    """480 MB through 4 trials' blocks; the same code with the values in memory would take all of it and more."""
    tiny, _ = write_large(write_nwb, "tiny.nwb", 4, 960)
    path, expected = write_large(write_nwb, "large.nwb", 1000, 120_000)
    found = averaged(tiny, path)
    assert found["aligned"] == 480e6
    assert found["peak"] < 0.6 * found["aligned"]
    assert found["sum"] == pytest.approx(expected, rel=1e-4)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="peak memory is read from /proc")
def test_20_gb_are_averaged_in_under_1_gb(write_nwb):
    tiny, _ = write_large(write_nwb, "tiny.nwb", 4, 960)
    path, expected = write_large(write_nwb, "large.nwb", 5000, int(os.environ.get("NEUROSPARSE_FRAMES", "1000020")))
    found = averaged(tiny, path)
    print(found)
    assert found["peak"] < 1e9
    assert found["sum"] == pytest.approx(expected, rel=1e-4)


def test_streamed_averages_are_those_in_memory(write_nwb, monkeypatch):
    rng = np.random.default_rng(1)
    values = rng.standard_normal((300, 3))
    values[40:45, 1] = np.nan
    path = write_nwb(rois(values, 3), trials(np.arange(14) * 2.0, stimulus=[3, 1, 2, 1, 3, 3, 2, 1, 1, 2, 3, 1, 2, 3]))
    request = {"align": "trials", "window": (0, 1.0), "stimulus": "stimulus"}
    monkeypatch.setattr("neurosparse.population.averaging.STREAMED", 70)
    weights = rng.random(14)
    with open_nwb(path) as recording:
        whole, lazily = recording.calcium(**request), recording.calcium(chunks=4, **request)
    for options in ({}, {"weights": weights}):
        with pytest.warns(DataWarning, match="averages by stimulus leave them out"):
            expected = population.average(whole, **options)
        with pytest.warns(DataWarning, match="5 of 420 values are NaN; averages leave them out, and 0 of 90"):
            streamed = population.average(lazily, **options)
        np.testing.assert_allclose(streamed, expected)
        assert streamed.drop_attrs().coords.equals(expected.drop_attrs().coords)
    empty = lazily.where(lazily["stimulus"] != 2)
    with pytest.warns(DataWarning, match="30 of 90 averages are NaN"):
        assert np.isnan(population.average(empty).sel(stimulus=2)).all()
