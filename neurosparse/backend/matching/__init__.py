"""One-to-one matching of atoms and of codes, and what is left of a score once chance is taken away.

Rows (atom, unit) or columns of codes (sample, latent) enter, matches and scores leave. Imports numpy, scipy and
`errors`.
"""

from neurosparse.backend.matching.codes import (
    CodesMatch,
    Support,
    chance_of_codes,
    match_codes,
    match_codes_by_halves,
    match_support,
)
from neurosparse.backend.matching.correcting import chance_corrected
from neurosparse.backend.matching.pairing import Match, match, recovery, stability

__all__ = [
    "CodesMatch",
    "Match",
    "Support",
    "chance_corrected",
    "chance_of_codes",
    "match",
    "match_codes",
    "match_codes_by_halves",
    "match_support",
    "recovery",
    "stability",
]
