"""A download is whole and right or not there at all, whatever the server does."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neurosparse.errors import DataWarning, FileError
from neurosparse.manifests import Manifest, data_folder, fetch_asset, fetching, local_path, read_manifest, state_of
from tests.manifests.conftest import CONTENT, Request, Server

WriteManifest = Callable[..., Path]


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "_PAUSE", 0.0)


@pytest.fixture
def manifest(server: Server, write_manifest: WriteManifest) -> Manifest:
    """A manifest of `CONTENT` at /a."""
    return read_manifest(write_manifest(server.url("/a")))


def bring(manifest: Manifest) -> Path:
    return fetch_asset(manifest, manifest.asset(), progress=False)


def files_in(folder: Path) -> list[str]:
    """Everything that was kept, save the lock."""
    return sorted(path.name for path in folder.rglob("*") if path.is_file() and path.name != ".lock")


def test_a_file_is_fetched_once_and_verified(server: Server, manifest: Manifest, data_home: Path) -> None:
    server.answers["/a"] = lambda request: request.give(CONTENT)
    assert state_of(manifest, manifest.asset()) == "missing"
    path = bring(manifest)
    assert path == data_home / "test-set" / "sub-1" / "a.nwb"
    assert path.read_bytes() == CONTENT
    assert files_in(data_home) == ["a.nwb"]
    assert state_of(manifest, manifest.asset()) == "intact"
    assert bring(manifest) == path
    assert server.seen == [("/a", None)], "the second call asked nobody"


def test_a_slow_server_is_waited_for(server: Server, manifest: Manifest) -> None:
    def drip(request: Request) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(len(CONTENT)))
        request.end_headers()
        for begin in range(0, len(CONTENT), 60_000):
            request.wfile.write(CONTENT[begin : begin + 60_000])
            request.wfile.flush()
            time.sleep(0.05)

    server.answers["/a"] = drip
    assert bring(manifest).read_bytes() == CONTENT
    assert len(server.seen) == 1


def test_a_server_that_falls_silent_is_left_and_asked_again(
    server: Server, manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "_PATIENCE", 0.3)

    def stall(request: Request) -> None:
        if len(server.seen) > 1:
            return request.give(CONTENT)
        request.send_response(200)
        request.send_header("Content-Length", str(len(CONTENT)))
        request.end_headers()
        request.wfile.write(CONTENT[:100_000])
        request.wfile.flush()
        time.sleep(1)
        return None

    server.answers["/a"] = stall
    assert bring(manifest).read_bytes() == CONTENT
    (_, first), (_, second) = server.seen
    assert first is None
    assert 80_000 < int(str(second).removeprefix("bytes=").removesuffix("-")) <= 100_000


def test_a_download_cut_off_midway_goes_on_where_it_ended(server: Server, manifest: Manifest) -> None:
    server.answers["/a"] = lambda request: request.give(CONTENT, stop=request.begin(CONTENT) + 70_000)
    assert bring(manifest).read_bytes() == CONTENT
    begins = [int((wanted or "bytes=0-")[6:-1]) for _, wanted in server.seen]
    assert begins[0] == 0
    assert begins == sorted(begins)
    assert all(50_000 < step <= 70_000 for step in np.diff(begins)), "each connection brought what it could"
    assert len(begins) == 5


def test_a_server_without_ranges_is_asked_from_the_start(server: Server, manifest: Manifest) -> None:
    server.answers["/a"] = lambda request: request.give(
        CONTENT, ranges=False, stop=None if len(server.seen) > 1 else 70_000
    )
    assert bring(manifest).read_bytes() == CONTENT
    assert server.seen[1][1] is not None, "it was asked to go on, and sent everything"


def test_an_end_without_a_stated_length_is_noticed(server: Server, manifest: Manifest) -> None:
    server.answers["/a"] = lambda request: request.give(
        CONTENT, length=False, stop=None if len(server.seen) > 1 else 70_000
    )
    assert bring(manifest).read_bytes() == CONTENT
    assert len(server.seen) == 2


def test_a_range_that_was_not_asked_for_is_thrown_away(server: Server, manifest: Manifest) -> None:
    def elsewhere(request: Request) -> None:
        if len(server.seen) != 2:
            return request.give(CONTENT, stop=None if len(server.seen) > 1 else 70_000)
        request.send_response(206)
        request.send_header("Content-Range", f"bytes 5-{len(CONTENT) - 1}/{len(CONTENT)}")
        request.send_header("Content-Length", str(len(CONTENT) - 5))
        request.end_headers()
        request.wfile.write(CONTENT[5:])
        return None

    server.answers["/a"] = elsewhere
    assert bring(manifest).read_bytes() == CONTENT
    assert server.seen[-1][1] is None, "started again"


def test_what_arrived_is_kept_when_a_server_always_breaks_off(
    server: Server, manifest: Manifest, data_home: Path
) -> None:
    def break_off(request: Request) -> None:
        if request.begin(CONTENT) < 80_000:
            return request.give(CONTENT, stop=100_000)
        return request.connection.shutdown(socket.SHUT_RDWR)

    server.answers["/a"] = break_off
    with pytest.raises(
        FileError,
        match=r"broke off 4 times in a row \([^()]+\). [\d,]+ bytes have arrived of 0.3 MB and are kept: call again",
    ):
        bring(manifest)
    assert files_in(data_home) == ["a.nwb.part"]
    arrived = (data_home / "test-set" / "sub-1" / "a.nwb.part").stat().st_size
    assert 80_000 < arrived <= 100_000
    assert state_of(manifest, manifest.asset()) == "missing"
    server.answers["/a"] = lambda request: request.give(CONTENT)
    assert bring(manifest).read_bytes() == CONTENT
    assert server.seen[-1][1] == f"bytes={arrived}-"
    assert files_in(data_home) == ["a.nwb"]


def test_wrong_bytes_are_refused_and_nothing_is_kept(server: Server, manifest: Manifest, data_home: Path) -> None:
    wrong = CONTENT[:-1] + bytes([CONTENT[-1] ^ 1])
    server.answers["/a"] = lambda request: request.give(wrong)
    with pytest.raises(FileError, match=r"gave other bytes than its manifest pins: sha256 .* Nothing was kept"):
        bring(manifest)
    assert files_in(data_home) == []
    assert len(server.seen) == 1


def test_bytes_left_over_from_another_version_do_no_harm(server: Server, manifest: Manifest) -> None:
    part = local_path(manifest, manifest.asset()).with_name("a.nwb.part")
    part.parent.mkdir(parents=True)
    part.write_bytes(b"old" * 1000)
    server.answers["/a"] = lambda request: request.give(CONTENT)
    assert bring(manifest).read_bytes() == CONTENT
    assert [wanted for _, wanted in server.seen] == ["bytes=3000-", None]


def test_a_part_that_is_complete_is_only_verified(server: Server, manifest: Manifest) -> None:
    part = local_path(manifest, manifest.asset()).with_name("a.nwb.part")
    part.parent.mkdir(parents=True)
    part.write_bytes(CONTENT)
    assert bring(manifest).read_bytes() == CONTENT
    assert server.seen == []


def test_an_endless_answer_is_cut_short(server: Server, manifest: Manifest, data_home: Path) -> None:
    sent = []

    def endless(request: Request) -> None:
        request.send_response(200)
        request.end_headers()
        for _ in range(1000):
            request.wfile.write(CONTENT)
            sent.append(len(CONTENT))

    server.answers["/a"] = endless
    with pytest.raises(FileError, match="sends more than the 300,000 bytes that its manifest states. Nothing was kept"):
        bring(manifest)
    assert files_in(data_home) == []
    assert sum(sent) < 100e6


def test_a_size_nobody_states_is_no_hindrance(server: Server, write_manifest: WriteManifest, data_home: Path) -> None:
    one = read_manifest(write_manifest(server.url("/a"), asset={"bytes": None}))
    part = local_path(one, one.asset()).with_name("a.nwb.part")
    part.parent.mkdir(parents=True)
    part.write_bytes(CONTENT)  # complete, which only the server can tell: it answers 416
    server.answers["/a"] = lambda request: request.give(CONTENT)
    assert bring(one).read_bytes() == CONTENT
    assert files_in(data_home) == ["a.nwb"]
    assert [wanted for _, wanted in server.seen] == ["bytes=300000-", None]


@pytest.mark.parametrize("status", [404, 403, 410])
def test_a_refusal_is_told_at_once(status: int, server: Server, manifest: Manifest, data_home: Path) -> None:
    server.answers["/a"] = lambda request: request.refuse(status)
    with pytest.raises(FileError, match=rf"the server answers {status} .* for http.*/a. It may have been moved"):
        bring(manifest)
    assert len(server.seen) == 1
    assert files_in(data_home) == []


def test_an_overload_is_tried_again(server: Server, manifest: Manifest) -> None:
    server.answers["/a"] = lambda request: request.give(CONTENT) if len(server.seen) > 2 else request.refuse(503)
    assert bring(manifest).read_bytes() == CONTENT
    assert len(server.seen) == 3


def test_a_server_that_stays_overloaded_is_given_up(server: Server, manifest: Manifest, data_home: Path) -> None:
    server.answers["/a"] = lambda request: request.refuse(500)
    with pytest.raises(
        FileError, match=r"broke off 4 times in a row \(status 500\). Nothing has arrived of 0.3 MB: try again"
    ):
        bring(manifest)
    assert files_in(data_home) == []


def test_a_redirect_is_followed_also_when_going_on(server: Server, manifest: Manifest) -> None:
    server.answers["/a"] = lambda request: request.refuse(302, Location=server.url("/b"))
    server.answers["/b"] = lambda request: request.give(CONTENT, stop=None if len(server.seen) > 2 else 70_000)
    assert bring(manifest).read_bytes() == CONTENT
    assert [path for path, _ in server.seen] == ["/a", "/b", "/a", "/b"]
    assert server.seen[-1][1] is not None


@pytest.mark.parametrize(
    ("target", "said"), [("file:///etc/passwd", "No connection adapters"), ("/a", "Exceeded 30 redirects")]
)
def test_a_redirect_that_leads_nowhere_is_refused(
    target: str, said: str, server: Server, manifest: Manifest, data_home: Path
) -> None:
    server.answers["/a"] = lambda request: request.refuse(302, Location=target)
    with pytest.raises(FileError, match=rf"cannot fetch http.*/a: {said}.* Check the URL"):
        bring(manifest)
    assert files_in(data_home) == []


def test_a_server_that_answers_and_sends_nothing_is_said(server: Server, manifest: Manifest, data_home: Path) -> None:
    server.answers["/a"] = lambda request: request.give(CONTENT, stop=0)
    said = r"broke off 4 times in a row \(.+\). Nothing has arrived of 0.3 MB: try again later"
    with pytest.raises(FileError, match=said):
        bring(manifest)
    assert files_in(data_home) == []


def test_nobody_there_is_said(manifest: Manifest, server: Server, data_home: Path) -> None:
    server.shutdown()
    server.server_close()
    said = r"/a cannot be reached, tried 4 times: Connection refused. Check the network; nothing was fetched"
    with pytest.raises(FileError, match=said):
        bring(manifest)
    assert files_in(data_home) == []


def test_a_name_that_nobody_knows_is_said(write_manifest: WriteManifest, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    one = read_manifest(write_manifest("https://nowhere.invalid/a"))
    with pytest.raises(
        FileError, match="nowhere.invalid/a cannot be reached, tried 4 times: Name or service not known"
    ):
        bring(one)


def test_fetches_of_one_file_at_once_ask_the_server_once(
    server: Server, manifest: Manifest, capfd: pytest.CaptureFixture[str]
) -> None:
    def slowly(request: Request) -> None:
        time.sleep(0.3)
        request.give(CONTENT)

    server.answers["/a"] = slowly
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: fetch_asset(manifest, manifest.asset(), progress=True), range(4)))
    assert len({path.read_bytes() for path in found}) == 1
    assert len(server.seen) == 1
    assert "waiting for another process that fetches test-set" in capfd.readouterr().err


def test_a_killed_fetch_leaves_what_the_next_one_goes_on_with(
    server: Server, write_manifest: WriteManifest, data_home: Path
) -> None:
    path = write_manifest(server.url("/a"))
    half_way = threading.Event()

    def hang(request: Request) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(len(CONTENT)))
        request.end_headers()
        request.wfile.write(CONTENT[:150_000])
        request.wfile.flush()
        half_way.set()
        time.sleep(20)

    server.answers["/a"] = hang
    code = "import sys; from neurosparse.manifests import *; m = read_manifest(sys.argv[1]); fetch_asset(m, m.asset())"
    process = subprocess.Popen([sys.executable, "-c", code, str(path)], stderr=subprocess.DEVNULL)
    try:
        assert half_way.wait(60)
        part = data_home / "test-set" / "sub-1" / "a.nwb.part"
        until = time.monotonic() + 20
        while not (part.exists() and part.stat().st_size > 100_000) and time.monotonic() < until:
            time.sleep(0.02)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert files_in(data_home) == ["a.nwb.part"]
    assert part.stat().st_size > 100_000
    server.answers["/a"] = lambda request: request.give(CONTENT)
    began = time.monotonic()
    assert bring(read_manifest(path)).read_bytes() == CONTENT
    assert time.monotonic() - began < 5, "nobody holds the dead process's lock"
    assert int(str(server.seen[-1][1])[6:-1]) > 100_000
    assert files_in(data_home) == ["a.nwb"]


def test_a_damaged_file_is_named_and_replaced_only_by_a_good_one(server: Server, manifest: Manifest) -> None:
    path = local_path(manifest, manifest.asset())
    path.parent.mkdir(parents=True)
    damaged = bytes([CONTENT[0] ^ 1]) + CONTENT[1:]
    path.write_bytes(damaged)
    assert state_of(manifest, manifest.asset()) == "damaged"
    server.answers["/a"] = lambda request: request.refuse(404)
    with (
        pytest.warns(DataWarning, match="has not the digest its manifest pins; it is fetched again"),
        pytest.raises(FileError, match="answers 404"),
    ):
        bring(manifest)
    assert path.read_bytes() == damaged
    server.answers["/a"] = lambda request: request.give(CONTENT)
    with pytest.warns(DataWarning, match="fetched again"):
        bring(manifest)
    assert path.read_bytes() == CONTENT
    path.write_bytes(CONTENT[:-1])
    assert state_of(manifest, manifest.asset()) == "damaged"


def test_a_licence_that_is_not_known_is_said(server: Server, write_manifest: WriteManifest) -> None:
    server.answers["/a"] = lambda request: request.give(CONTENT)
    one = read_manifest(write_manifest(server.url("/a"), licence="unverified"))
    with pytest.warns(
        DataWarning, match="the licence of test-set is unverified: use it yourself and do not pass it on"
    ):
        bring(one)
    bring(one)  # here already: nothing to say


def test_a_link_that_leads_out_of_the_folder_is_not_followed(
    manifest: Manifest, data_home: Path, tmp_path: Path
) -> None:
    (data_home / "test-set").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    (data_home / "test-set" / "sub-1").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileError, match=r"leads out of .*test-set, to .*elsewhere/a.nwb. Remove the link"):
        bring(manifest)


def test_a_folder_that_cannot_be_written_is_named(manifest: Manifest, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file where the folder should be")
    with pytest.raises(FileError, match="cannot write .*a.nwb: .* Set NEUROSPARSE_DATA_DIR to a folder .* 0.3 MB"):
        bring(manifest)


def test_the_progress_bar_counts_what_arrived(
    server: Server, manifest: Manifest, capfd: pytest.CaptureFixture[str]
) -> None:
    server.answers["/a"] = lambda request: request.give(CONTENT, stop=None if len(server.seen) > 1 else 70_000)
    fetch_asset(manifest, manifest.asset(), progress=True)
    said = capfd.readouterr().err
    assert "a.nwb: 100%" in said
    assert "300k/300k" in said


def test_the_folder_is_the_users_cache_where_none_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NEUROSPARSE_DATA_DIR")
    monkeypatch.setenv("NEUROSPARSE_CACHE_DIR", str(tmp_path / "cache"))
    assert data_folder() == tmp_path / "cache" / "data"


def test_a_fresh_start_is_verified_too(server: Server, manifest: Manifest, data_home: Path) -> None:
    part = local_path(manifest, manifest.asset()).with_name("a.nwb.part")
    part.parent.mkdir(parents=True)
    part.write_bytes(b"old" * 1000)
    server.answers["/a"] = lambda request: request.give(CONTENT[::-1])
    with pytest.raises(FileError, match="gave other bytes than its manifest pins"):
        bring(manifest)
    assert files_in(data_home) == []
