"""Files on a server: blocks by range, kept on disk by version, and every refusal in words. Loopback servers only."""

from __future__ import annotations

import importlib.util
import multiprocessing
import pickle
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nwb_parts import series, trials, units

from neurosparse import open_nwb, population
from neurosparse.errors import DependencyError, FileError
from neurosparse.recordings import remote

BIG = np.random.default_rng(0).random((300_000, 4))


@dataclass
class Server:
    """What a server of one file does, and what was asked of it."""

    data: bytes = b""
    tag: str = '"one"'
    ranges: bool = True
    broken_from: int | None = None
    moved: bool = False
    sent: list[int] = field(default_factory=list)
    address: str = ""

    @property
    def url(self) -> str:
        return f"{self.address}/session.nwb"


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NEUROSPARSE_CACHE_DIR", str(tmp_path / "cache"))
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            pass

        def do_HEAD(self) -> None:
            self.answer(body=False)

        def do_GET(self) -> None:
            self.answer(body=True)

        def answer(self, body: bool) -> None:
            if self.path != "/session.nwb" and not (state.moved and self.path == "/moved.nwb"):
                return self.say(404, b"", body)
            if state.moved and self.path == "/session.nwb":
                return self.say(302, b"", body, Location="/moved.nwb")
            asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
            if not state.ranges or asked is None:
                return self.say(200, state.data, body, **({"Accept-Ranges": "bytes"} if state.ranges else {}))
            first, last = int(asked[1]), min(int(asked[2]), len(state.data) - 1)
            if state.broken_from is not None and last >= state.broken_from:
                return self.say(403, b"", body)
            part = state.data[first : last + 1]
            if body:
                state.sent.append(len(part))
            return self.say(206, part, body, **{"Content-Range": f"bytes {first}-{last}/{len(state.data)}"})

        def say(self, status: int, data: bytes, body: bool, **headers: str) -> None:
            self.send_response(status)
            if state.tag:
                self.send_header("ETag", state.tag)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if body:
                self.wfile.write(data)

    class Listening(ThreadingHTTPServer):
        def handle_error(self, *_: Any) -> None:
            """A client that hangs up is what some of these tests are about; say nothing of it."""

    listening = Listening(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=listening.serve_forever, daemon=True)
    thread.start()
    state.address = f"http://127.0.0.1:{listening.server_address[1]}"
    yield state
    listening.shutdown()
    listening.server_close()
    thread.join()


