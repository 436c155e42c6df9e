"""The compiled steps of coordinate descent: certify a row, pick candidates, descend among them, leap.

A row's problem ``1/2 ||x - z D||^2 + sum_j penalty_j |z_j|`` is solved on a few candidate atoms of unit norm, or on all
where they are few. numpy arrays enter and are written in place; all functions release the GIL, and their machine code
is kept on disk. Imports numpy and numba.
"""

from neurosparse.backend.inference.kernels.candidates import Local, gather_active, make_local
from neurosparse.backend.inference.kernels.certificate import squared_norms
from neurosparse.backend.inference.kernels.descent import FIRST_MOVE, pad
from neurosparse.backend.inference.kernels.rows import solve_cached, solve_round
from neurosparse.backend.inference.kernels.screened import (
    Rest,
    Suspects,
    begin_screened,
    make_rest,
    make_suspects,
    screen_round,
)
from neurosparse.backend.inference.kernels.screening import Coarse, make_coarse
from neurosparse.backend.inference.kernels.task import Active, Task, Worth, make_worth
from neurosparse.backend.inference.kernels.whole import solve_whole

__all__ = [
    "FIRST_MOVE",
    "Active",
    "Coarse",
    "Local",
    "Rest",
    "Suspects",
    "Task",
    "Worth",
    "begin_screened",
    "gather_active",
    "make_coarse",
    "make_local",
    "make_rest",
    "make_suspects",
    "make_worth",
    "pad",
    "screen_round",
    "solve_cached",
    "solve_round",
    "solve_whole",
    "squared_norms",
]
