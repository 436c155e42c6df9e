"""Files on servers: blocks of bytes by HTTP range, kept in the cache folder.

A URL enters, a stream that h5py can read leaves. remfile fetches where it is installed, else fsspec.
"""

from __future__ import annotations

import importlib.util
import io
import re
import urllib.error
import urllib.request
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from neurosparse.errors import DependencyError, FileError
from neurosparse.files import cache_folder, content_key, write_whole

TIMEOUT = 30.0  # seconds
BLOCK = 1 << 18  # bytes fetched at least: HDF5 metadata lie close together
RECENT = 256  # blocks held in memory


def probe(url: str) -> tuple[int, str]:
    """Size in bytes of the file at `url`, and what the server calls this version of it ("" if it does not say).

    Raises
    ------
    FileError
        If the server cannot be reached, refuses, or does not send parts of a file.
    """
    request = urllib.request.Request(url, headers={"Range": "bytes=0-0", "Accept-Encoding": "identity"})
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
            status, headers = answer.status, answer.headers
    except urllib.error.HTTPError as error:
        with error:
            raise FileError(f"{url}: the server answers {error.code} {error.reason}. Check the address.") from error
    except (OSError, ValueError) as error:  # URLError and timeouts are OSErrors
        reason = getattr(error, "reason", error)
        raise FileError(f"{url} cannot be reached: {reason}. Check the address and the network.") from error
    size = re.fullmatch(r"bytes 0-0/(\d+)", headers.get("Content-Range", ""))
    if status != 206 or size is None:
        raise FileError(
            f"{url}: the server sends whole files only (status {status} to a request for one byte), so parts of it "
            "cannot be read. Download it and open the file."
        )
    return int(size.group(1)), headers.get("ETag") or headers.get("Last-Modified") or ""


class Stream(io.RawIOBase):
    """A file on a server, for h5py; every failure to read is a `FileError`.

    Blocks are kept under ``remote`` in the cache folder, by URL and version, where the server states a version;
    otherwise in memory alone, since a changed file could not be told from the kept one.

    Parameters
    ----------
    url : str
    size : int
        Bytes.
    tag : str
        What the server calls this version.

    Raises
    ------
    DependencyError
        If neither remfile nor fsspec with aiohttp is installed.
    """

    def __init__(self, url: str, size: int, tag: str) -> None:
        super().__init__()
        self.url, self.size, self._place = url, size, 0
        self._recent: OrderedDict[int, bytes] = OrderedDict()
        self._folder = cache_folder() / "remote" / content_key(url, tag, str(size))[:32] if tag else None
        if self._folder is not None:
            self._folder.mkdir(parents=True, exist_ok=True)
        fetch = _fetcher()
        try:
            self._fetch = fetch(url)
        except Exception as error:  # each library has errors of its own
            raise self._failed(error) from error

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def tell(self) -> int:
        """The place of the next byte."""
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a byte."""
        self._place = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self.size}[whence]
        return self._place

    def readinto(self, buffer: Any) -> int:
        """Fill `buffer`, or what of it the file still has bytes for."""
        view = memoryview(buffer).cast("B")
        stop = min(self._place + len(view), self.size)
        done = 0
        for start, data in self._blocks(self._place, stop):
            part = data[max(self._place - start, 0) : stop - start]
            view[done : done + len(part)] = part
            done += len(part)
        self._place += done
        return done

    def _blocks(self, start: int, stop: int) -> Iterator[tuple[int, bytes]]:
        """The blocks that hold bytes `start` to `stop` with their places; neighbours that are not kept in one fetch."""
        numbers = range(start // BLOCK, -(-stop // BLOCK)) if start < stop else range(0)
        wanted: list[int] = []
        for number in numbers:
            kept = self._kept(number)
            if kept is None:
                wanted.append(number)
                continue
            yield from self._fetched(wanted)
            wanted = []
            yield number * BLOCK, kept
        yield from self._fetched(wanted)

    def _kept(self, number: int) -> bytes | None:
        if number in self._recent:
            self._recent.move_to_end(number)
            return self._recent[number]
        place = self._place_of(number)
        if place is None or not place.is_file():
            return None
        data = place.read_bytes()
        return self._remember(number, data) if len(data) == self._length(number) else None

    def _fetched(self, numbers: list[int]) -> Iterator[tuple[int, bytes]]:
        """Neighbouring blocks from the server, in pieces that memory has room for."""
        for first in range(0, len(numbers), RECENT):
            piece = numbers[first : first + RECENT]
            start, length = piece[0] * BLOCK, sum(map(self._length, piece))
            try:
                data = bytes(self._fetch(start, start + length))
            except Exception as error:
                raise self._failed(error) from error
            if len(data) != length:
                raise self._failed(f"{length} bytes from {start} were asked for, {len(data)} came")
            for number in piece:
                block = data[number * BLOCK - start :][: self._length(number)]
                place = self._place_of(number)
                if place is not None:
                    with write_whole(place) as file:
                        file.write_bytes(block)
                yield number * BLOCK, self._remember(number, block)

    def _remember(self, number: int, data: bytes) -> bytes:
        self._recent[number] = data
        if len(self._recent) > RECENT:
            self._recent.popitem(last=False)
        return data

    def _place_of(self, number: int) -> Path | None:
        return None if self._folder is None else self._folder / f"{number}.block"

    def _length(self, number: int) -> int:
        return min(BLOCK, self.size - number * BLOCK)

    def _failed(self, reason: object) -> FileError:
        said = str(reason) or type(reason).__name__
        return FileError(f"{self.url} cannot be read: {said}. Try again, or download it and open the file.")


Fetch = Callable[[int, int], bytes]


def _fetcher() -> Callable[[str], Fetch]:
    """Of a URL, what fetches its bytes from one place to another (left out)."""
    if _installed("remfile"):
        return _by_remfile
    if _installed("fsspec") and _installed("aiohttp"):
        return _by_fsspec
    raise DependencyError(
        'reading a URL needs remfile, or fsspec and aiohttp. Install them with: pip install "neurosparse[remote]", '
        "or download the file."
    )


def _by_remfile(url: str) -> Fetch:
    import remfile

    file = remfile.File(url)

    def fetch(start: int, stop: int) -> bytes:
        file.seek(start)
        return bytes(file.read(stop - start))

    return fetch


def _by_fsspec(url: str) -> Fetch:
    import fsspec

    server = fsspec.filesystem("http")
    return lambda start, stop: bytes(server.cat_file(url, start=start, end=stop))


def _installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None
