"""Where similarities come from, once read."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neurosparse.backend.psychophysics import Similarity

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Judge:
    """Where similarities come from.

    fixed : known beforehand, of the same samples as the profiles; else `responses`, whose rows are the profiles' own
    (trials, or samples where there are none), and from which similarities are computed. other_units : each profile is
    judged by the other half of the units alone. from_profiles :
    held-out R2 of the similarity's embedding, predicted linearly from the profiles, NaN where it cannot be told.
    """

    what: str
    fixed: Similarity | None = None
    responses: Floats | None = None
    other_units: bool = False
    features: Floats | None = None
    from_profiles: float = float("nan")
