"""What a manifest may say, and reading one.

TOML enters, a `Manifest` leaves in which every path stays below its dataset's folder and every URL is http or https.
"""

from __future__ import annotations

import datetime
import difflib
import os
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path, PurePosixPath, PureWindowsPath
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from neurosparse.errors import FileError, InputError, MissingError
from neurosparse.files import packaged

LICENCES = ("CC0-1.0", "CC-BY-4.0", "CC-BY-SA-4.0", "CC-BY-NC-4.0", "PDDL-1.0", "ODbL-1.0", "MIT", "unverified")
MODALITIES = ("ecephys", "ophys")
# What [load] may hold for each method of a recording; without a method the file's one activity is found.
_COMMON = frozenset({"asset", "method", "align", "window", "reduce", "stimulus", "units"})
METHODS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "spikes": _COMMON | {"table", "bin_width"},
        "calcium": _COMMON | {"series", "kind", "cells_only"},
        "series": _COMMON | {"name"},
    }
)


@dataclass(frozen=True)
class Asset:
    """One file of a dataset.

    Attributes
    ----------
    path : str
        Below the dataset's folder, with forward slashes.
    url : str
        http or https.
    sha256 : str
        Of the file's bytes, in hex.
    bytes : int, optional
        Its size, where the source states it.
    asset_id, blob : str, optional
        The archive's names of the asset and of its content.
    """

    path: str
    url: str
    sha256: str
    bytes: int | None = None
    asset_id: str | None = None
    blob: str | None = None


@dataclass(frozen=True)
class Manifest:
    """Facts of one public dataset. What is not known is left out: None or empty.

    Attributes
    ----------
    id, title : str
        The name to call it by, and in words.
    source : str
        Its page.
    version : str
        Published version, ``draft`` (then blob and digest pin the content) or ``unversioned``.
    licence : str
        SPDX, or ``unverified``: then for one's own use, never passed on.
    citation : str
    modality : {"ecephys", "ophys"}
    checked_on : datetime.date
        When these facts were last read from their source.
    assets : tuple of Asset
        The first is what `load` opens unless ``load["asset"]`` names another.
    doi, paper : str, optional
        DOIs of the dataset and of the paper.
    species : str, optional
    areas, caveats : tuple of str
    load : dict
        Method of the recording and its arguments. A `bin_width` here is a choice, not a fact of the dataset.
    expected : dict
        Sizes of what `load` gives: ``units``, ``trials``.
    """

    id: str
    title: str
    source: str
    version: str
    licence: str
    citation: str
    modality: str
    checked_on: datetime.date
    assets: tuple[Asset, ...]
    doi: str | None = None
    paper: str | None = None
    species: str | None = None
    areas: tuple[str, ...] = ()
    caveats: tuple[str, ...] = ()
    load: Mapping[str, Any] = field(default_factory=dict)
    expected: Mapping[str, int] = field(default_factory=dict)

    def asset(self, path: str | None = None) -> Asset:
        """The asset of that path or file name; the one that `load` opens by default.

        Raises
        ------
        MissingError
            If there is none; the message lists those there are.
        """
        wanted = path or self.load.get("asset") or self.assets[0].path
        for asset in self.assets:
            if wanted in (asset.path, PurePosixPath(asset.path).name):
                return asset
        have = ", ".join(asset.path for asset in self.assets)
        raise MissingError(f"{self.id} has no asset {path!r}; it has: {have}. Give one of these.")


def all_manifests() -> list[Manifest]:
    """The manifests packed with neurosparse, by id."""
    return [read_manifest(path) for path in sorted(packaged("data_manifests").glob("*.toml"))]


def find_manifest(dataset: str | os.PathLike[str]) -> Manifest:
    """The packed manifest of that id, or the one in a TOML file of your own.

    Raises
    ------
    MissingError
        If no manifest has that id; the message names the nearest.
    """
    if not isinstance(dataset, str) or dataset.endswith(".toml"):
        return read_manifest(dataset)
    known = {path.stem: path for path in packaged("data_manifests").glob("*.toml")}
    if dataset in known:
        return read_manifest(known[dataset])
    near = [name for name in known if dataset in name] or difflib.get_close_matches(dataset, known, cutoff=0.4)
    hint = f" Did you mean {' or '.join(sorted(near)[:4])}?" if near else ""
    raise MissingError(f"there is no dataset {dataset!r}.{hint} neurosparse.datasets() lists all {len(known)}.")


def read_manifest(path: str | os.PathLike[str]) -> Manifest:
    """Read and check one manifest.

    Raises
    ------
    FileError
        If the file is missing or no TOML.
    InputError
        If it lacks a fact, has one it should not have, or one that cannot be trusted: a path that leaves the dataset's
        folder, a URL that is not http or https, a digest that is none.
    """
    file = Path(path)
    try:
        facts = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise FileError(
            f"there is no manifest {file}. Give a TOML file, or an id of neurosparse.datasets()."
        ) from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise FileError(f"cannot read the manifest {file}: {error}. Expected a TOML file.") from error
    return _manifest(facts, file)


