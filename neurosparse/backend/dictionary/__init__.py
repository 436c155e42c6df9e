"""Given samples: the dictionary that makes them sparse.

A torch tensor (sample, unit) enters; a `Learner` with dictionary (atom, unit), offset and codes leaves, and what
happened round by round. On the CPU the loops are compiled, elsewhere they are torch; the algorithm is the same. Counts
are improved from there: by their likelihood (`counts`) and, where they are sparse, by the mean of all that may have
made them (`averaging`). Imports numpy, scipy, numba, torch, `errors`, `backend.devices` and `backend.inference`.

More atoms are learned than are wanted, at a penalty that leaves few codes, and let go by the size of their codes and by
what the others could take over: with as many atoms as wanted from the start, some true ones are never found.

References
----------
Objective and alternation: Olshausen & Field 1997; Mairal et al. 2010 (statistics of a stream). Replacement from
residuals after Schnass 2018, with the gain in the objective itself as the criterion. More atoms than wanted: Sulam, You
& Zhu 2022, over-realized dictionary learning; how the surplus is let go is not theirs.
"""

from neurosparse.backend.dictionary.fitting import Fit, fit
from neurosparse.backend.dictionary.learner import Learner
from neurosparse.backend.dictionary.penalty import PenaltyPath, choose_penalty
from neurosparse.backend.dictionary.search import Search
from neurosparse.backend.dictionary.settings import (
    OnStep,
    Random,
    Settings,
    Step,
    batch_size,
    first_level,
    memory,
    reference_penalty,
)
from neurosparse.backend.dictionary.size import SizePath, select_size
from neurosparse.backend.dictionary.statistics import Statistics

__all__ = [
    "Fit",
    "Learner",
    "OnStep",
    "PenaltyPath",
    "Random",
    "Search",
    "Settings",
    "SizePath",
    "Statistics",
    "Step",
    "batch_size",
    "choose_penalty",
    "first_level",
    "fit",
    "memory",
    "reference_penalty",
    "select_size",
]
