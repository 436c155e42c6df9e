"""One contender's run in a process of its own: its time, and its peak memory above what its imports took.

Called as ``python child.py SCRIPT TASK JSON``: ``TASK(**arguments)`` of SCRIPT imports what it needs, warms up on
something tiny and gives ``(work, facts)``; ``work()`` is timed, ``facts(result)`` says what came of it. Knows the
standard library alone, since it also runs where neurosparse is not installed.

The first call, in new memory, tells the peak. The time is that of the quickest of up to four calls, the last ones in
memory that the process has kept: on a virtual machine the host may take seconds to give a new gigabyte, and does so to
whoever comes after a pause (numpy, filling 720 MB, took .5 s of a busy core at once and 6 to 10 s after five to ten
seconds of rest). So the first calls of two contenders do not compare, but the second ones do: memory that is new to the
process, and that the host has given a moment ago.
"""

from __future__ import annotations

import ctypes
import gc
import importlib.util
import json
import resource
import sys
import time
import warnings
from pathlib import Path
from typing import Any

# Calls of the work, and the seconds after which no other one begins.
CALLS, ENOUGH = 4, 20.0


def main(script: str, task: str, arguments: str) -> None:
    warnings.simplefilter("ignore")
    spec = importlib.util.spec_from_file_location("contender", script)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    work, facts = getattr(module, task)(**json.loads(arguments))
    gc.collect()
    exact = reset_peak()
    baseline = memory("VmRSS")
    result, first = timed(work)
    peak = memory("VmHWM") - baseline
    said = facts(result)
    del result
    times = [first]
    if first["seconds"] < ENOUGH:
        gc.collect()
        times.append(timed(work)[1])
    fresh = times[-1]["seconds"]
    keep_memory()
    while len(times) < CALLS and sum(time["seconds"] for time in times) < ENOUGH:
        gc.collect()
        times.append(timed(work)[1])  # its result is let go at once
    best = {name: min(time[name] for time in times) for name in first}
    measured = {"peak_mb": peak, "baseline_mb": baseline, "peak_exact": exact}
    measured |= {"first_seconds": first["seconds"], "fresh_seconds": fresh}
    print("\n" + json.dumps(best | measured | {"calls": times, "facts": said}))


def timed(work) -> tuple[Any, dict[str, float]]:
    """What `work` gives, and its seconds: on the clock, of the processor, and of that outside the kernel."""
    wall, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
    result = work()
    wall, after = time.perf_counter() - wall, resource.getrusage(resource.RUSAGE_SELF)
    user, system = after.ru_utime - before.ru_utime, after.ru_stime - before.ru_stime
    return result, {"seconds": wall, "cpu_seconds": user + system, "user_seconds": user}


def keep_memory() -> None:
    """Have the C library keep what is freed, for the next call; elsewhere than on Linux nothing changes."""
    try:
        option = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    option(-4, 0)  # M_MMAP_MAX: large arrays come from the heap as well
    option(-1, -1)  # M_TRIM_THRESHOLD: of which nothing is given back


def reset_peak() -> bool:
    """Start the kernel's record of the peak anew; without it a peak of the imports may stand in for the work's."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def memory(field: str) -> float:
    """Resident memory now (VmRSS) or at its peak (VmHWM), in MB of 10^6 bytes."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith(field + ":"))
    except (OSError, StopIteration):  # no such file system: the peak since the process began is all there is
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


if __name__ == "__main__":
    main(*sys.argv[1:])
