"""Make the environment of the peers: ``python -m tests.benchmarks.make_peers``, once; it needs the network.

It lies in the cache folder, or where ``NEUROSPARSE_PEERS_DIR`` says, apart from neurosparse's own packages.
"""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

from neurosparse.files import cache_folder

PEERS = ("pynapple", "elephant")


def folder() -> Path:
    """Where the environment lies."""
    return Path(os.environ.get("NEUROSPARSE_PEERS_DIR") or cache_folder() / "peers")


def python() -> str:
    """Its interpreter."""
    return str(folder() / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))


def main() -> None:
    venv.create(folder(), with_pip=True)
    subprocess.run([python(), "-m", "pip", "install", *(sys.argv[1:] or PEERS)], check=True)


if __name__ == "__main__":
    main()
