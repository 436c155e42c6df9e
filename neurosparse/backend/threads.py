"""Independent pieces of work side by side, on as many cores as the linear algebra would have used."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from threadpoolctl import ThreadpoolController

Item = TypeVar("Item")
Made = TypeVar("Made")


def side_by_side(
    work: Callable[[Item], Made],
    items: Iterable[Item],
    *,
    on_done: Callable[[int], None] | None = None,
    n_threads: int | None = None,
) -> list[Made]:
    """``[work(item) for item in items]``, each on one BLAS thread, several at a time.

    Parameters
    ----------
    work : callable
        Independent of the other items; spends its time in compiled code that lets other Python threads run.
    items : iterable
    on_done : callable, optional
        Called in the caller's thread with 0, 1, 2, ... as the items are done, in their order.
    n_threads : int, optional
        At the most. Default: what BLAS has when called, as ``OMP_NUM_THREADS`` or ``threadpoolctl.threadpool_limits``
        set it. 1 where the pieces hold the interpreter most of the time, and would only wait for each other.

    Returns
    -------
    list
        In the order of `items`, the same numbers whatever the number of threads.

    Raises
    ------
    Exception
        The first that `work` raised, in the order of `items`.

    Notes
    -----
    Matrices of a few hundred rows are too small to share: two OpenBLAS threads took 10 s of wall time (20 s of CPU)
    where one took 6.5 s. One core a piece is faster than all cores on one piece after another.
    """
    todo = list(items)
    libraries = ThreadpoolController().select(user_api="blas")
    if n_threads is None:
        n_threads = max((library["num_threads"] for library in libraries.info()), default=1)
    n_threads = min(len(todo), n_threads)
    made = []
    with libraries.limit(limits=1), ThreadPoolExecutor(max(1, n_threads)) as pool:
        for number, one in enumerate(pool.map(work, todo) if n_threads > 1 else map(work, todo)):
            made.append(one)
            if on_done is not None:
                on_done(number)
    return made
