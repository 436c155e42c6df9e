"""What the benchmarks share: contenders in processes of their own, alternating runs, tables and JSON.

Contenders enter, `Outcome`s leave. Knows nothing of what is measured.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent
RESULTS = FOLDER / "results"
TIMES = ("seconds", "cpu_seconds", "user_seconds", "first_seconds", "fresh_seconds")
PACKAGES = ("neurosparse", "numpy", "numba", "scipy", "xarray", "h5py", "pynwb", "torch", "scikit-learn")


@dataclass(frozen=True)
class Contender:
    """One way of doing a task.

    Attributes
    ----------
    name : str
    script : str
        A file in ``contenders/`` with one function a task.
    python : str
        The interpreter that has what the script imports.
    needs : str
        The package without which it is skipped, "" for none.
    """

    name: str
    script: str
    python: str = sys.executable
    needs: str = ""

    def missing(self) -> str:
        """Why it cannot run here, "" where it can."""
        if not self.needs:
            return ""
        if not Path(self.python).exists():
            return f"no environment of peers ({self.python}): make it with python -m tests.benchmarks.make_peers"
        found = subprocess.run([self.python, "-c", f"import {self.needs}"], capture_output=True, check=False)
        return "" if found.returncode == 0 else f"{self.needs} cannot be imported by {self.python}"

    def version(self) -> str:
        """Version of the package it needs."""
        code = (
            "from importlib import metadata as m; "
            f"print(m.version(m.packages_distributions().get({self.needs!r}, [{self.needs!r}])[0]))"
        )
        done = subprocess.run([self.python, "-c", code], capture_output=True, text=True, check=False)
        return done.stdout.strip()


@dataclass
class Outcome:
    """What a benchmark found.

    Attributes
    ----------
    settings : dict
        Sizes, seeds, threads.
    rows : list of dict
        One a task and contender: ``task``, ``contender`` and any numbers; keys are the table's columns.
    versions : dict
        Of packages that are not this environment's own.
    """

    settings: dict[str, Any]
    rows: list[dict[str, Any]]
    versions: dict[str, str] = field(default_factory=dict)

    def table(self) -> str:
        """The rows as a Markdown table; columns that hold lists or dicts stay in the JSON."""
        names = dict.fromkeys(
            name for row in self.rows for name, value in row.items() if not isinstance(value, list | dict)
        )
        body = [[_shown(row.get(name, "")) for name in names] for row in self.rows]
        widths = [max(map(len, column)) for column in zip(names, *body, strict=True)]
        lines = [list(names), ["-" * width for width in widths], *body]
        return "\n".join(
            "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |"
            for line in lines
        )


def _shown(value: Any) -> str:
    return (
        f"{value:.3g}"
        if isinstance(value, float) and abs(value) < 1000
        else str(round(value, 1) if isinstance(value, float) else value)
    )


def measure(contender: Contender, task: str, arguments: Mapping[str, Any], *, limit_s: float = 600) -> dict[str, Any]:
    """One run in a process of its own: seconds, cpu_seconds, peak_mb above its imports, and its facts.

    Raises
    ------
    RuntimeError
        If it fails, with the end of what it said.
    """
    command = [contender.python, str(FOLDER / "child.py"), str(FOLDER / "contenders" / contender.script), task]
    one_thread = dict.fromkeys(("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    done = subprocess.run(
        [*command, json.dumps(dict(arguments))],
        cwd=FOLDER.parent.parent,
        env=os.environ | one_thread,
        capture_output=True,
        text=True,
        timeout=limit_s,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{contender.name} failed at {task}: {done.stderr.strip()[-600:]}")
    return dict(json.loads(done.stdout.strip().splitlines()[-1]))


def alternate(
    task: str, contenders: Sequence[Contender], arguments: Mapping[str, Any], *, runs: int, limit_s: float = 600
) -> list[dict[str, Any]]:
    """Runs in turn, so that a busy machine slows all alike; one row a contender, the first is the one compared.

    ``ratio`` is the contender's median seconds over the first's, ``cpu_ratio`` the same of CPU seconds, ``user_ratio``
    of those spent outside the kernel, ``first_ratio`` of the first calls, ``fresh_ratio`` of the second: see `child`.
    """
    skipped = {one.name: one.missing() for one in contenders}
    able = [one for one in contenders if not skipped[one.name]]
    samples: dict[str, list[dict[str, Any]]] = {one.name: [] for one in able}
    for turn in range(runs):
        for one in able if turn % 2 == 0 else able[::-1]:
            print(f"{task}, run {turn + 1} of {runs}: {one.name}", file=sys.stderr, flush=True)
            samples[one.name].append(measure(one, task, arguments, limit_s=limit_s))
    rows = [_row(task, one, samples[one.name]) for one in able]
    for row in rows:
        for name in TIMES:
            ratio = row[name] / rows[0][name] if rows[0][name] else float("nan")
            row[name.replace("seconds", "ratio")] = ratio
    gone = [{"task": task, "contender": name, "skipped": reason} for name, reason in skipped.items() if reason]
    return [*rows, *gone]


def _row(task: str, one: Contender, runs: list[dict[str, Any]]) -> dict[str, Any]:
    row: dict[str, Any] = {"task": task, "contender": one.name}
    for name in (*TIMES, "peak_mb"):
        row[name] = statistics.median(run[name] for run in runs)
    return row | {"runs": runs, "facts": runs[-1]["facts"]}


def save(name: str, outcome: Outcome, folder: str | Path = RESULTS) -> Path:
    """Write the rows with settings, versions, machine and commit as ``NAME.json``."""
    path = Path(folder) / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    facts = {
        "benchmark": name,
        "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "commit": commit(),
        "machine": machine(),
        "versions": {**_own_versions(), **outcome.versions},
        "settings": outcome.settings,
        "rows": outcome.rows,
    }
    path.write_text(json.dumps(facts, indent=1) + "\n")
    return path


def commit() -> str:
    """The commit measured, with a mark where files differ from it; "" outside a checkout."""

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=FOLDER, capture_output=True, text=True, check=False).stdout.strip()

    changed = git("status", "--porcelain", "--untracked-files=no", "--", "../../neurosparse")
    return git("rev-parse", "--short=12", "HEAD") + (" and changes" if changed else "")


def machine() -> dict[str, Any]:
    """Processor, cores, memory, system and load; nothing that names the machine."""
    model = platform.processor() or platform.machine()
    memory = None
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), model)
    if hasattr(os, "sysconf"):
        memory = round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1)
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    system = f"{platform.system()}, Python {platform.python_version()}"
    return {"processor": model, "cores": os.cpu_count(), "memory_gb": memory, "system": system, "load": load}


def _own_versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found
