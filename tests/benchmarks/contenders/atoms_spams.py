"""SPAMS at learning a dictionary: ``python atoms_spams.py IN.npz OUT.npz JSON``; its CPU seconds are printed.

One dictionary for each of the penalties, which are shares of the median length of a sample; the caller keeps the best.
"""

from __future__ import annotations

import json
import sys
import time

import numpy as np
import spams


def main(source: str, target: str, told: str) -> None:
    options = json.loads(told)
    x = np.asfortranarray(np.load(source)["x"].T, dtype=np.float64)
    length, found, clock = np.median(np.linalg.norm(x, axis=0)), {}, time.process_time()
    for share in options["shares"]:
        learned = spams.trainDL(
            x,
            K=options["n_atoms"],
            lambda1=share * length,
            mode=2,
            posAlpha=True,
            posD=options["nonnegative"],
            iter=options["rounds"],
            batchsize=min(512, x.shape[1]),
            numThreads=1,
            verbose=False,
        )
        found[f"atoms_{share}"] = np.asarray(learned).T
    np.savez(target, cpu_s=time.process_time() - clock, **found)


if __name__ == "__main__":
    main(*sys.argv[1:])
