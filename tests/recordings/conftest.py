"""What the tests of this room share: a fixture that writes small NWB files."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pynwb
import pytest


@pytest.fixture
def write_nwb(tmp_path: Path) -> Callable[..., Path]:
    """Write a file with what the given functions put into it, and give its path."""

    def write(*builds: Callable[[pynwb.NWBFile], Any], name: str = "session.nwb", **facts: Any) -> Path:
        start = datetime(2024, 1, 1, tzinfo=UTC)
        nwbfile = pynwb.NWBFile("a test", "test-file", start, **{"session_id": "s1"} | facts)
        for build in builds:
            build(nwbfile)
        path = tmp_path / name
        with pynwb.NWBHDF5IO(path, "w") as io:
            io.write(nwbfile)
        return path

    return write
