"""Open an NWB file, or say why it cannot be: missing, no HDF5, no NWB, too old, extension not installed, damaged.

A path, URL or pynwb object enters; what it holds and what was wrong with it leave, as `Opened`. pynwb reads wherever it
can; files whose extensions are not installed are read by `raw`.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import h5py
import pynwb

from neurosparse.errors import DependencyError, FileError, InputError, NeurosparseError
from neurosparse.recordings import built, raw
from neurosparse.recordings.contents import Contents
from neurosparse.recordings.identity import Identity
from neurosparse.recordings.load_report import LoadReport, some
from neurosparse.recordings.sources import Source, source_of

# Said by pynwb and hdmf of nearly every file that is not quite new, and of no consequence for what is loaded here.
_IDLE = re.compile(
    r"cached namespace|is deprecated|Device\.model|model attribute of the Device|was not closed before being garbage "
    r"collected|ObjectMapper",
    re.I,
)


# What hdmf says of row ids that are no whole numbers.
_TEXT_IDS = "ElementIdentifiers must contain integers"


@dataclass(frozen=True)
class Opened:
    """A file that is open.

    Attributes
    ----------
    source : Source
    version : str
        Of the NWB schema, "" where not stated.
    nwbfile : pynwb.NWBFile or None
        None where h5py alone reads the file.
    contents : Contents
    identity : Identity
    report : LoadReport
        How it was opened.
    notes : list of str
        What is wrong with the file as a whole; `report` has them as warnings.
    close : callable
        Releases the file.
    """

    source: Source
    version: str
    nwbfile: pynwb.NWBFile | None
    contents: Contents
    identity: Identity
    report: LoadReport
    notes: list[str]
    close: Callable[[], None]


def open_source(given: Any) -> Opened:
    """Open what a user gives: a path, a URL, a Zarr store or a pynwb.NWBFile.

    Raises
    ------
    InputError, FileError, DependencyError
        As `Recording` and `sources.source_of` say.
    """
    if isinstance(given, pynwb.NWBFile):
        return _of_object(given)
    source = source_of(given)
    return _of_zarr(source) if source.format == "zarr" else _of_hdf5(source)


def nwb_version(source: Source, file: h5py.File) -> str:
    """Version of the NWB schema that an HDF5 file states.

    Raises
    ------
    FileError
        If it is not NWB, or NWB 1.
    """
    where = source.where
    try:
        version = file.attrs.get("nwb_version")
        if version is None and isinstance(file.get("nwb_version"), h5py.Dataset):
            version = file["nwb_version"][()]  # where NWB 1 kept it
        holds = some(list(file), 8) or "nothing"
    except (OSError, RuntimeError, KeyError) as error:
        raise FileError(f"{where} is damaged: HDF5 cannot read its root ({error}). Fetch it again.") from error
    if version is None:
        raise FileError(f"{where} is an HDF5 file but not NWB: it states no nwb_version. At its root: {holds}.")
    text = version.decode(errors="replace") if isinstance(version, bytes) else str(version)
    number = re.search(r"\d+(\.\d+)*\w*", text)
    if number and int(re.match(r"\d+", number.group()).group()) < 2:  # type: ignore[union-attr]
        raise FileError(
            f"{where} is NWB {number.group()}, which is too old: neurosparse reads NWB 2 and later. Get the dataset's "
            "NWB 2 release (most archives re-released theirs, see dandiarchive.org), or read this file with h5py."
        )
    return number.group() if number else text


def _open_hdf5(source: Source) -> h5py.File:
    """The HDF5 file, or a `FileError` that says what it is instead."""
    if not source.remote and not h5py.is_hdf5(source.where):
        raise FileError(
            f"{source.where} is no HDF5 file ({source.size:,} bytes), so it cannot be read as NWB. "
            "It may be cut short, a download page, or another format; fetch it again."
        )
    try:
        return source.open_hdf5()
    except NeurosparseError:
        raise
    except (OSError, RuntimeError, KeyError) as error:
        what = "cannot be read as HDF5" if source.remote else "is damaged: HDF5 cannot read its root"
        raise FileError(f"{source.where} {what} ({error}). Fetch it again.") from error


def _of_hdf5(source: Source) -> Opened:
    file = _open_hdf5(source)
    try:
        version = nwb_version(source, file)
        if not source.remote:
            file.close()  # pynwb follows links to other files from a path alone
        reader, nwbfile, notes = _read(source, file if source.remote else None)
    except _Unbuildable as reason:
        return _of_raw(source, version, reason)
    except BaseException:
        file.close()
        raise
    return _opened(source, version, nwbfile, notes, reader)


class _Unbuildable(Exception):
    """pynwb cannot build the file because of what it says of its schema."""


def _read(source: Source, file: h5py.File | None) -> tuple[Any, pynwb.NWBFile, list[str]]:
    """pynwb's reader, file object and remarks, with the schema kept in the file or, where that fails, without it."""
    try:
        return _build(source, file, load_namespaces=True)
    except NeurosparseError:
        raise
    except Exception as error:  # hdmf raises every kind of error at a file it cannot build
        first = error
    try:
        reader, nwbfile, notes = _build(source, file, load_namespaces=False)
    except Exception:
        raise _Unbuildable(str(first)) from first
    said = f"the copy of the schema in {source.name} cannot be used ({_line(first)}); it is read with pynwb's own."
    return reader, nwbfile, [said, *notes]


