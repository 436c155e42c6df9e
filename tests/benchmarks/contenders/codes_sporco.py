"""sporco at sparse codes: ADMM, with the relative stopping tolerance that brings the gap to 1e-4."""

from __future__ import annotations

from contenders.codes_shared import keeper, problem
from sporco.admm import bpdn


def encode(folder: str, penalty: float, share: dict[str, float]):
    x, atoms, few = problem(folder, "sporco", share)
    options = bpdn.BPDN.Options(
        {
            "Verbose": False,
            "MaxMainIter": 3000,
            "RelStopTol": 1e-5,
            "NonNegCoef": True,
            "AutoRho": {"Enabled": True, "Period": 10},
        }
    )

    def solve(rows):
        solver = bpdn.BPDN(atoms.T.copy(), rows.T.copy(), penalty, options)
        solver.solve()
        return solver.getcoef().T

    solve(few)
    return (lambda: solve(x)), keeper(folder, "sporco")
