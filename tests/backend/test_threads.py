"""Work side by side: in order, on one BLAS thread each, no more at a time than BLAS had."""

from __future__ import annotations

import threading
import time

import pytest
from threadpoolctl import ThreadpoolController, threadpool_limits

from neurosparse.backend.threads import side_by_side


def _blas_threads() -> int:
    return max(library["num_threads"] for library in ThreadpoolController().select(user_api="blas").info())


def test_results_come_in_the_order_of_the_items():
    def late_first(item: int) -> int:
        time.sleep(0.02 / (1 + item))
        return item**2

    with threadpool_limits(3, user_api="blas"):
        assert side_by_side(late_first, iter(range(6))) == [0, 1, 4, 9, 16, 25]


def test_nothing_to_do_is_done():
    assert side_by_side(lambda item: item, []) == []


def test_each_piece_has_one_blas_thread_and_the_setting_comes_back():
    with threadpool_limits(2, user_api="blas"):
        assert side_by_side(lambda item: _blas_threads(), range(3)) == [1, 1, 1]
        assert _blas_threads() == 2


@pytest.mark.parametrize(("of_blas", "asked", "expected"), [(1, None, 1), (2, None, 2), (2, 1, 1), (1, 2, 2)])
def test_as_many_at_a_time_as_asked_or_as_blas_had(of_blas: int, asked: int | None, expected: int):
    running, most, lock = set(), [0], threading.Lock()

    def work(item: int) -> int:
        with lock:
            running.add(item)
            most[0] = max(most[0], len(running))
        time.sleep(0.02)
        with lock:
            running.discard(item)
        return threading.get_ident()

    with threadpool_limits(of_blas, user_api="blas"):
        threads = side_by_side(work, range(4), n_threads=asked)
    assert most[0] == expected
    assert len(set(threads)) == expected


def test_the_first_failure_is_raised_and_the_setting_comes_back():
    def fail(item: int) -> int:
        if item:
            raise ValueError(f"item {item}")
        return item

    with threadpool_limits(2, user_api="blas"):
        with pytest.raises(ValueError, match="item 1"):
            side_by_side(fail, range(4))
        assert _blas_threads() == 2


@pytest.mark.parametrize("n_threads", [1, 2])
def test_the_caller_hears_of_each_piece_in_order(n_threads: int):
    heard = []
    with threadpool_limits(n_threads, user_api="blas"):
        side_by_side(lambda item: item, "abc", on_done=lambda number: heard.append((number, threading.get_ident())))
    assert heard == [(number, threading.get_ident()) for number in range(3)]