def _build(
    source: Source, file: h5py.File | None, *, load_namespaces: bool
) -> tuple[pynwb.NWBHDF5IO, pynwb.NWBFile, list[str]]:
    reader = None
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            given: dict[str, Any] = {"path": source.where} if file is None else {"file": file}
            reader = pynwb.NWBHDF5IO(mode="r", load_namespaces=load_namespaces, **given)
            nwbfile = reader.read()
            nwbfile.objects  # noqa: B018  built here, so that its warnings are caught too
        _check_whole(source, reader, caught)
    except Exception:
        if reader is not None and file is None:
            reader.close()
        raise
    notes = dict.fromkeys(_line(one.message, 2000) for one in caught)
    return reader, nwbfile, [note for note in notes if not _IDLE.search(note)]


def _check_whole(source: Source, reader: pynwb.NWBHDF5IO, caught: list[warnings.WarningMessage]) -> None:
    """Refuse a file whose objects cannot all be read: pynwb leaves them out with a warning, as it does dangling links.

    Raises
    ------
    FileError
        If what is left out stands in the file itself; a link to elsewhere may dangle in a whole file.
    """
    said = [re.search(r"altered/broken at (\S.*)", str(one.message)) for one in caught]
    for where in (found.group(1) for found in said if found):
        if isinstance(reader._file.get(where, getlink=True), h5py.HardLink):
            raise FileError(f"{source.where} is damaged: HDF5 cannot read {where}. Fetch it again.")


def _opened(source: Source, version: str, nwbfile: pynwb.NWBFile, notes: list[str], reader: Any) -> Opened:
    """What pynwb built, told; `reader` is left open for values to be read."""
    path_of = built.place
    if reader is not None and hasattr(reader, "manager"):

        def path_of(stored: Any) -> str:
            return reader.manager.get_builder(stored).path.removeprefix("root/")

    contents = Contents(source.name, built.parts(nwbfile, path_of, notes))
    names = [repr(part.path.rpartition("/")[2]) for part in contents.parts]
    own = [note for note in notes if not any(name in note for name in names)]
    report = LoadReport(warned=[f"pynwb says of {source.name}: {note}" for note in own])
    close = reader.close if reader is not None else _nothing
    return _told(Opened(source, version, nwbfile, contents, built.identity(nwbfile), report, own, close), "pynwb")


def _told(opened: Opened, reader: str) -> Opened:
    """`opened` with what was found and chosen in its report."""
    session, rule = opened.identity.session(opened.source.name.partition(".nwb")[0])
    opened.report.find(**opened.contents.counts())
    opened.report.choose(reader=f"{reader} {pynwb.__version__ if reader == 'pynwb' else h5py.__version__}")
    opened.report.choose(session=session, session_from=rule)
    if opened.identity.delay:
        opened.report.assume(
            f"times count from timestamps_reference_time, {opened.identity.delay:+g} s from the session's start."
        )
    return opened


def _nothing() -> None:
    """What closing does to a file that is the user's own."""


