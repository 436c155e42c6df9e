"""Whole-or-nothing writes, keys and the cache folder."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from neurosparse.errors import FileError
from neurosparse.files import cache_folder, content_key, write_whole


def test_a_failed_write_leaves_the_old_file_whole_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "table.csv"
    target.write_text("old")

    def fail_half_way() -> None:
        with write_whole(target) as temporary:
            temporary.write_text("half of the n")
            raise RuntimeError("disk full")

    with pytest.raises(RuntimeError, match="disk full"):
        fail_half_way()
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["table.csv"]


def test_a_write_replaces_the_file_and_keeps_the_suffix(tmp_path: Path) -> None:
    target = tmp_path / "table.csv"
    target.write_text("old")
    with write_whole(target) as temporary:
        assert temporary.suffix == ".csv"
        assert target.read_text() == "old"
        temporary.write_text("new")
    assert target.read_text() == "new"
    assert stat.S_IMODE(target.stat().st_mode) & 0o044, "others may read it, as any new file"


def test_a_write_says_what_is_wrong_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="does not exist. Create it first"), write_whole(tmp_path / "no" / "x.csv"):
        pass
    with pytest.raises(FileError, match="it is a folder"), write_whole(tmp_path):
        pass


def test_content_key_knows_where_its_parts_end() -> None:
    assert content_key("ab", "c") != content_key("a", "bc")
    assert content_key("ab", b"c") == content_key(b"ab", "c")


def test_cache_folder_is_where_the_user_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEUROSPARSE_CACHE_DIR", str(tmp_path / "mine"))
    assert cache_folder() == tmp_path / "mine"
    assert cache_folder().is_dir()
    monkeypatch.delenv("NEUROSPARSE_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "theirs"))
    assert cache_folder() == tmp_path / "theirs" / "neurosparse"
