"""Download the files of a manifest: broken off and taken up again, verified, whole or not at all.

An asset enters, the path of a local file with its very bytes leaves. The HTTP client is pooch's.
"""

from __future__ import annotations

import http.client
import os
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

import pooch
import requests
from filelock import FileLock, Timeout
from tqdm import tqdm

from neurosparse.errors import DataWarning, FileError
from neurosparse.files import cache_folder
from neurosparse.manifests.reading import Asset, Manifest

# Seconds without an answer or a byte after which a connection counts as broken.
_PATIENCE = 30.0
# Broken connections in a row, none of which brought a byte, after which we give up; and the seconds between them.
_TRIES, _PAUSE = 4, 1.0


def data_folder() -> Path:
    """Where datasets lie: ``NEUROSPARSE_DATA_DIR``, else ``data`` in the cache folder. One folder a dataset."""
    named = os.environ.get("NEUROSPARSE_DATA_DIR")
    return Path(named).expanduser() if named else cache_folder() / "data"


def local_path(manifest: Manifest, asset: Asset) -> Path:
    """Where the file of `asset` lies or will lie.

    Raises
    ------
    FileError
        If links on the way lead out of the dataset's folder.
    """
    folder = data_folder() / manifest.id
    path = folder / asset.path
    if not path.resolve().is_relative_to(folder.resolve()):
        raise FileError(f"{path} leads out of {folder}, to {path.resolve()}. Remove the link that leads there.")
    return path


def state_of(manifest: Manifest, asset: Asset) -> str:
    """``intact``, ``damaged`` (size or digest differ) or ``missing``.

    Notes
    -----
    Reads the whole file once to hash it: about 1 s a GB.
    """
    path = local_path(manifest, asset)
    if not path.is_file():
        return "missing"
    if asset.bytes is not None and path.stat().st_size != asset.bytes:
        return "damaged"
    return "intact" if _digest(path) == asset.sha256 else "damaged"


def _digest(path: Path) -> str:
    return str(pooch.file_hash(str(path), alg="sha256"))


def fetch_asset(manifest: Manifest, asset: Asset, *, progress: bool = True) -> Path:
    """Download one file unless it is there, and verify it.

    Parameters
    ----------
    manifest, asset
        The asset is one of the manifest's.
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    pathlib.Path
        A file with the bytes that `asset` pins.

    Raises
    ------
    FileError
        If the server refuses, cannot be reached or breaks off again and again (what arrived is kept, and the next call
        goes on from there), if the bytes are not those that `asset` pins (nothing is kept), or if the folder cannot be
        written.

    Notes
    -----
    The file gets its name only once it is verified. Until then its bytes are in ``<name>.part``, which a later call
    takes up where the server allows it. Processes that want the same dataset wait for one another.
    """
    target = local_path(manifest, asset)
    state = state_of(manifest, asset)
    if state == "intact":
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _alone(data_folder() / manifest.id / ".lock", manifest.id, progress):
            state = state_of(manifest, asset)  # another process may have brought it meanwhile
            if state != "intact":
                _say(manifest, target, state)
                _bring(asset, target, progress)
    except FileError:
        raise
    except OSError as error:
        raise FileError(
            f"cannot write {target}: {error}. Set NEUROSPARSE_DATA_DIR to a folder with rights to write and room for "
            f"{_megabytes(asset)}."
        ) from error
    return target


def _say(manifest: Manifest, target: Path, state: str) -> None:
    if state == "damaged":
        warnings.warn(
            f"{target} has not the digest its manifest pins; it is fetched again and replaced once that is done.",
            DataWarning,
            stacklevel=4,
        )
    if manifest.licence == "unverified":
        warnings.warn(
            f"the licence of {manifest.id} is unverified: use it yourself and do not pass it on.",
            DataWarning,
            stacklevel=4,
        )


def _megabytes(asset: Asset) -> str:
    return f"{asset.bytes / 1e6:,.1f} MB" if asset.bytes is not None else "a file of unstated size"


@contextmanager
def _alone(lock: Path, dataset: str, progress: bool) -> Iterator[None]:
    """Hold `lock`; the system releases it when its process ends, however that ends."""
    held = FileLock(lock)
    try:
        held.acquire(timeout=0)
    except Timeout:
        if progress:
            print(f"waiting for another process that fetches {dataset}", file=sys.stderr, flush=True)
        held.acquire()
    try:
        yield
    finally:
        held.release()


def _bring(asset: Asset, target: Path, progress: bool) -> None:
    """Download into the part, verify it, and give it its name."""
    part = target.with_name(target.name + ".part")
    continued = part.exists()
    try:
        _download(asset, part, progress)
        found = _digest(part)
        if found != asset.sha256 and continued:
            # The older bytes may be those of another version, so that only a fresh start can tell.
            part.unlink()
            _download(asset, part, progress)
            found = _digest(part)
    finally:
        if part.exists() and part.stat().st_size == 0:
            part.unlink()
    if found != asset.sha256:
        part.unlink(missing_ok=True)
        raise FileError(
            f"{asset.url} gave other bytes than its manifest pins: sha256 {found}, expected {asset.sha256}. "
            "Nothing was kept. The file may have been replaced at its source, or something on the way answers for it."
        )
    os.replace(part, target)


