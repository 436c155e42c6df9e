"""Write a small NWB file, damage it, and see what loading makes of it: each damage in a process of its own.

Beside it stands what h5py alone makes of the same bytes: a file that it reads as before must load as before.
Run as ``python -m tests.fuzz_worker WAY FOLDER FIRST LAST ...``: cases FIRST to LAST - 1 of the file in FOLDER, damaged
"anywhere" or in its "values", a line of JSON each; as many such jobs as are given. The process imports once and forks
for each case, with limits on time and memory.
"""

from __future__ import annotations

import faulthandler
import hashlib
import json
import os
import resource
import signal
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pynwb
import xarray as xr
from pynwb.testing.mock.file import mock_NWBFile
from pynwb.testing.mock.ophys import mock_PlaneSegmentation

import neurosparse
from neurosparse.errors import NeurosparseError

SECONDS, MEMORY = 30, 6 << 30


def write_session(path: Path, *, checksums: bool) -> Path:
    """Six units, eight trials, four ROIs and a series; with checksums on data, and on metadata where HDF5 has them.

    The newest HDF5 format has checksums for its metadata and fletcher32 for chunks. It has none for the heap that holds
    text of variable length, nor for scalars; so text gets a fixed length, and scalars lie compact in the metadata.
    """
    plain = path.with_suffix(".plain.nwb")
    with pynwb.NWBHDF5IO(plain, "w") as io:
        io.write(_session(), cache_spec=False)
    with h5py.File(plain, "r") as old, h5py.File(path, "w", libver="latest") as new:
        _copy(old, new, checksums)
        _refer(old, new)
    plain.unlink()
    return path


def _session() -> pynwb.NWBFile:
    rng = np.random.default_rng(0)
    nwbfile = mock_NWBFile(session_start_time=datetime(2024, 1, 1, tzinfo=UTC), session_id="s1", identifier="fuzz")
    nwbfile.add_unit_column("depth", "depth in um")
    for unit in range(6):
        nwbfile.add_unit(spike_times=np.sort(rng.uniform(0, 10, 40)), depth=100.0 * unit, obs_intervals=[[0.0, 10.0]])
    nwbfile.add_trial_column("image", "what was shown")
    for trial in range(8):
        nwbfile.add_trial(start_time=float(trial), stop_time=trial + 0.5, image=trial % 3)
    segmentation = mock_PlaneSegmentation(n_rois=4, nwbfile=nwbfile)
    region = segmentation.create_roi_table_region(region=[0, 1, 2, 3], description="all")
    traces = pynwb.ophys.RoiResponseSeries(
        name="traces", data=rng.standard_normal((100, 4)), rois=region, unit="1", rate=10.0
    )
    nwbfile.processing["ophys"].add(pynwb.ophys.Fluorescence(roi_response_series=traces))
    nwbfile.add_acquisition(
        pynwb.TimeSeries(name="wheel", data=rng.standard_normal((50, 2)), unit="m", timestamps=np.arange(50) / 5.0)
    )
    return nwbfile


def _copy(old: h5py.Group, new: h5py.Group, checksums: bool) -> None:
    for name, item in old.items():
        link = old.get(name, getlink=True)
        if isinstance(link, h5py.SoftLink):
            new[name] = h5py.SoftLink(link.path)
        elif isinstance(item, h5py.Group):
            _copy(item, new.create_group(name), checksums)
        elif h5py.check_ref_dtype(item.dtype) is None:
            values = item.asstr()[()] if item.dtype.kind == "O" else item[()]
            if item.dtype.kind == "O":
                values = np.char.encode(np.asarray(values).astype(str), "utf-8")
            _write(new, name, np.asarray(values), checksums)


