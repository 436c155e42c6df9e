"""Where and in what precision the backend computes, and how many rows fit there.

Names and torch objects enter, ``torch.device``, ``torch.dtype`` and row counts leave; every room may import this one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np
import torch

from neurosparse.errors import InputError

Device = str | torch.device

# What a batch may take on a CPU. Fixed rather than measured: batches, and with them the last bits of a float sum,
# must not depend on what else runs on the machine.
CPU_BUDGET = 2**30
CUDA_SHARE = 0.5

_DTYPES = {"float32": torch.float32, "float64": torch.float64}


def resolve_device(device: Device = "auto") -> torch.device:
    """The torch device meant by `device`; ``"auto"`` is CUDA where there is one, else the CPU.

    Parameters
    ----------
    device : {"auto", "cpu", "cuda", "cuda:<index>", "mps"} or torch.device
        ``"auto"`` is the only fallback: a device that is named must be there.

    Returns
    -------
    torch.device
        With an index where it is a CUDA device, so that two results compare equal when they mean the same device.

    Raises
    ------
    InputError
        If `device` is no device's name, or names one that this machine or this build of torch does not have.

    Notes
    -----
    ``"auto"`` never means ``"mps"``: it has no float64, which statistics and linear maps need.

    Examples
    --------
    >>> resolve_device("cpu")
    device(type='cpu')
    """
    if isinstance(device, str) and device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        found = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise InputError(
            f"device needs 'auto', 'cpu', 'cuda', 'cuda:<index>', 'mps' or a torch.device; got {device!r}."
        ) from error
    if found.type == "cuda":
        return _present_cuda(found)
    if found.type == "mps" and not torch.backends.mps.is_available():
        raise InputError(f"device 'mps' was asked for, and torch {torch.__version__} finds none. Use device='auto'.")
    return found


def _present_cuda(device: torch.device) -> torch.device:
    if not torch.cuda.is_available():
        raise InputError(
            f"device {str(device)!r} was asked for, and torch {torch.__version__} finds no CUDA device. "
            "Use device='auto' (which falls back to the CPU), or install a CUDA build of torch."
        )
    index = torch.cuda.current_device() if device.index is None else device.index
    n_devices = torch.cuda.device_count()
    if index >= n_devices:
        raise InputError(
            f"device {str(device)!r} was asked for, and this machine has {n_devices} CUDA device(s). "
            f"Use an index below {n_devices}."
        )
    return torch.device("cuda", index)


def resolve_dtype(dtype: Any = "float64", device: Device = "cpu") -> torch.dtype:
    """The torch dtype meant by a torch dtype, a numpy dtype or the name of either.

    Parameters
    ----------
    dtype : {"float32", "float64"} or torch.dtype or numpy dtype
        The backend computes in one of these two.
    device : str or torch.device
        Where it will be used; ``"mps"`` has no float64.

    Returns
    -------
    torch.dtype
        ``torch.float32`` or ``torch.float64``.

    Raises
    ------
    InputError
        If `dtype` is neither, or the device cannot hold it.
    """
    if isinstance(dtype, torch.dtype):
        name = str(dtype).removeprefix("torch.")
    else:
        try:
            name = np.dtype(dtype).name if dtype is not None else "None"
        except TypeError:
            name = str(dtype)
    if name not in _DTYPES:
        raise InputError(f"dtype needs float32 or float64; got {dtype!r}.")
    if name == "float64" and torch.device(device).type == "mps":
        raise InputError("dtype float64 does not exist on device 'mps'. Use dtype='float32' or device='cpu'.")
    return _DTYPES[name]


def batch_rows(
    bytes_per_row: int, device: Device = "cpu", *, limit: int | None = None, n_rows: int | None = None
) -> int:
    """How many rows of `bytes_per_row` fit in the memory one batch may take: at least 1.

    ``rows = min(n_rows, max(1, limit // bytes_per_row))``

    Parameters
    ----------
    bytes_per_row : int
        Everything one row needs at once, intermediate results included; bytes, at least 1.
    device : str or torch.device
        As `resolve_device` takes it.
    limit : int, optional
        Bytes a batch may take. Default: 1 GiB on a CPU, half of what is free on a CUDA device.
    n_rows : int, optional
        How many rows there are; a batch is never larger.

    Returns
    -------
    int
        Rows a batch.

    Raises
    ------
    InputError
        If `bytes_per_row` or `limit` is below 1.

    Examples
    --------
    >>> batch_rows(1000, limit=4500)
    4
    """
    if bytes_per_row < 1 or (limit is not None and limit < 1):
        raise InputError(f"bytes_per_row and limit need to be at least 1 byte; got {bytes_per_row} and {limit}.")
    rows = max(1, int((_budget(device) if limit is None else limit) // bytes_per_row))
    return rows if n_rows is None else min(rows, max(1, n_rows))


def _budget(device: Device) -> int:
    found = resolve_device(device)
    if found.type != "cuda":
        return CPU_BUDGET
    free, _ = torch.cuda.mem_get_info(found)
    return int(CUDA_SHARE * free)


@cache
def fast_int8() -> bool:
    """Whether this processor has instructions for products of 8-bit integers that torch uses, exactly.

    Without them torch is slow, or saturates sums of 16 bits. The function has no public name, so it is tried as well.
    """
    rows = torch.tensor([[127] * 96, [-127] * 96], dtype=torch.int8)
    try:
        found = torch.cpu.get_capabilities()
        if not (found.get("avx512_vnni") or found.get("amx_int8")):
            return False
        return torch._int_mm(rows, rows.T).tolist() == (rows.long() @ rows.long().T).tolist()
    except (AttributeError, RuntimeError):
        return False


@contextmanager
def one_thread() -> Iterator[None]:
    """Torch on one CPU thread for as long as the block, or the function it decorates, runs.

    For loops of many small operations: sharing each among threads gains nothing on an idle machine, and where another
    process holds a core, every operation waits for the slowest thread (2 to 30 times slower, measured).
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