def _download(asset: Asset, part: Path, progress: bool) -> None:
    """Bring `part` to its full size, over as many connections as bring something."""
    failures = 0
    name = part.name.removesuffix(".part")
    with tqdm(total=asset.bytes, desc=name, unit="B", unit_scale=True, disable=not progress) as bar:
        while True:
            before = part.stat().st_size if part.exists() else 0
            try:
                _connect(asset, part, bar)
                return
            except _Broken as error:
                after = part.stat().st_size if part.exists() else 0
                failures = 0 if after > before else failures + 1
                if failures == _TRIES:
                    raise _given_up(asset, after, error) from error
                time.sleep(_PAUSE * failures)


class _Broken(Exception):
    """A connection ended before the file did; `answered` says whether the server said anything at all."""

    def __init__(self, said: str, answered: bool = True) -> None:
        super().__init__(said)
        self.answered = answered


def _given_up(asset: Asset, arrived: int, error: _Broken) -> FileError:
    if not error.answered and not arrived:
        return FileError(
            f"{asset.url} cannot be reached, tried {_TRIES} times: {error}. Check the network; nothing was fetched."
        )
    kept = f"{arrived:,} bytes have arrived of {_megabytes(asset)} and are kept: call again to go on from there."
    if not arrived:
        kept = f"Nothing has arrived of {_megabytes(asset)}: try again later."
    return FileError(f"{asset.url} broke off {_TRIES} times in a row ({error}). {kept}")


def _connect(asset: Asset, part: Path, bar: Any) -> None:
    """One request, from where `part` ends."""
    have = part.stat().st_size if part.exists() else 0
    if asset.bytes is not None and have == asset.bytes:
        return
    with open(part, "ab") as file:
        sink = _Sink(file, asset, bar)
        headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={have}-"} if have else {})}
        get = pooch.HTTPDownloader(
            # What a connection brought since the last full chunk is lost with it, so chunks are small.
            chunk_size=1 << 14,
            headers=headers,
            timeout=_PATIENCE,
            hooks={"response": sink.place},
        )
        try:
            get(asset.url, sink, None)
        except requests.HTTPError as error:
            _judge(error, asset, sink)
        except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
            raise _Broken(_reason(error), sink.answered) from error
        except requests.RequestException as error:
            raise FileError(f"cannot fetch {asset.url}: {_words(error)}. Check the URL in its manifest.") from error
        arrived = file.tell()
    if asset.bytes is not None and arrived < asset.bytes:
        raise _Broken(f"the server ended after {arrived:,} bytes")


def _judge(error: requests.HTTPError, asset: Asset, sink: _Sink) -> None:
    """Try again what may pass; refuse the rest."""
    response = cast(requests.Response, error.response)  # raise_for_status gives it
    status = response.status_code
    if status == 416:  # the part is longer than the file: start again
        sink.restart()
        raise _Broken("the server has no more bytes than are here") from error
    if status in (408, 429) or status >= 500:
        raise _Broken(f"status {status}") from error
    raise FileError(
        f"the server answers {status} {response.reason} for {asset.url}. It may have been moved or withdrawn: "
        "see the source that its manifest names."
    ) from error


def _reason(error: BaseException) -> str:
    """What ended a connection: the system's own words where it has any, without the libraries' around them."""
    while (behind := error.__cause__ or error.__context__) is not None:
        error = behind
    if isinstance(error, http.client.IncompleteRead):
        return "the server ended before the file did"
    return (isinstance(error, OSError) and error.strerror) or _words(error)


def _words(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


class _Sink:
    """The end of a part: where an answer's bytes go, and how many may come."""

    def __init__(self, file: BinaryIO, asset: Asset, bar: Any) -> None:
        self.file, self.asset, self.bar = file, asset, bar
        self.answered = False
        self._show()

    def _show(self) -> None:
        self.bar.n = self.file.tell()
        self.bar.refresh()

    def restart(self) -> None:
        """Throw away what is here."""
        self.file.truncate(0)
        self.file.seek(0)
        self._show()

    def place(self, response: requests.Response, **_: Any) -> None:
        """Before the first byte: go on where the answer begins, or start again if it begins elsewhere."""
        self.answered = True
        if response.is_redirect or not response.ok:
            return
        begins = response.headers.get("Content-Range", "") if response.status_code == 206 else "bytes 0-"
        if begins.startswith(f"bytes {self.file.tell()}-"):
            return
        self.restart()
        if response.status_code == 206:
            raise requests.ConnectionError(f"the server answered with the range {begins!r}, which was not asked for")

    def write(self, chunk: bytes) -> None:
        """Append `chunk`, unless there would be more than the asset has."""
        if self.asset.bytes is not None and self.file.tell() + len(chunk) > self.asset.bytes:
            self.restart()
            raise FileError(
                f"{self.asset.url} sends more than the {self.asset.bytes:,} bytes that its manifest states. "
                "Nothing was kept. The file may have been replaced at its source."
            )
        self.file.write(chunk)
        self.bar.update(len(chunk))

    def flush(self) -> None:
        """Leave buffering to the file: the part is only read after it is closed."""
