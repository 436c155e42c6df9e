"""Does the learner find the true dictionary, told the number of atoms and nothing else? Rows R1 to R8 of the plan.

``python -m tests.benchmarks recovery --rows R1 R2 --seeds 0 1 2``. The laws: R1 and R8 active codes |N(0, 1)|; "cso",
arXiv 2603.28744: k active of N ~ U(0, 1), in half of the samples latent 0 with latents below N / 2, in the others any
but latent 0; out of distribution latent 0 with latents from N / 2 on. Noise-free. Times are CPU seconds of one thread,
choice of the penalty included.
"""

from __future__ import annotations

import argparse
import itertools
import time
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from neurosparse.backend.baselines import random_dictionary
from neurosparse.backend.matching import CodesMatch, match_codes, recovery
from neurosparse.errors import NeurosparseWarning
from neurosparse.sparse_coding import DictionaryLearning, sparse_encode_csr
from tests.benchmarks import harness

Floats = np.ndarray
FRESH = 50_000
USES = (0, 10, 15, 20, 30, np.inf)


@dataclass(frozen=True)
class Law:
    """Sizes of a world: atoms, units, active codes, samples; goal is the least MCC (or |cos| in R8)."""

    n_atoms: int
    n_units: int
    n_active: int
    n_samples: int
    split: bool
    goal: str


LAWS = {
    "R1": Law(16, 8, 3, 1024, False, "within .01 of the oracle, < 5 s"),
    "R2": Law(100, 47, 10, 2500, True, ">= .98 both, < 10 s"),
    "R3": Law(500, 79, 10, 2500, True, ">= .98 both, < 60 s"),
    "R4": Law(1000, 93, 10, 12_500, True, ">= .98 both, < 90 s on 2 cores"),
    "R5": Law(1000, 93, 10, 2500, True, "> .80 / .50; by uses an atom"),
    "R6": Law(1000, 157, 20, 25_000, True, ">= .97 both, < 150 s on 2 cores"),
    "R7a": Law(5000, 125, 10, 100_000, True, ">= .95; nightly"),
    "R7b": Law(10_000, 139, 10, 200_000, True, ">= .95; nightly"),
    "R8a": Law(1000, 200, 20, 100_000, False, "|cos| >= .997, 60 s"),
    "R8b": Law(2048, 256, 10, 100_000, False, "|cos| >= .997, 60 s"),
}


class World:
    """Atoms and samples of a law, drawn from one seed."""

    def __init__(self, law: Law, seed: int) -> None:
        self.law, self.random = law, np.random.RandomState(seed)
        self.atoms = self.random.standard_normal((law.n_units, law.n_atoms)).T
        self.atoms /= np.linalg.norm(self.atoms, axis=1, keepdims=True)
        self.codes = self.draw(law.n_samples)
        self.x = self.codes @ self.atoms

    def draw(self, n_samples: int, *, shifted: bool = False) -> csr_array:
        """True codes (sample, atom); of the shifted law if so said."""
        law, half = self.law, self.law.n_atoms // 2
        atom = np.zeros((n_samples, law.n_active), dtype=np.int64)
        codes = np.zeros(atom.shape, dtype=np.float32)
        for i in range(n_samples):
            if not law.split:
                atom[i] = self.random.choice(law.n_atoms, law.n_active, replace=False)
                codes[i] = np.abs(self.random.standard_normal(law.n_active))
                continue
            if shifted or self.random.rand() < 0.5:
                pool = np.arange(half, law.n_atoms) if shifted else np.arange(1, half)
                codes[i] = self.random.rand(law.n_active)
                atom[i, 1:] = self.random.choice(pool, law.n_active - 1, replace=False)
            else:
                atom[i] = 1 + self.random.choice(law.n_atoms - 1, law.n_active, replace=False)
                codes[i] = self.random.rand(law.n_active)
        pointer = np.arange(n_samples + 1) * law.n_active
        return csr_array((codes.ravel(), atom.ravel(), pointer), shape=(n_samples, law.n_atoms))


def measure(name: str, seed: int, n_fresh: int) -> dict[str, Any]:
    """Fit a law with the defaults and score atoms and codes, beside the oracle and chance."""
    law = LAWS[name]
    world = World(law, seed)
    learner = DictionaryLearning(law.n_atoms, random_state=seed)
    begin, clock = time.process_time(), time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NeurosparseWarning)
        learner.fit(world.x)
    row = {"task": name, "seed": seed, "cpu_s": time.process_time() - begin, "wall_s": time.perf_counter() - clock}
    cosine = recovery(learner.dictionary_, world.atoms)
    uses = np.asarray((world.codes > 0).sum(0)).ravel()
    row |= {"penalty": learner.penalty_, "cos": cosine.mean(), "above_90": (cosine > 0.9).mean()}
    row["chance_cos"] = recovery(random_dictionary(law.n_atoms, law.n_units, random_state=seed), world.atoms).mean()
    if law.split:
        rare = uses < 0.75 * np.median(uses)
        row |= {"rare_uses": uses[rare].mean(), "rare_cos": cosine[rare].mean()}
        row["rare_above_90"] = (cosine[rare] > 0.9).mean()
        row |= _by_uses(cosine, uses, "cos")
    for shifted in (False, True) if law.split else (False,):
        fresh = world.draw(n_fresh, shifted=shifted)
        x, place = fresh @ world.atoms, "_ood" if shifted else ""
        found = _match(x, fresh, learner.dictionary_, learner.offset_, learner.penalty_)
        oracle = _match(x, fresh, world.atoms, None, learner.penalty_)
        row |= {"mcc" + place: found.mean, "oracle" + place: oracle.mean, "coverage" + place: found.coverage}
        if law.split and not shifted:
            row |= _by_uses(found.value, uses, "mcc") | _by_uses(oracle.value, uses, "oracle")
    if law.split:
        fitted = world.x[:n_fresh], world.codes[:n_fresh]
        row["mcc_fit"] = _match(*fitted, learner.dictionary_, learner.offset_, learner.penalty_).mean
    row["goal"] = law.goal
    return row


def _match(x: Floats, truth: csr_array, atoms: Floats, offset: Floats | None, penalty: float) -> CodesMatch:
    return match_codes(sparse_encode_csr(x, atoms, penalty=penalty, offset=offset, tol=1e-4), truth)


def _by_uses(value: Floats, uses: Floats, name: str) -> dict[str, float]:
    """Means over the atoms used so many times in the samples of the fit."""
    found = {}
    for low, high in itertools.pairwise(USES):
        wanted = (uses >= low) & (uses < high)
        if wanted.any():
            found[f"{name}_{low}" + (f"_to_{high}" if np.isfinite(high) else "_uses")] = float(
                np.nanmean(value[wanted])
            )
    return found


def add_options(parser: argparse.ArgumentParser) -> None:
    """Which rows and seeds."""
    parser.add_argument("--rows", nargs="+", default=["R1", "R2", "R3"], choices=list(LAWS), metavar="ROW")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], metavar="SEED")
    parser.add_argument("--fresh", type=int, default=FRESH, help="fresh samples scored (%(default)s)")


def run(options: argparse.Namespace) -> harness.Outcome:
    """Rows by seeds."""
    rows = []
    for name in options.rows:
        for seed in options.seeds:
            rows.append(measure(name, seed, options.fresh))
            print(rows[-1], flush=True)
    return harness.Outcome({"fresh": options.fresh, "seeds": options.seeds}, rows)