def _manifest(facts: dict[str, Any], file: Path) -> Manifest:
    _check_keys(facts, Manifest, file.name)
    _check_values(facts, _FACTS, file.name)
    if facts["id"] != file.stem:
        raise InputError(f"{file.name}: id is {facts['id']!r}; it must be the file's name, {file.stem!r}. Rename one.")
    assets = [_asset(asset, f"{file.name}, asset {place}") for place, asset in enumerate(facts["assets"])]
    folded = [asset.path.casefold() for asset in assets]
    if len(set(folded)) < len(folded):
        raise InputError(f"{file.name}: two assets have the same path. Each needs a path of its own.")
    if facts["version"] == "draft" and any(asset.blob is None or asset.blob not in asset.url for asset in assets):
        raise InputError(
            f"{file.name}: version is 'draft', and an asset has no blob, or a URL without it. A draft may change: "
            "give the URL of the blob itself."
        )
    _check_load(facts.get("load", {}), facts["assets"], file.name)
    lists = {name: tuple(facts.get(name, ())) for name in ("areas", "caveats")}
    return Manifest(**{**facts, **lists, "assets": tuple(assets)})


def _asset(facts: dict[str, Any], where: str) -> Asset:
    _check_keys(facts, Asset, where)
    _check_values(facts, _ASSET_FACTS, where)
    return Asset(**facts)


def _check_keys(facts: Any, kind: type, where: str) -> None:
    if not isinstance(facts, dict):
        raise InputError(f"{where}: expected a table of facts; got {facts!r}.")
    known = {one.name: one for one in fields(kind)}
    needed = [name for name, one in known.items() if one.default is one.default_factory]  # both are MISSING
    unknown, missing = sorted(set(facts) - set(known)), [name for name in needed if name not in facts]
    if unknown or missing:
        raise InputError(f"{where}: unknown {unknown}, missing {missing}. It may hold {', '.join(known)}.")


def _check_values(facts: Mapping[str, Any], tests: Mapping[str, tuple[Callable[[Any], bool], str]], where: str) -> None:
    for name, value in facts.items():
        test, expected = tests[name]
        if not test(value):
            raise InputError(f"{where}: {name} is {value!r}; expected {expected}.")


def _check_load(load: Mapping[str, Any], assets: Sequence[Mapping[str, Any]], where: str) -> None:
    method = load.get("method")
    if method is not None and method not in METHODS:
        raise InputError(f"{where}: load.method is {method!r}; expected {', '.join(METHODS)}, or none to find it.")
    allowed = METHODS[method] if method else frozenset({"asset", "bin_width"})
    unknown = sorted(set(load) - allowed)
    if unknown:
        raise InputError(
            f"{where}: load has {unknown}, which {method or 'no method'} does not take: {sorted(allowed)}."
        )
    if "asset" in load and load["asset"] not in [asset["path"] for asset in assets]:
        raise InputError(f"{where}: load.asset is {load['asset']!r}, which is none of its assets. Give one's path.")


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and value == value.strip() != ""


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


def _matches(pattern: str) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and re.fullmatch(pattern, value) is not None


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _among(choices: Sequence[str]) -> tuple[Callable[[Any], bool], str]:
    return lambda value: value in choices, f"one of {', '.join(choices)}"


def _is_inner_path(value: Any) -> bool:
    """Whether `value` names a file below the folder it is joined to, on any system."""
    if not _is_text(value) or not value.isprintable() or "\\" in value or PureWindowsPath(value).drive:
        return False
    parts = value.split("/")
    # A leading dot would also meet our lock, and .part the name of what is on its way.
    return all(part and not part.startswith(".") for part in parts) and not value.endswith(".part")


def _is_web_url(value: Any) -> bool:
    if not _is_text(value) or not value.isprintable() or " " in value:
        return False
    try:
        parts = urlsplit(value)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc
    except ValueError:
        return False


_DOI = (_matches(r"10\.\d{4,}/\S+"), "a DOI such as 10.1038/nn.3968")
_TEXT, _TEXTS = (_is_text, "text"), (_are_texts, "a list of texts")
_URL = (_is_web_url, "an http or https URL without user or password")
_FACTS: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "id": (_matches(r"[a-z0-9]+(-[a-z0-9]+)*"), "small letters, digits and single hyphens"),
    "title": _TEXT,
    "source": _URL,
    "version": _TEXT,
    "doi": _DOI,
    "licence": _among(LICENCES),
    "citation": _TEXT,
    "paper": _DOI,
    "species": _TEXT,
    "areas": _TEXTS,
    "modality": _among(MODALITIES),
    "checked_on": (lambda value: type(value) is datetime.date, "a date such as 2026-11-22, without quotes"),
    "caveats": _TEXTS,
    "load": (lambda value: isinstance(value, dict), "a table"),
    "expected": (
        lambda value: (
            isinstance(value, dict) and set(value) <= {"units", "trials"} and all(map(_is_count, value.values()))
        ),
        "a table of the counts units and trials",
    ),
    "assets": (lambda value: isinstance(value, list) and bool(value), "at least one [[assets]] table"),
}
_ASSET_FACTS: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "path": (_is_inner_path, "a path with forward slashes that stays below the dataset's folder"),
    "url": _URL,
    "bytes": (_is_count, "a positive whole number"),
    "sha256": (_matches(r"[0-9a-f]{64}"), "64 hex digits in small letters"),
    "asset_id": _TEXT,
    "blob": _TEXT,
}
