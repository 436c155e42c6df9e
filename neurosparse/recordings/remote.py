"""Files on servers: blocks of bytes by HTTP range, kept in the cache folder.

A URL enters, a stream that h5py can read leaves. remfile fetches where it is installed, else fsspec.
"""

from __future__ import annotations

import importlib.util
import io
import re
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from neurosparse.errors import DependencyError, FileError
from neurosparse.files import cache_folder, content_key

TIMEOUT = 30.0  # seconds
BLOCK = 1 << 20  # bytes fetched at least, of which HDF5 metadata need many neighbours


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
        folder = cache_folder() / "remote" / content_key(url, tag, str(size))[:32] if tag else None
        try:
            self._blocks = _fetcher(url, folder)
        except DependencyError:
            raise
        except Exception as error:  # each library has errors of its own
            raise self._failed(error) from error

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._place = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self.size}[whence]
        return self._place

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        wanted = max(min(len(view), self.size - self._place), 0)
        if not wanted:
            return 0
        try:
            self._blocks.seek(self._place)
            got = self._blocks.read(wanted)
        except Exception as error:
            raise self._failed(error) from error
        if len(got) != wanted:
            raise self._failed(f"{wanted} bytes were asked for at {self._place}, {len(got)} came")
        view[:wanted] = got
        self._place += wanted
        return wanted

    def close(self) -> None:
        if not self.closed and hasattr(self, "_blocks"):
            self._blocks.close()
        super().close()

    def _failed(self, reason: object) -> FileError:
        said = str(reason) or type(reason).__name__
        return FileError(f"{self.url} cannot be read: {said}. Try again, or download it and open the file.")


def _fetcher(url: str, folder: Path | None) -> Any:
    if _installed("remfile"):
        import remfile

        return remfile.File(url, disk_cache=None if folder is None else remfile.DiskCache(str(folder / "remfile")))
    if _installed("fsspec") and _installed("aiohttp"):
        import fsspec
        from fsspec.implementations.cached import CachingFileSystem

        server = fsspec.filesystem("http")
        if folder is None:
            return server.open(url, "rb", block_size=BLOCK, cache_type="blockcache")
        kept = CachingFileSystem(fs=server, cache_storage=str(folder / "fsspec"), expiry_time=0, check_files=False)
        return kept.open(url, "rb", block_size=BLOCK)
    raise DependencyError(
        'reading a URL needs remfile, or fsspec and aiohttp. Install them with: pip install "neurosparse[remote]", '
        "or download the file."
    )


def _installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None
