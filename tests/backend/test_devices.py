"""Device and dtype choice, and rows that fit."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from neurosparse.backend import devices
from neurosparse.backend.devices import batch_rows, resolve_device, resolve_dtype
from neurosparse.errors import InputError


@pytest.fixture
def machine(monkeypatch):
    """A stand-in machine with so many CUDA devices, and so much memory free on them."""

    def build(n_cuda: int, free: int = 0) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: n_cuda > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: n_cuda)
        monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free, 10 * free))
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)

    return build


@pytest.mark.parametrize(
    ("n_cuda", "asked", "expected"),
    [
        (0, "auto", torch.device("cpu")),
        (0, "cpu", torch.device("cpu")),
        (0, torch.device("cpu"), torch.device("cpu")),
        (2, "auto", torch.device("cuda", 0)),
        (2, "cpu", torch.device("cpu")),
        (2, "cuda", torch.device("cuda", 0)),
        (2, torch.device("cuda:1"), torch.device("cuda", 1)),
    ],
)
def test_the_device_asked_for_is_the_device_given(machine, n_cuda, asked, expected):
    machine(n_cuda)
    assert resolve_device(asked) == expected


@pytest.mark.parametrize(
    ("n_cuda", "asked", "message"),
    [
        (0, "cuda", r"device 'cuda' was asked for.*finds no CUDA device.*device='auto'"),
        (0, torch.device("cuda:0"), r"device 'cuda:0' was asked for.*finds no CUDA device"),
        (2, "cuda:2", r"device 'cuda:2' was asked for.*has 2 CUDA device.*index below 2"),
        (0, "mps", r"device 'mps' was asked for.*finds none"),
        (0, "gpu", r"device needs 'auto', 'cpu'.*got 'gpu'"),
        (0, None, r"device needs 'auto', 'cpu'.*got None"),
    ],
)
def test_a_device_that_is_not_there_is_an_error_and_no_fallback(machine, n_cuda, asked, message):
    machine(n_cuda)
    with pytest.raises(InputError, match=message):
        resolve_device(asked)


@pytest.mark.parametrize("asked", ["float32", torch.float32, np.float32, np.dtype("float32"), np.dtype(">f4")])
def test_dtypes_by_any_of_their_names(asked):
    assert resolve_dtype(asked) is torch.float32


def test_the_default_dtype_is_that_of_statistics():
    assert resolve_dtype() is torch.float64
    assert resolve_dtype(float) is torch.float64


@pytest.mark.parametrize("asked", ["float16", torch.bfloat16, "int64", "double precision", None, 3])
def test_other_dtypes_are_refused(asked):
    with pytest.raises(InputError, match=r"dtype needs float32 or float64; got"):
        resolve_dtype(asked)


def test_mps_has_no_float64():
    with pytest.raises(InputError, match=r"float64 does not exist on device 'mps'"):
        resolve_dtype("float64", "mps")
    assert resolve_dtype("float32", "mps") is torch.float32


def test_rows_fill_the_limit_and_never_pass_it():
    assert batch_rows(100, limit=1000) == 10
    assert batch_rows(100, limit=999) == 9
    assert batch_rows(100, limit=1000, n_rows=7) == 7


def test_one_row_is_always_tried():
    assert batch_rows(100, limit=99) == 1
    assert batch_rows(100, limit=1000, n_rows=0) == 1


def test_the_budget_is_the_devices(machine):
    machine(1, free=10**6)
    assert batch_rows(1000, "cpu") == devices.CPU_BUDGET // 1000
    assert batch_rows(1000, "cuda") == 500


@pytest.mark.parametrize(("size", "limit"), [(0, None), (-3, 10), (10, 0)])
def test_sizes_below_a_byte_are_refused(size, limit):
    with pytest.raises(InputError, match=r"bytes_per_row and limit need to be at least 1 byte"):
        batch_rows(size, limit=limit)


@pytest.mark.gpu
def test_a_real_cuda_device():
    device = resolve_device("auto")
    assert device.type == "cuda"
    assert torch.zeros(batch_rows(2**20, device, n_rows=4), device=device).device == device


def test_one_thread_gives_the_threads_back_even_after_an_error() -> None:
    before = torch.get_num_threads()
    seen = []

    @devices.one_thread()
    def fail() -> None:
        seen.append(torch.get_num_threads())
        raise ArithmeticError("inside")

    torch.set_num_threads(2)
    try:
        with pytest.raises(ArithmeticError, match="inside"):
            fail()
        assert seen == [1]
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
