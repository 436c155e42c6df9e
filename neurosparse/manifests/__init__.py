"""Datasets by name: a manifest states where the files of a dataset are and what their digests must be.

A name or a TOML file enters; a checked `Manifest`, and local files whose bytes are those it pins, leave. Knows no NWB.
"""

from neurosparse.manifests.fetching import data_folder, fetch_asset, local_path, state_of
from neurosparse.manifests.reading import METHODS, Asset, Manifest, all_manifests, find_manifest, read_manifest

__all__ = [
    "METHODS",
    "Asset",
    "Manifest",
    "all_manifests",
    "data_folder",
    "fetch_asset",
    "find_manifest",
    "local_path",
    "read_manifest",
    "state_of",
]
