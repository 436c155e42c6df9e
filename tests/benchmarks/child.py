"""One contender's run in a process of its own: its time, and its peak memory above what its imports took.

Called as ``python child.py SCRIPT TASK JSON``: ``TASK(**arguments)`` of SCRIPT imports what it needs, warms up on
something tiny and gives ``(work, facts)``; ``work()`` is timed, ``facts(result)`` says what came of it. Knows the
standard library alone, since it also runs where neurosparse is not installed.
"""

from __future__ import annotations

import gc
import importlib.util
import json
import os
import resource
import sys
import time
import warnings
from pathlib import Path


def main(script: str, task: str, arguments: str) -> None:
    warnings.simplefilter("ignore")
    spec = importlib.util.spec_from_file_location("contender", script)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    work, facts = getattr(module, task)(**json.loads(arguments))
    gc.collect()
    exact = reset_peak()
    baseline = memory("VmRSS")
    wall, before = time.perf_counter(), os.times()
    result = work()
    wall, after = time.perf_counter() - wall, os.times()
    user, system = after.user - before.user, after.system - before.system
    peak = memory("VmHWM") - baseline
    said = {
        "seconds": wall,
        "cpu_seconds": user + system,
        "user_seconds": user,
        "peak_mb": peak,
        "baseline_mb": baseline,
        "peak_exact": exact,
    }
    print("\n" + json.dumps(said | {"facts": facts(result)}))


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
