"""A server on loopback that misbehaves as it is told, and manifests of what it serves."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Callable, Iterator
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tomli_w

CONTENT = np.random.default_rng(0).bytes(300_000)


class Request(BaseHTTPRequestHandler):
    """One request; its server's `answers` say what a path does."""

    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        self.server.seen.append((self.path, self.headers.get("Range")))
        self.close_connection = True
        self.server.answers[self.path](self)

    def begin(self, content: bytes) -> int:
        """Where the client wants to begin in `content`."""
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        return int(wanted.group(1)) if wanted else 0

    def give(self, content: bytes, *, ranges: bool = True, stop: int | None = None, length: bool = True) -> None:
        """Answer with `content`, cut off before byte `stop`."""
        begin = self.begin(content) if ranges else 0
        if begin >= len(content):
            return self.refuse(416)
        self.send_response(206 if begin else 200)
        if begin:
            self.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
        if length:
            self.send_header("Content-Length", str(len(content) - begin))
        self.end_headers()
        self.wfile.write(content[begin:stop])
        self.wfile.flush()

    def refuse(self, status: int, **headers: str) -> None:
        """Answer without a file."""
        body = b"<html>not what you want</html>"
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def end_headers(self) -> None:
        """Say that the connection ends, lest a redirect be asked for over one that is just closing."""
        self.send_header("Connection", "close")
        super().end_headers()

    def log_message(self, *_: Any) -> None:
        """Be silent."""


class Server(ThreadingHTTPServer):
    """`answers` is path -> what to do with a `Request`; `seen` the requests with their ranges."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Request)
        self.answers: dict[str, Callable[[Request], None]] = {}
        self.seen: list[tuple[str, str | None]] = []

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_port}{path}"

    def handle_error(self, *_: Any) -> None:
        """A client that hangs up is part of the tests."""


@pytest.fixture
def server() -> Iterator[Server]:
    """A running server."""
    one = Server()
    thread = threading.Thread(target=one.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield one
    one.shutdown()
    one.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def data_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that datasets go to."""
    monkeypatch.setenv("NEUROSPARSE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return tmp_path / "data"


@pytest.fixture
def write_manifest(tmp_path: Path) -> Callable[..., Path]:
    """Write a manifest of one asset, ``facts`` over the usual ones, and give its path."""

    def write(url: str = "https://example.org/a.nwb", content: bytes = CONTENT, **facts: Any) -> Path:
        asset = {
            "path": "sub-1/a.nwb",
            "url": url,
            "bytes": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
        }
        manifest = {
            "id": "test-set",
            "title": "A test",
            "source": "https://example.org",
            "version": "1.0",
            "licence": "CC0-1.0",
            "citation": "Nobody",
            "modality": "ecephys",
            "assets": [asset | facts.pop("asset", {})],
            **facts,
        }
        path = tmp_path / f"{manifest['id']}.toml"
        path.write_text(tomli_w.dumps({"checked_on": date(2026, 1, 1), **_without_none(manifest)}))
        return path

    return write


def _without_none(facts: Any) -> Any:
    if isinstance(facts, dict):
        return {name: _without_none(value) for name, value in facts.items() if value is not None}
    return [_without_none(value) for value in facts] if isinstance(facts, list) else facts
