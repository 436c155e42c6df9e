"""Recovery where samples are noisy, features rare, or counts: row R9 of the plan, beside the peers.

``python -m tests.benchmarks recovery_noise --seeds 0 1``. 64 atoms over 32 units, 5,000 samples. "noise": 4 active
codes |N(0, 1)|, noise at a signal-to-noise ratio of 20 dB. "zipf": the same noise, atom j active at a rate that falls
as 1 / sqrt(j), 4 on average. "counts": Poisson draws of non-negative atoms (three units in ten carry one) and
exponential codes over a background of a tenth, scaled to a mean count of .2 and of 2 a unit. Ours are the defaults; for
counts non-negative atoms, by squares weighted with 1 / mean ("off") and by ``loss="poisson"`` ("on"). What is scored
is the matched |cos|, chance-corrected by the largest of isotropic and covariance-matched random atoms and of another
draw of the law's atoms.
"""

from __future__ import annotations

import argparse
import time
import warnings
from typing import Any

import numpy as np

from neurosparse.backend.baselines import covariance_matched_dictionary, random_dictionary
from neurosparse.backend.matching import chance_corrected, recovery
from neurosparse.errors import NeurosparseWarning
from neurosparse.sparse_coding import DictionaryLearning
from tests.benchmarks import harness
from tests.benchmarks.peer_dictionaries import peers

N_ATOMS, N_UNITS, N_ACTIVE, N_SAMPLES = 64, 32, 4, 5000
LAWS = ("noise", "zipf", "counts .2", "counts 2")


def atoms_of(law: str, random: np.random.RandomState) -> np.ndarray:
    """True atoms of a law, of unit norm."""
    if not law.startswith("counts"):
        return random_dictionary(N_ATOMS, N_UNITS, random_state=random)
    atoms = np.abs(random.standard_normal((N_ATOMS, N_UNITS))) * (random.rand(N_ATOMS, N_UNITS) < 0.3) + 0.01
    return np.asarray(atoms / np.linalg.norm(atoms, axis=1, keepdims=True))


def draw(law: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Samples and their atoms."""
    random = np.random.RandomState(seed)
    atoms, rate = atoms_of(law, random), np.full(N_ATOMS, N_ACTIVE / N_ATOMS)
    if law == "zipf":
        rate = 1 / np.sqrt(1 + np.arange(N_ATOMS))
        rate *= N_ACTIVE / rate.sum()
    active = random.rand(N_SAMPLES, N_ATOMS) < rate
    if law.startswith("counts"):
        mean = float(law.split()[1])
        signal = (random.exponential(size=active.shape) * active) @ atoms
        return random.poisson(mean * (0.9 * signal / signal.mean() + 0.1)).astype(float), atoms
    signal = (np.abs(random.standard_normal(active.shape)) * active) @ atoms
    return signal + 0.1 * signal.std() * random.standard_normal(signal.shape), atoms


def ours(law: str, x: np.ndarray, seed: int) -> dict[str, DictionaryLearning]:
    """The learners of a law, by name."""
    if not law.startswith("counts"):
        return {"neurosparse": DictionaryLearning(N_ATOMS, random_state=seed)}
    weights = 1 / np.maximum(x.mean(0), 0.05 * x.mean())
    return {
        "neurosparse, count loss off": DictionaryLearning(
            N_ATOMS, atoms="nonnegative", weights=weights, random_state=seed
        ),
        "neurosparse, count loss on": DictionaryLearning(
            N_ATOMS, atoms="nonnegative", loss="poisson", random_state=seed
        ),
    }


def measure(law: str, seed: int) -> list[dict[str, Any]]:
    """All contenders on one world."""
    x, truth = draw(law, seed)
    random = np.random.RandomState(seed + 1)
    others = [
        random_dictionary(N_ATOMS, N_UNITS, random_state=random),
        covariance_matched_dictionary(x, N_ATOMS, random_state=random),
        atoms_of(law, random),
    ]
    chance = max(float(recovery(other, truth).mean()) for other in others)
    found: dict[str, tuple[float, float]] = {}
    for name, learner in ours(law, x, seed).items():
        clock = time.process_time()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NeurosparseWarning)
            learner.fit(x)
        found[name] = float(recovery(learner.dictionary_, truth).mean()), time.process_time() - clock
    for name, atoms, cpu_s in peers(x, N_ATOMS, N_ACTIVE, nonnegative=law.startswith("counts"), seed=seed):
        best, spent = found.get(name, (0.0, 0.0))
        found[name] = max(best, float(recovery(atoms, truth).mean())), spent + cpu_s
    return [
        {
            "task": law,
            "contender": name,
            "seed": seed,
            "cos": cosine,
            "chance": chance,
            "corrected": float(chance_corrected(cosine, chance)),
            "cpu_s": cpu_s,
        }
        for name, (cosine, cpu_s) in found.items()
    ]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Which laws and seeds."""
    parser.add_argument("--laws", nargs="+", default=list(LAWS), choices=LAWS, metavar="LAW")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0], metavar="SEED")


def run(options: argparse.Namespace) -> harness.Outcome:
    """Laws by seeds."""
    rows = []
    for law in options.laws:
        for seed in options.seeds:
            found = measure(law, seed)
            print(harness.Outcome({}, found).table(), flush=True)
            rows += found
    sizes = {"n_atoms": N_ATOMS, "n_units": N_UNITS, "n_active": N_ACTIVE, "n_samples": N_SAMPLES}
    return harness.Outcome({**sizes, "seeds": options.seeds, "threads": 1, "goal": "best of all, corrected"}, rows)
