"""The order of stimuli: which row of something labelled belongs to each of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from neurosparse.errors import InputError
from neurosparse.interpretability.profiles import Profiles


def places(profiles: Profiles, labels: Any, name: str) -> NDArray[np.int64]:
    """Row of `labels` that holds each stimulus of the profiles."""
    if profiles.dim == "time":
        raise InputError(f"{name} is labelled by stimulus, but profiles has time samples. Give it on the same times.")
    place = pd.Index(labels).get_indexer(pd.Index(profiles.labels))
    lacking = profiles.labels[place < 0]
    if len(lacking):
        raise InputError(
            f"{name} lacks {len(lacking)} of the {len(profiles.labels)} stimuli of profiles, first "
            f"{lacking.tolist()[0]!r}; it has {len(labels)}, such as {np.asarray(labels)[:3].tolist()}. "
            "Label both alike, or select the shared ones."
        )
    return place
