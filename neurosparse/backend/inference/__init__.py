"""Given a dictionary: sparse codes with a certificate, and how well they foretell entries they did not see.

Samples (sample, unit) and a dictionary (atom, unit) enter as numpy arrays or torch tensors; codes (sample, atom) leave
as the same kind. On the CPU a compiled coordinate descent solves each row, on CUDA a batched FISTA solves all at once;
both stop by the same duality gap. Imports numpy, scipy, numba, torch, `errors` and `backend.devices`.
"""

from neurosparse.backend.inference.certificate import certificate_of, duality_gap, kkt_violation, objective
from neurosparse.backend.inference.encoding import Solver, encode, encode_checked
from neurosparse.backend.inference.problem import Array, Codes
from neurosparse.backend.inference.result import Encoding
from neurosparse.backend.inference.selection import held_out_entries, penalty_for

__all__ = [
    "Array",
    "Codes",
    "Encoding",
    "Solver",
    "certificate_of",
    "duality_gap",
    "encode",
    "encode_checked",
    "held_out_entries",
    "kkt_violation",
    "objective",
    "penalty_for",
]
