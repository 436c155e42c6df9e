"""Every manifest that is packed keeps to the schema, and what could do harm is refused."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from neurosparse.errors import FileError, InputError, MissingError
from neurosparse.files import packaged
from neurosparse.manifests import all_manifests, find_manifest, read_manifest

PACKED = sorted(packaged("data_manifests").glob("*.toml"))
HOSTS = {"dandiarchive.s3.amazonaws.com", "osf.io"}


@pytest.mark.parametrize("path", PACKED, ids=lambda path: path.stem)
def test_a_packed_manifest_keeps_to_the_schema(path: Path) -> None:
    manifest = read_manifest(path)
    assert manifest.asset() in manifest.assets
    assert all(urlsplit(asset.url).hostname in HOSTS for asset in manifest.assets)
    assert all(asset.path.endswith(".nwb") for asset in manifest.assets)
    for asset in manifest.assets:
        if asset.blob is not None:
            assert asset.url.endswith(f"/blobs/{asset.blob[:3]}/{asset.blob[3:6]}/{asset.blob}")
    dandi = manifest.id.startswith("dandi-")
    assert not dandi or f"/dandiset/{manifest.id[6:12]}/{manifest.version}" in manifest.source
    # A published dandiset is cited by the DOI of its version; a draft has none.
    has_doi = dandi and manifest.version != "draft"
    assert manifest.doi == (f"10.48324/dandi.{manifest.id[6:12]}/{manifest.version}" if has_doi else None)
    assert has_doi <= (str(manifest.doi) in manifest.citation)
    assert (manifest.licence != "unverified") or any("do not pass it on" in one for one in manifest.caveats)


def test_there_are_enough_of_both_modalities_and_no_file_twice() -> None:
    manifests = all_manifests()
    assert len(manifests) >= 15
    assert {manifest.modality for manifest in manifests} == {"ecephys", "ophys"}
    digests = [asset.sha256 for manifest in manifests for asset in manifest.assets]
    assert len(set(digests)) == len(digests)


def test_no_data_are_in_the_repository() -> None:
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=PACKED[0].parent.parent, capture_output=True, text=True, check=False
    )
    assert not [name for name in tracked.stdout.split() if name.endswith((".nwb", ".h5", ".hdf5", ".zarr"))]


def test_a_whole_manifest_is_read(write_manifest: Callable[..., Path]) -> None:
    path = write_manifest(areas=["V1"], load={"method": "spikes", "bin_width": 0.1}, expected={"units": 3})
    manifest = read_manifest(path)
    assert (manifest.id, manifest.areas, manifest.caveats, manifest.doi) == ("test-set", ("V1",), (), None)
    assert manifest.expected == {"units": 3}
    assert manifest.asset("a.nwb") == manifest.asset("sub-1/a.nwb") == manifest.assets[0]
    assert find_manifest(path) == find_manifest(str(path)) == manifest
    with pytest.raises(MissingError, match=r"test-set has no asset 'b.nwb'; it has: sub-1/a.nwb. Give one"):
        manifest.asset("b.nwb")


@pytest.mark.parametrize(
    "path",
    [
        "../a.nwb",
        "sub/../../a.nwb",
        "/etc/a.nwb",
        "C:/a.nwb",
        "C:a.nwb",
        "..\\a.nwb",
        "sub\\a.nwb",
        "sub//a.nwb",
        "./a.nwb",
        "sub/",
        "~/..",
        ".lock",
        "a.nwb.part",
        "a\0.nwb",
        "a\n.nwb",
        " a.nwb",
        "",
    ],
)
def test_a_path_that_could_leave_the_folder_is_refused(path: str, write_manifest: Callable[..., Path]) -> None:
    with pytest.raises(InputError, match=r"asset 0: path is .* expected a path .* stays below the dataset's folder"):
        read_manifest(write_manifest(asset={"path": path}))


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://example.org/a.nwb",
        "s3://bucket/a.nwb",
        "example.org/a.nwb",
        "https:///a.nwb",
        "https://user:secret@example.org/a.nwb",
        "https://example.org/a b.nwb",
        "https://[::1/a.nwb",
        "https://example.org/a\n.nwb",
    ],
)
def test_only_web_urls_are_taken(url: str, write_manifest: Callable[..., Path]) -> None:
    with pytest.raises(InputError, match="asset 0: url is .* expected an http or https URL without user or password"):
        read_manifest(write_manifest(url))


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"colour": "red"}, r"unknown \['colour'\], missing \[\]. It may hold id, title"),
        ({"licence": None}, r"unknown \[\], missing \['licence'\]"),
        ({"licence": "free"}, "licence is 'free'; expected one of CC0-1.0, .*, unverified"),
        ({"modality": "MEG"}, "modality is 'MEG'; expected one of ecephys, ophys"),
        ({"doi": "https://doi.org/10.1/x"}, "doi is .* expected a DOI such as"),
        ({"paper": "nature"}, "paper is 'nature'; expected a DOI"),
        ({"title": ""}, "title is ''; expected text"),
        ({"species": 3}, "species is 3; expected text"),
        ({"areas": "V1"}, "areas is 'V1'; expected a list of texts"),
        ({"checked_on": "2026-01-01"}, "checked_on is '2026-01-01'; expected a date"),
        ({"id": "../x"}, "id is '../x'; expected small letters"),
        ({"assets": []}, "assets is .*; expected at least one"),
        ({"assets": ["a.nwb"]}, "asset 0: expected a table of facts; got 'a.nwb'"),
        ({"expected": {"neurons": 3}}, "expected is .*; expected a table of the counts units and trials"),
        ({"expected": {"units": 0}}, "expected is .*; expected a table of the counts"),
        ({"load": {"method": "lfp"}}, "load.method is 'lfp'; expected spikes, calcium, series, or none"),
        ({"load": {"method": "calcium", "bin_width": 1.0}}, r"load has \['bin_width'\], which calcium does not take"),
        ({"load": {"align": "trials"}}, r"load has \['align'\], which no method does not take"),
        ({"load": {"asset": "b.nwb"}}, "load.asset is 'b.nwb', which is none of its assets"),
        ({"version": "draft"}, "version is 'draft', and an asset has no blob"),
        (
            {"version": "draft", "asset": {"blob": "f00"}},
            "version is 'draft', and an asset has no blob, or a URL without",
        ),
        ({"asset": {"sha256": "ABC"}}, "sha256 is 'ABC'; expected 64 hex digits"),
        ({"asset": {"bytes": -1}}, "bytes is -1; expected a positive whole number"),
        ({"asset": {"md5": "x"}}, r"asset 0: unknown \['md5'\]"),
        ({"asset": {"url": None}}, r"asset 0: unknown \[\], missing \['url'\]"),
    ],
)
def test_a_wrong_fact_is_named(facts: dict[str, Any], said: str, write_manifest: Callable[..., Path]) -> None:
    with pytest.raises(InputError, match=said):
        read_manifest(write_manifest(**facts))


def test_two_assets_of_one_path_are_refused(write_manifest: Callable[..., Path]) -> None:
    one = {"path": "a.nwb", "url": "https://example.org/a", "sha256": "0" * 64}
    with pytest.raises(InputError, match="two assets have the same path"):
        read_manifest(write_manifest(assets=[one, one | {"path": "A.nwb"}]))


def test_an_id_is_the_name_of_its_file(write_manifest: Callable[..., Path]) -> None:
    path = write_manifest()
    other = path.rename(path.with_name("other.toml"))
    with pytest.raises(InputError, match="id is 'test-set'; it must be the file's name, 'other'"):
        read_manifest(other)


def test_a_file_that_is_no_toml_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"there is no manifest .*none.toml. Give a TOML file, or an id"):
        read_manifest(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_bytes(b"id = \xff")
    with pytest.raises(FileError, match="cannot read the manifest"):
        read_manifest(tmp_path / "bad.toml")
    (tmp_path / "bad.toml").write_text("id = ")
    with pytest.raises(FileError, match="cannot read the manifest .* Expected a TOML file"):
        read_manifest(tmp_path / "bad.toml")


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(MissingError, match="no dataset 'mc-maze-small'. Did you mean dandi-000140-mc-maze-small"):
        find_manifest("mc-maze-small")
    with pytest.raises(MissingError, match="Did you mean .*dandi-000006-alm"):
        find_manifest("dandi-00006-alm")
    with pytest.raises(MissingError, match=r"no dataset '123'. neurosparse.datasets\(\) lists all"):
        find_manifest("123")
