"""Reading from a file that is open: errors that name it, and how another process opens it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from neurosparse.errors import FileError, InputError, NeurosparseError
from neurosparse.recordings.opening.opened import line
from neurosparse.recordings.sources import Source


@contextmanager
def reading(source: Source) -> Iterator[None]:
    """Turn what h5py, Zarr or a closed pynwb reader raise in the block into a `FileError` that names the file."""
    try:
        yield
    except NeurosparseError:
        raise
    except (OSError, RuntimeError, KeyError) as error:
        raise FileError(
            f"cannot read {source.where or source.name}: {line(error)}. The file may be damaged, cut short or closed; "
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