@pytest.fixture(params=["remfile", "fsspec"])
def fetcher(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each library that fetches blocks in turn, the other hidden."""
    name = str(request.param)
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"{name} is not installed")
    monkeypatch.setattr(remote, "_installed", lambda package: package in (name, "aiohttp"))
    return name


@pytest.fixture
def served(server: Server, write_nwb: Any) -> Server:
    """A file of 10 MB with spikes, trials and a large series, on the server."""
    parts = units([[0.1, 0.2, 1.5], [1.1]]), trials([0.0, 1.0]), series("big", BIG, rate=100.0)
    server.data = write_nwb(*parts).read_bytes()
    return server


def test_row_35_a_url_gives_what_the_file_gives_and_fetches_little(served, fetcher, tmp_path):
    with open_nwb(tmp_path / "session.nwb") as recording:
        local = recording.spikes(align="trials", reduce="sum")
    with open_nwb(served.url) as recording:
        assert recording.path == served.url
        x = recording.spikes(align="trials", reduce="sum")
        fetched = sum(served.sent)
        np.testing.assert_array_equal(recording.series("big")[-3:], BIG[-3:])
        assert recording.quality().attrs["source"] == "session.nwb:units", "a URL has no name of its own"
    np.testing.assert_array_equal(x, local)
    np.testing.assert_array_equal(x, [[2, 0], [1, 1]])
    assert fetched < len(served.data) / 2, "spikes alone do not need the series"
    file = population.provenance(x)["file"]
    assert (file["url"], file["version_on_server"], file["bytes"]) == (served.url, '"one"', len(served.data))


def test_row_35_blocks_are_kept_on_disk_by_version(served, fetcher, write_nwb, tmp_path):
    def counts():
        with open_nwb(served.url) as recording:
            return recording.spikes(align="trials", reduce="sum").values.tolist()

    first = counts()
    fetched = sum(served.sent)
    served.sent.clear()
    assert counts() == first == [[2, 0], [1, 1]]
    assert sum(served.sent) < 1000 < fetched, "the second time the server is only asked for the version"
    blocks = sorted((tmp_path / "cache").rglob("*.block"))
    for block in blocks:
        block.write_bytes(block.read_bytes()[:-1])  # a disk that was full
    assert counts() == first
    assert sum(served.sent) >= sum(block.stat().st_size for block in blocks), "fetched anew"
    other = units([[0.5, 0.6, 0.7], [1.1]]), trials([0.0, 1.0]), series("big", BIG, rate=100.0)  # as large
    served.data = write_nwb(*other, name="other.nwb").read_bytes()
    served.tag = '"two"'
    assert counts() == [[3, 0], [0, 1]], "a file that changed is not read from the old blocks"


def test_row_35_less_than_was_asked_for_is_no_block(tmp_path, monkeypatch):
    monkeypatch.setenv("NEUROSPARSE_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(remote, "_fetcher", lambda: lambda _: lambda start, stop: b"x" * (stop - start - 1))
    with pytest.raises(FileError, match="cannot be read: 100 bytes from 0 were asked for, 99 came. Try again"):
        remote.Stream("http://nowhere/a.nwb", 100, "one").read(10)
    assert not list(tmp_path.rglob("*.block"))


def test_row_35_without_a_version_nothing_is_kept(served, fetcher):
    served.tag = ""
    for _ in range(2):
        served.sent.clear()
        with open_nwb(served.url) as recording:
            assert recording.spikes(align="trials", reduce="sum").values.tolist() == [[2, 0], [1, 1]]
        assert sum(served.sent) > 1000


def test_row_35_redirects_are_followed(served, fetcher):
    served.moved = True
    with open_nwb(served.url) as recording:
        assert recording.spikes(align="trials", reduce="sum").values.tolist() == [[2, 0], [1, 1]]


def test_row_35_a_server_that_breaks_off_is_a_file_error(served, fetcher):
    with open_nwb(served.url) as recording:
        recording.spikes(align="trials", reduce="sum")
        served.broken_from = 0
        with pytest.raises(FileError, match=r"cannot read|cannot be read"):
            recording.series("big").load()


def test_row_35_refusals_in_words(served):
    with pytest.raises(FileError, match=r"/gone.nwb: the server answers 404 Not Found. Check the address"):
        open_nwb(f"{served.address}/gone.nwb")
    served.ranges = False
    with pytest.raises(FileError, match=r"sends whole files only \(status 200 .*Download it and open the file"):
        open_nwb(served.url)
    with pytest.raises(FileError, match=r"127.0.0.1:1/a.nwb cannot be reached: .*refused"):
        open_nwb("http://127.0.0.1:1/a.nwb")


def test_row_35_a_page_is_no_recording(server, fetcher):
    server.data = b"<html>please sign in</html>" * 100
    with pytest.raises(FileError, match=r"session.nwb cannot be read as HDF5"):
        open_nwb(server.url)


def test_row_35_neither_library_is_installed(served, monkeypatch):
    monkeypatch.setattr(remote, "_installed", lambda _: False)
    with pytest.raises(DependencyError, match=r"needs remfile, or fsspec and aiohttp.*neurosparse\[remote\]"):
        open_nwb(served.url)


def _count(recording: Any) -> list[Any]:
    with recording:
        return recording.spikes(align="trials", reduce="sum").values.tolist()


def test_row_39_a_recording_on_a_server_can_be_sent_to_a_worker(served):
    with open_nwb(served.url) as recording:
        copy = pickle.loads(pickle.dumps(recording))
        assert _count(copy) == [[2, 0], [1, 1]]
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            assert pool.map_async(_count, [recording]).get(60) == [[[2, 0], [1, 1]]]
