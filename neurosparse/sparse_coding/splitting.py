"""Which samples stay together when they are split or drawn: stimuli, groups that were named, blocks of time."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from neurosparse.errors import InputError

# Of a population whose first dim is time, when samples are drawn.
BLOCKS = 20


def in_time(x: Any, groups: Any) -> bool:
    """Whether nothing but time keeps samples together."""
    return groups is None and isinstance(x, xr.DataArray) and x.dims[0] == "time"


def named_groups(x: Any, kept: np.ndarray, groups: Any) -> tuple[np.ndarray, str]:
    """The group of each row that was kept, and what it is called, "" for rows by themselves.

    Parameters
    ----------
    x : population, array or tensor
    kept : (row,) bool
        Rows of `x`, its leading dims stacked, that are left.
    groups : coord name, array over the first dim, or None
        None: trials of one stimulus, where `x` has a ``stimulus`` coord on its first dim.

    Raises
    ------
    InputError
        If a name is no coord on the first dim, or an array has another length.
    """
    sizes = x.shape[:-1]
    first = np.repeat(np.arange(sizes[0]), int(np.prod(sizes[1:], dtype=int)))[kept]  # entry of the first dim, by row
    if groups is None and isinstance(x, xr.DataArray):
        groups = "stimulus" if "stimulus" in x.coords and x["stimulus"].dims == x.dims[:1] else None
    name = groups if isinstance(groups, str) else "" if groups is None else "groups"
    if isinstance(groups, str):
        if not isinstance(x, xr.DataArray) or groups not in x.coords or x[groups].dims != x.dims[:1]:
            raise InputError(
                f"groups names {groups!r}, which is no coord on the first dim of x. Give a coord or an array."
            )
        groups = x[groups].values
    labels = np.arange(sizes[0]) if groups is None else np.asarray(groups)
    if labels.shape != (sizes[0],):
        raise InputError(f"groups needs one entry for each of {sizes[0]} entries of the first dim; got {labels.shape}.")
    return np.unique(labels, return_inverse=True)[1][first], name


def blocks_of_time(n_samples: int, n_blocks: int = BLOCKS) -> np.ndarray:
    """The contiguous block that each sample is in."""
    return np.arange(n_samples) * min(n_blocks, n_samples) // max(n_samples, 1)


def sample_groups(x: Any, kept: np.ndarray, groups: Any) -> np.ndarray:
    """`named_groups`, or blocks of time where only time keeps samples together."""
    return blocks_of_time(int(kept.sum())) if in_time(x, groups) else named_groups(x, kept, groups)[0]