def _of_raw(source: Source, version: str, reason: _Unbuildable) -> Opened:
    """A file that pynwb cannot build, read by h5py alone where an extension or ids that are text are to blame.

    Raises
    ------
    DependencyError
        If nothing in it can be read without the extension.
    FileError
        If neither is to blame.
    """
    file = _open_hdf5(source)
    try:
        missing = _missing_extensions(file, str(reason))
        named = not missing and _TEXT_IDS in str(reason)
        parts = raw.parts(file) if missing or named else []
        identity = raw.identity(file)
    except Exception as error:
        file.close()
        raise _damaged(source, reason) from error
    if named:
        said = f"pynwb cannot build {source.name}: row ids of a table are text. It is read by h5py alone."
        report, contents = LoadReport(warned=[said]), Contents(source.name, parts)
        told = Opened(source, version, None, contents, identity, report, [said], file.close)
        return _told(told, "h5py")
    if not missing:
        file.close()
        raise _damaged(source, reason) from reason.__cause__
    install = f"Install {'it' if len(missing) == 1 else 'them'} with: pip install {' '.join(missing)}"
    extensions = f"NWB extension{'' if len(missing) == 1 else 's'} {', '.join(missing)}"
    are = "is" if len(missing) == 1 else "are"
    uses = f"uses the {extensions}, which {are} not installed or cannot be loaded"
    if not parts:
        file.close()
        raise DependencyError(f"{source.where} {uses}, and nothing can be read without it. {install}") from reason
    said = f"{source.name} {uses}: tables and series are read by h5py alone, as plain datasets. {install}"
    report = LoadReport(warned=[said])
    report.choose(missing_extensions=missing)
    contents = Contents(source.name, parts)
    return _told(Opened(source, version, None, contents, identity, report, [said], file.close), "h5py")


def _missing_extensions(file: h5py.File, reason: str) -> list[str]:
    """Namespaces of things in the file that pynwb does not know, most used first, and the one its error names."""
    used = raw.foreign_namespaces(file)
    names = sorted(used, key=lambda name: -used[name])
    named = re.search(r"ndx-[\w-]+", reason)
    if named and named.group() not in names:
        names.append(named.group())
    return names


def _damaged(source: Source, reason: BaseException) -> FileError:
    return FileError(
        f"pynwb cannot read {source.where}: {_line(reason) or type(reason.__cause__).__name__}. "
        "The file may be damaged or break the NWB schema."
    )


def _line(text: Any, limit: int = 300) -> str:
    return " ".join(str(text).split())[:limit]


def _of_zarr(source: Source) -> Opened:
    """A Zarr store, by hdmf-zarr."""
    from hdmf_zarr import NWBZarrIO

    reader = None
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            reader = NWBZarrIO(source.where, mode="r", load_namespaces=True)
            nwbfile = reader.read()
            nwbfile.objects  # noqa: B018
    except Exception as error:
        if reader is not None:
            reader.close()
        raise FileError(
            f"hdmf-zarr cannot read {source.where}: {_line(error) or type(error).__name__}. The store may be "
            "incomplete, or of a Zarr format that the installed hdmf-zarr does not read."
        ) from error
    notes = dict.fromkeys(_line(one.message, 2000) for one in caught if not issubclass(one.category, _LIBRARY))
    with source.open() as store:
        version = str(store.attrs.get("nwb_version", ""))
    opened = _opened(source, version, nwbfile, [note for note in notes if not _IDLE.search(note)], reader)
    opened.report.assume(
        "columns of references, such as electrode_group, are left out: Zarr stores keep them as pickles."
    )
    return opened


_LIBRARY = (DeprecationWarning, FutureWarning, PendingDeprecationWarning, ResourceWarning)


def _of_object(nwbfile: pynwb.NWBFile) -> Opened:
    """A pynwb object that is the user's to close."""
    where = nwbfile.container_source or ""
    reader = nwbfile.get_read_io() if hasattr(nwbfile, "get_read_io") else None
    name = re.split(r"[\\/]", str(where).rstrip("/"))[-1] or f"{nwbfile.identifier} (in memory)"
    opened = _opened(Source(str(where), name, "memory"), "", nwbfile, [], reader)
    return Opened(**{**opened.__dict__, "close": _nothing})


@contextmanager
def reading(source: Source) -> Iterator[None]:
    """Turn what h5py, Zarr or a closed pynwb reader raise in the block into a `FileError` that names the file."""
    try:
        yield
    except NeurosparseError:
        raise
    except (OSError, RuntimeError, KeyError) as error:
        raise FileError(
            f"cannot read {source.where or source.name}: {_line(error)}. The file may be damaged, cut short or closed; "
            "fetch or open it again."
        ) from error


def reopening(source: Source) -> str:
    """What to open the source by in another process.

    Raises
    ------
    InputError
        If it was never in a file.
    """
    if not source.where:
        raise InputError(
            f"the recording of {source.name} cannot be sent to another process: its pynwb object was never in a file. "
            "Write it with pynwb.NWBHDF5IO and open that."
        )
    return source.where