def _write(group: h5py.Group, name: str, values: np.ndarray, checksums: bool) -> None:
    if checksums and values.ndim and values.size:
        group.create_dataset(name, data=values, chunks=values.shape, fletcher32=True)
    elif values.ndim:
        group.create_dataset(name, data=values)
    else:
        layout = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        layout.set_layout(h5py.h5d.COMPACT)
        kind, space = h5py.h5t.py_create(values.dtype, logical=True), h5py.h5s.create(h5py.h5s.SCALAR)
        h5py.Dataset(h5py.h5d.create(group.id, name.encode(), kind, space, layout))[()] = values


def _refer(old: h5py.File, new: h5py.File) -> None:
    """Attributes, and references, which can be made once all objects are there."""

    def carry(name: str, item: h5py.Group | h5py.Dataset) -> None:
        for key, value in item.attrs.items():
            if isinstance(value, h5py.Reference):
                value = new[old[value].name].ref
            elif isinstance(value, str):
                value = np.bytes_(value.encode())
            elif isinstance(value, np.ndarray) and value.dtype.kind == "O":
                value = np.char.encode(value.astype(str), "utf-8")
            new[name].attrs[key] = value

    carry("/", old)
    old.visititems(carry)


def populations(path: Path) -> dict[str, xr.DataArray]:
    """Everything that the file gives, by name."""
    with neurosparse.open_nwb(path) as recording:
        return {
            "spikes": recording.spikes(bin_width=0.1),
            "trials": recording.spikes(align="trials", reduce="sum", stimulus="image"),
            "calcium": recording.calcium(),
            "wheel": recording.series("wheel"),
        }


def same(x: xr.DataArray, y: xr.DataArray) -> bool:
    """Whether two populations agree in all but the facts of their files."""
    bare = [one.assign_attrs(provenance="", source="") for one in (x, y)]
    return bare[0].identical(bare[1]) and x.dtype == y.dtype


def damage(content: bytes, case: int) -> tuple[str, bytes]:
    """What case number `case` does to the bytes of a file, in words and done."""
    rng = np.random.default_rng([20261122, case])
    data = bytearray(content)
    at = int(rng.integers(len(data)))
    kind = ("bit", "byte", "bytes", "run", "cut")[case % 5]
    if kind == "bit":
        data[at] ^= 1 << int(rng.integers(8))
    elif kind == "byte":
        data[at] ^= int(rng.integers(1, 256))
    elif kind == "bytes":
        for place in rng.integers(len(data), size=8):
            data[place] ^= int(rng.integers(1, 256))
    elif kind == "run":
        length = int(rng.integers(2, 200))
        data[at : at + length] = rng.bytes(len(data[at : at + length]))
    else:
        del data[at:]
    return f"{kind} at {at}", bytes(data)


def everything(path: Path) -> str:
    """Digest of all that h5py reads of a file: its links, and the attributes, types and values of its objects."""
    digest = hashlib.sha256()
    with h5py.File(path, "r") as file:
        for fact in _facts(file):
            digest.update(fact)
    return digest.hexdigest()


def _facts(item: h5py.Group | h5py.Dataset) -> Iterator[bytes]:
    for name in sorted(item.attrs):
        yield _fact(item, name, item.attrs[name])
    if isinstance(item, h5py.Dataset):
        yield _fact(item, "", item[()])
        return
    for name in sorted(item):
        link = item.get(name, getlink=True)
        yield _fact(item, name, f"{type(link).__name__} {getattr(link, 'path', '')}")
        if isinstance(link, h5py.HardLink):
            yield from _facts(item[name])


def _fact(item: h5py.Group | h5py.Dataset, name: str, value: Any) -> bytes:
    if isinstance(value, h5py.Reference):
        value = f"reference to {item.file[value].name}"
    array = np.asarray(value)
    stored = array.tobytes() if array.dtype.kind != "O" else repr(array.tolist()).encode()
    return f"{item.name} {name} {array.dtype} {array.shape}".encode() + stored


