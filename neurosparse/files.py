"""Whole-or-nothing writes, the cache folder, content keys and the folders packed with the package.

Paths and bytes enter and leave; any room may import this one, it imports only ``errors``.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from neurosparse.errors import FileError


@contextmanager
def write_whole(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path that becomes `path` only if the block ends without an error.

    Parameters
    ----------
    path : path-like
        The file to write. It is replaced in one step; after a failure the old file is whole.

    Yields
    ------
    pathlib.Path
        A path in the same folder and with the same suffix, to be written by the caller.

    Raises
    ------
    FileError
        If the folder of `path` does not exist, or `path` is a folder.
    """
    target = Path(path)
    if not target.parent.is_dir():
        raise FileError(f"cannot write {target}: its folder {target.parent} does not exist. Create it first.")
    if target.is_dir():
        raise FileError(f"cannot write {target}: it is a folder. Give a file name inside it.")
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.stem}-", suffix=target.suffix)
    os.close(handle)
    temporary = Path(name)
    # mkstemp makes private files; the result gets the rights any new file would have.
    umask = os.umask(0)
    os.umask(umask)
    temporary.chmod(0o666 & ~umask)
    try:
        yield temporary
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def cache_folder() -> Path:
    """Folder for downloads and stage results: ``NEUROSPARSE_CACHE_DIR``, else the user's cache; made if absent."""
    default = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "neurosparse"
    folder = Path(os.environ.get("NEUROSPARSE_CACHE_DIR") or default)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def content_key(*parts: bytes | str) -> str:
    """SHA-256 hex digest of `parts`, each preceded by its length so that ("ab", "c") and ("a", "bc") differ."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return digest.hexdigest()


def packaged(folder: str) -> Path:
    """Path of ``data_manifests`` or ``tutorials``, in the installed package or beside it in a checkout.

    Raises
    ------
    FileError
        If the folder is in neither place.
    """
    package = Path(__file__).resolve().parent
    for candidate in (package / "_packed" / folder, package.parent / folder):
        if candidate.is_dir():
            return candidate
    raise FileError(
        f"the folder {folder!r} is neither packed with neurosparse nor beside it; "
        "expected 'data_manifests' or 'tutorials'. Reinstall the package."
    )
