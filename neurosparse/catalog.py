"""Public datasets as populations: list them, fetch their files, load what their manifests describe.

A dataset's name enters; a table, a verified file or a population leaves. Joins the rooms `manifests` and `recordings`.
"""

from __future__ import annotations

import os
import warnings
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import xarray as xr

from neurosparse import population
from neurosparse.errors import DataWarning, FileError, InputError
from neurosparse.manifests import (
    METHODS,
    Asset,
    Manifest,
    all_manifests,
    fetch_asset,
    find_manifest,
    local_path,
    state_of,
)

if TYPE_CHECKING:
    from neurosparse.recordings import Recording


class Listing(pd.DataFrame):
    """A table whose text form leaves out the titles, so that a row fits a line."""

    def __repr__(self) -> str:
        return self.drop(columns="title", errors="ignore").to_string()

    @property
    def _constructor(self) -> type[pd.DataFrame]:
        return pd.DataFrame


def datasets() -> pd.DataFrame:
    """The datasets that have a manifest.

    Returns
    -------
    pandas.DataFrame
        One row a dataset, its id as index: title, species, areas, modality, megabytes of the file that `load` opens
        (NaN where not stated), number of files and how many of them are here, licence. Printed without the titles.

    Examples
    --------
    >>> import neurosparse
    >>> neurosparse.datasets().loc["dandi-000006-alm", "licence"]
    'CC-BY-4.0'
    """
    rows = [
        {
            "dataset": manifest.id,
            "title": manifest.title,
            "species": manifest.species or "",
            "areas": ", ".join(manifest.areas),
            "modality": manifest.modality,
            "megabytes": round((manifest.asset().bytes or float("nan")) / 1e6, 1),
            "files": len(manifest.assets),
            "here": sum(local_path(manifest, asset).is_file() for asset in manifest.assets),
            "licence": manifest.licence,
        }
        for manifest in all_manifests()
    ]
    return Listing(pd.DataFrame(rows).set_index("dataset"))


def fetch(dataset: str | os.PathLike[str], asset: str | None = None, *, progress: bool = True) -> Path:
    """Download one file of a dataset unless it is here, and verify it.

    Parameters
    ----------
    dataset : str or path-like
        Id of a dataset, or a manifest of your own (a TOML file).
    asset : str, optional
        Path or name of one of its files; by default the one that `load` opens.
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    pathlib.Path
        In the folder ``NEUROSPARSE_DATA_DIR``, else in the user's cache.

    Raises
    ------
    MissingError
        If there is no such dataset or file.
    FileError
        If it cannot be downloaded, or its bytes are not those that the manifest pins; see `manifests.fetch_asset`.
    """
    manifest = find_manifest(dataset)
    return fetch_asset(manifest, manifest.asset(asset), progress=progress)


def verify(dataset: str | os.PathLike[str] | None = None) -> pd.DataFrame:
    """Compare the files that are here with the digests of their manifests.

    Parameters
    ----------
    dataset : str or path-like, optional
        All datasets by default.

    Returns
    -------
    pandas.DataFrame
        One row a file: dataset, asset, state (``intact``, ``damaged`` or ``missing``) and path.
    """
    manifests = all_manifests() if dataset is None else [find_manifest(dataset)]
    rows = [
        {
            "dataset": manifest.id,
            "asset": asset.path,
            "state": state_of(manifest, asset),
            "path": str(local_path(manifest, asset)),
        }
        for manifest in manifests
        for asset in manifest.assets
    ]
    return pd.DataFrame(rows)


def load(
    dataset: str | os.PathLike[str], asset: str | None = None, *, progress: bool = True, **choices: Any
) -> xr.DataArray:
    """The population that a dataset's manifest describes, fetched where it is not here.

    Parameters
    ----------
    dataset, asset, progress
        As in `fetch`.
    **choices
        Arguments of `Recording.spikes`, `calcium` or `series`, over those of the manifest; ``method`` names which of
        the three. Where neither says, the file's one units table, ROI series or series is taken.

    Returns
    -------
    xarray.DataArray
        With the dataset's id, version, licence, citation and digest in its provenance.

    Raises
    ------
    MissingError, FileError
        As in `fetch`.
    InputError
        If the file leaves a choice open; the message says what to add.

    Examples
    --------
    >>> import neurosparse
    >>> x = neurosparse.load("dandi-000140-mc-maze-small", bin_width=0.02)  # doctest: +SKIP
    """
    from neurosparse.recordings import open_nwb  # here, so that a listing does not wait for pynwb

    manifest = find_manifest(dataset)
    chosen = manifest.asset(asset)
    with open_nwb(fetch_asset(manifest, chosen, progress=progress)) as recording:
        x = _activity(recording, manifest, choices)
    if chosen == manifest.asset() and not choices:
        _check_counts(x, manifest)
    return _cite(x, manifest, chosen)


def _activity(recording: Recording, manifest: Manifest, choices: dict[str, Any]) -> xr.DataArray:
    stated = {name: value for name, value in manifest.load.items() if name not in ("asset", "method")}
    method, named = choices.get("method", manifest.load.get("method")), dict[str, str]()
    if method is None:
        method, named = _found(recording, manifest)
    if method != manifest.load.get("method", "spikes"):
        stated = {}  # what a manifest says of spikes, such as their bins, says nothing of frames
    stated = named | stated | {name: value for name, value in choices.items() if name != "method"}
    if method not in METHODS:
        raise InputError(f"method is {method!r}; expected {', '.join(map(repr, METHODS))}.")
    takes = signature(getattr(recording, method)).parameters
    unknown = sorted(set(choices) - set(takes) - {"method"})
    if unknown:
        raise InputError(f"recording.{method} does not take {unknown}; it takes {list(takes)}.")
    request = {name: value for name, value in stated.items() if name in takes}
    if request.get("window") is not None:
        request["window"] = tuple(request["window"])  # TOML has lists
    x: xr.DataArray = getattr(recording, method)(**request)
    return x


def _found(recording: Recording, manifest: Manifest) -> tuple[str, dict[str, str]]:
    """The method for the one activity of a file, and the argument that names it."""
    contents = recording.contents
    groups = contents["kind"].str.split(" ").str[0]
    ways = (("units", "spikes", "table"), ("rois", "calcium", "series"), ("series", "series", "name"))
    for group, method, option in ways:
        paths = contents.loc[groups == group, "path"].tolist()
        if len(paths) == 1:
            return method, {option: str(paths[0])}
        if paths:
            raise InputError(
                f"{recording.path.name} of {manifest.id} holds {len(paths)} candidates: {', '.join(paths)}. "
                f"Choose with method={method!r}, {option}=NAME."
            )
    raise FileError(f"{recording.path.name} of {manifest.id} holds no activity. It holds:\n{recording}")


def _check_counts(x: xr.DataArray, manifest: Manifest) -> None:
    sizes = {"units": x.sizes.get("unit"), "trials": x.sizes.get("trial")}
    for name, expected in manifest.expected.items():
        if sizes[name] != expected:
            warnings.warn(
                f"{manifest.id} has {sizes[name]} {name}; its manifest expects {expected}. One of them is wrong.",
                DataWarning,
                stacklevel=3,
            )


def _cite(x: xr.DataArray, manifest: Manifest, asset: Asset) -> xr.DataArray:
    return population.record(
        x,
        "load",
        dataset=manifest.id,
        version=manifest.version,
        asset=asset.path,
        sha256=asset.sha256,
        licence=manifest.licence,
        citation=manifest.citation,
    )
