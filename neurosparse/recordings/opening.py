"""Open an NWB file, or say why it cannot be: missing, no HDF5, no NWB, too old, extension not installed, damaged.

A path enters; an open pynwb reader and what pynwb found wrong leave.
"""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import h5py
import pynwb

from neurosparse.errors import DependencyError, FileError, InputError
from neurosparse.recordings.load_report import some

# Said by pynwb and hdmf of nearly every file that is not quite new, and of no consequence for what is loaded here.
_IDLE = re.compile(
    r"cached namespace|is deprecated|Device\.model|model attribute of the Device|be transposed"
    r"|was not closed before being garbage collected|ObjectMapper",
    re.I,
)


def local_file(path: Any) -> Path:
    """`path` as an existing file.

    Raises
    ------
    InputError
        If it is no path.
    FileError
        If it is a URL, a folder, or not there.
    """
    if not isinstance(path, str | Path):
        raise InputError(f"open_nwb needs the path of an NWB file; got {type(path).__name__}.")
    if re.match(r"[a-z][a-z0-9+]+://", str(path), re.I):
        raise FileError(f"{path} is a URL; open_nwb reads local files. Download it first.")
    file = Path(path).expanduser()
    if file.is_dir():
        raise FileError(f"{file} is a folder; open_nwb reads NWB files in HDF5. Give the path of an .nwb file.")
    if not file.is_file():
        raise FileError(f"there is no file {file}. Check the path; the working folder is {Path.cwd()}.")
    return file


def nwb_version(file: Path) -> str:
    """Version of the NWB schema that `file` states.

    Raises
    ------
    FileError
        If it is no HDF5 file, no NWB file, or NWB 1.
    """
    if not h5py.is_hdf5(file):
        size = file.stat().st_size
        raise FileError(
            f"{file} is no HDF5 file ({size:,} bytes), so it cannot be read as NWB. "
            "It may be cut short, a download page, or another format; fetch it again."
        )
    try:
        with h5py.File(file, "r") as root:
            version = root.attrs.get("nwb_version")
            if version is None and isinstance(root.get("nwb_version"), h5py.Dataset):
                version = root["nwb_version"][()]  # where NWB 1 kept it
            holds = some(list(root), 8) or "nothing"
    except (OSError, RuntimeError, KeyError) as error:
        raise FileError(f"{file} is damaged: HDF5 cannot read its root ({error}). Fetch it again.") from error
    if version is None:
        raise FileError(f"{file} is an HDF5 file but not NWB: it states no nwb_version. At its root: {holds}.")
    text = version.decode() if isinstance(version, bytes) else str(version)
    number = re.search(r"\d+(\.\d+)*\w*", text)
    if number and int(number.group().split(".")[0]) < 2:
        raise FileError(
            f"{file} is NWB {number.group()}, which is too old: neurosparse reads NWB 2 and later. Get the dataset's "
            "NWB 2 release (most archives re-released theirs, see dandiarchive.org), or read this file with h5py."
        )
    return number.group() if number else text


def read(file: Path) -> tuple[pynwb.NWBHDF5IO, pynwb.NWBFile, list[str]]:
    """An open reader, its file object, and the warnings of pynwb that bear on the data.

    Raises
    ------
    DependencyError
        If the file needs an NWB extension that is not there.
    FileError
        If pynwb cannot read it for another reason.
    """
    reader = None
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            reader = pynwb.NWBHDF5IO(str(file), mode="r", load_namespaces=True)
            nwbfile = reader.read()
            nwbfile.objects  # noqa: B018  built here, so that its warnings are caught too
    except Exception as error:  # hdmf raises every kind of error at a file it cannot build
        if reader is not None:
            reader.close()
        raise _explain(file, error) from error
    notes = dict.fromkeys(" ".join(str(one.message).split()) for one in caught)
    return reader, nwbfile, [note for note in notes if not _IDLE.search(note)]


def _explain(file: Path, error: Exception) -> Exception:
    text = " ".join(str(error).split())
    extension = re.search(r"ndx-[\w-]+", text)
    if extension and "namespace" in text:
        name = extension.group()
        return DependencyError(
            f"{file} uses the NWB extension {name}, which is not installed. Install it with: pip install {name}"
        )
    reason = text[:300] or type(error).__name__
    return FileError(f"pynwb cannot read {file}: {reason}. The file may be damaged or break the NWB schema.")
