"""Brain and model side by side: populations in, one table out.

Calls the three front doors and puts their answers in the same rows for every representation. Nothing here knows which
representation is biological: the reference is the one that the others are compared with.
"""

from neurosparse.comparison.asking import compare, near_duplicate_stimuli
from neurosparse.comparison.rows import Effort
from neurosparse.comparison.saying import findings, table

__all__ = ["Effort", "compare", "findings", "near_duplicate_stimuli", "table"]
