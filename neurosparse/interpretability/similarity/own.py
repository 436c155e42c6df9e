"""Is the similarity made of the very profiles that it is to judge?"""

from __future__ import annotations

import warnings

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from neurosparse.backend.psychophysics import cosine_rows
from neurosparse.errors import EvidenceWarning
from neurosparse.interpretability.profiles import Profiles

Floats = NDArray[np.float64]

# Above this correlation a column of an embedding is a profile again, and a matrix the profiles' own.
_SAME = 0.9999
_SEEN = 300
# Held-out share above which an embedding is a linear image of the profiles: what noise or curvature leaves is less.
_LINEAR = 0.9999
# Embeddings of more features than these are not searched for the profiles themselves.
_MOST_COMPARED = 4096
# Profiles from which an embedding is predicted at the most.
_MOST_PREDICTING = 2000


def warn_of_itself(profiles: Profiles, embedding: xr.DataArray) -> bool:
    """Warn where an embedding holds the profiles themselves, and say whether it did."""
    x = profiles.source
    dim = x.dims[0]
    if embedding.dims[0] != dim or not np.array_equal(embedding[dim].values, x[dim].values):
        return False
    if dim == "trial" and embedding.dims != x.dims:
        return False  # codes judged by what they code, on the trials that do not rank
    if embedding.sizes[embedding.dims[-1]] > _MOST_COMPARED or not np.isfinite(embedding.values).all():
        return False
    same = count_own(x.values, embedding.values).tolist() if np.isfinite(x.values).all() else []
    if any(same):
        first = x[x.dims[-1]].values.tolist()[same.index(True)]
        warnings.warn(
            f"stimulus_similarity holds {sum(same)} of the {x.shape[-1]} profiles it is to judge, first "
            f"{first!r}: a profile counts as evidence for itself. Pass None for the other "
            "half of the units, or an embedding from elsewhere.",
            EvidenceWarning,
            stacklevel=6,
        )
    return any(same)


def count_own(values: Floats, features: Floats) -> NDArray[np.bool_]:
    """Which profiles (sample, profile) are again a column of `features` (sample, feature), in any scale or order."""
    parts = []
    for part in (values, features):
        centred = part - part.mean(axis=0)
        length = np.linalg.norm(centred, axis=0)
        parts.append(centred / np.where(length > 0, length, np.inf))
    return np.asarray((np.abs(parts[0].T @ parts[1]) > _SAME).any(axis=1))


def warn_of_own_matrix(values: Floats, matrix: Floats) -> bool:
    """Warn where a given matrix is the likeness of the profiles that it is to judge, and say whether it did."""
    seen = np.linspace(0, len(values) - 1, min(len(values), _SEEN)).astype(int)
    given = matrix[np.ix_(seen, seen)]
    apart = ~np.eye(len(seen), dtype=bool)
    about_mean = cosine_rows(values)[seen]
    length = np.linalg.norm(values, axis=1, keepdims=True)
    raw = (values / np.where(length > 0, length, 1.0))[seen]
    likenesses = [about_mean @ about_mean.T, raw @ raw.T, values[seen] @ values[seen].T]
    if len(seen) < 4 or np.ptp(given[apart]) == 0:
        return False
    for own in likenesses:
        if np.ptp(own[apart]) > 0 and np.corrcoef(own[apart], given[apart])[0, 1] > _SAME:
            warnings.warn(
                "stimulus_similarity is the likeness of the very profiles that it is to judge: they count as evidence "
                "for themselves. Compute it from other units, other repeats, or the stimuli.",
                EvidenceWarning,
                stacklevel=5,
            )
            return True
    return False


def held_out_share(values: Floats, features: Floats) -> float:
    """Held-out R2 of `features` (sample, feature) predicted linearly from profiles, all features together.

    The map is learned on the first half of the samples and scored on the second; NaN where there are too few samples
    for that (fewer than three a profile), too many profiles, or nothing varies. A (sample, sample) matrix of inner
    products of a linear image is one itself, column by column; one of cosines is not.
    """
    n, p = values.shape
    if n < 3 * (p + 1) or p > _MOST_PREDICTING or not (np.isfinite(values).all() and np.isfinite(features).all()):
        return float("nan")
    seen = np.linspace(0, features.shape[1] - 1, min(features.shape[1], _SEEN)).astype(int)
    targets = features[:, seen] - features[:, seen].mean(axis=0)
    scale = np.maximum(np.abs(values).max(axis=0), 1e-300)
    known = np.column_stack([values / scale, np.ones(n)])
    learned, judged = slice(0, n // 2), slice(n // 2, n)
    weights = np.linalg.lstsq(known[learned], targets[learned], rcond=1e-10)[0]
    total = (targets[judged] ** 2).sum()
    left = ((targets[judged] - known[judged] @ weights) ** 2).sum()
    return float(1 - left / total) if total > 0 else float("nan")


def warn_of_linear_image(share: float, depth: int = 5) -> None:
    """Warn where the embedding says nothing that is not in the profiles; `depth` is that of the user's call."""
    if share > _LINEAR:
        warnings.warn(
            "stimulus_similarity is a linear image of the profiles that it is to judge (held-out R2 "
            f"{share:.6f}): it says nothing that is not in them, and they count as evidence for themselves. Compute it "
            "from other units, other repeats, or the stimuli.",
            EvidenceWarning,
            stacklevel=depth,
        )