def intact(path: Path, digest: str) -> dict[str, Any]:
    """Whether h5py alone reads everything of the file as it was."""
    try:
        return {"end": "same" if everything(path) == digest else "differs"}
    except Exception as error:  # h5py raises every kind at a damaged file
        return {"end": "error", "said": str(error)[:300]}


def judge(path: Path, truth: dict[str, xr.DataArray]) -> dict[str, Any]:
    """What loading a damaged file ends in."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = populations(path)
    except NeurosparseError as error:
        return {"end": "error", "error": type(error).__name__, "said": str(error)[:300]}
    except BaseException as error:
        return {"end": "foreign", "error": type(error).__name__, "said": traceback.format_exc()[-3000:]}
    differ = [name for name, x in truth.items() if not same(x, found[name])]
    return {"end": "differs" if differ else "same", "differ": differ}


def in_a_process(path: Path, ask: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What `ask` finds of the file in a fork with limits; what kills it is told apart by where it was."""
    log = path.with_suffix(".log")
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        with open(log, "w") as stream, os.fdopen(write, "w") as answer:
            faulthandler.enable(stream)
            faulthandler.dump_traceback_later(SECONDS, exit=True, file=stream)
            answer.write(json.dumps(ask()))
            answer.flush()
            os._exit(0)
    os.close(write)
    with os.fdopen(read) as answer:
        text = answer.read()
    _, status = os.waitpid(child, 0)
    if text and status == 0:
        return dict(json.loads(text))
    frames = [line.strip() for line in log.read_text().splitlines() if line.strip().startswith("File ")]
    cause = signal.Signals(os.WTERMSIG(status)).name if os.WIFSIGNALED(status) else f"over {SECONDS} s"
    # The innermost Python frame; h5py's compiled layer, and libhdf5 below it, leave none of their own.
    inside = bool(frames) and ("/h5py/" in frames[0])
    return {"end": "crash", "error": cause, "in_hdf5": inside, "said": "\n".join(frames[:12])}


def damaged_anywhere(folder: Path, first: int, last: int) -> Iterator[tuple[int, str, bytes]]:
    """Cases of `damage` to the file with checksums; case -1 is the file as it is."""
    content = (folder / "whole.nwb").read_bytes()
    if first == -1:
        yield -1, "nothing", content
    for case in range(max(first, 0), last):
        yield case, *damage(content, case)


def damaged_values(folder: Path, first: int, last: int) -> Iterator[tuple[int, str, bytes]]:
    """One byte changed in the values of each dataset of the file without checksums, once a round."""
    content, places = (folder / "whole.nwb").read_bytes(), {}
    with h5py.File(folder / "whole.nwb", "r") as file:

        def note(name: str, item: Any) -> None:
            if isinstance(item, h5py.Dataset) and item.id.get_offset() is not None:
                places[name] = (item.id.get_offset(), item.id.get_storage_size())

        file.visititems(note)
    for case in range(first, last):
        for name, (offset, size) in places.items():
            rng = np.random.default_rng([case, offset])
            data = bytearray(content)
            data[offset + int(rng.integers(size))] ^= int(rng.integers(1, 256))
            yield case, name, bytes(data)


def main(way: str, folder: Path, first: int, last: int) -> None:
    truth, digest = populations(folder / "whole.nwb"), everything(folder / "whole.nwb")
    for case, what, data in {"anywhere": damaged_anywhere, "values": damaged_values}[way](folder, first, last):
        path = folder / f"case_{case}.nwb"
        path.write_bytes(data)
        found = in_a_process(path, partial(judge, path, truth))
        if way == "anywhere":
            found["h5py"] = in_a_process(path, partial(intact, path, digest))["end"]
        print(json.dumps({"way": way, "case": case, "what": what, **found}), flush=True)
        path.unlink()


if __name__ == "__main__":
    for way, folder, first, last in zip(*[iter(sys.argv[1:])] * 4, strict=True):
        main(way, Path(folder), int(first), int(last))
