"""Recovery against samples an atom: the curve of the README, ours beside the peers, the oracle and chance.

``python -m tests.benchmarks recovery_curve --seeds 0 --figure recovery.png``. The law of arXiv 2603.28744, without its
split: 10 active of 100 atoms, U(0, 1), over 47 units, no noise; from 125 to 2,500 samples. What is scored is the MCC on
5,000 fresh samples. Every dictionary, the true one (the oracle) and a random one (chance) among them, is encoded by our
own solver at the penalty that our learner chose, so that dictionaries alone differ; of a peer's several, the one that
scores best is shown.
"""

from __future__ import annotations

import argparse
import time
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from scipy.sparse import csr_array

from neurosparse.backend.baselines import random_dictionary
from neurosparse.backend.matching import match_codes, recovery
from neurosparse.errors import NeurosparseWarning
from neurosparse.plots import BRAIN, CHANCE, NETWORK
from neurosparse.sparse_coding import DictionaryLearning, sparse_encode
from tests.benchmarks import harness
from tests.benchmarks.peer_dictionaries import peers
from tests.benchmarks.recovery import LAWS, World

SIZES = (125, 250, 500, 1000, 2500)
N_FRESH = 5000
LOOKS: dict[str, dict[str, Any]] = {
    "oracle": {"color": CHANCE, "ls": "--", "label": "oracle: the true atoms"},
    "neurosparse": {"color": BRAIN, "marker": "o", "lw": 2, "label": "neurosparse, defaults"},
    "SPAMS": {"color": NETWORK, "marker": "s", "label": "SPAMS, best of six penalties"},
    "TopK SAE": {"color": "#7a9a3c", "marker": "^", "label": "TopK autoencoder, true k"},
    "chance": {"color": CHANCE, "ls": ":", "label": "chance: random atoms"},
}


def measure(n_samples: int, seed: int) -> list[dict[str, Any]]:
    """All contenders at one number of samples."""
    law = replace(LAWS["R2"], n_samples=n_samples, split=False)
    world = UniformWorld(law, seed)
    fresh = world.draw(N_FRESH).toarray()
    learner = DictionaryLearning(law.n_atoms, random_state=seed)
    clock = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NeurosparseWarning)
        learner.fit(world.x)
    clock = time.process_time() - clock

    def mcc(atoms: np.ndarray, offset: Any = None) -> float:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NeurosparseWarning)
            codes = sparse_encode(fresh @ world.atoms, atoms, penalty=learner.penalty_, offset=offset, tol=1e-3)
        return match_codes(codes, fresh).mean

    found = {"neurosparse": (mcc(learner.dictionary_, learner.offset_), learner.dictionary_, clock)}
    others = [
        ("oracle", world.atoms, 0.0),
        ("chance", random_dictionary(law.n_atoms, law.n_units, random_state=seed + 1), 0.0),
        *peers(world.x, law.n_atoms, law.n_active, nonnegative=False, seed=seed),
    ]
    for name, atoms, cpu_s in others:
        unit = atoms / np.linalg.norm(atoms, axis=1, keepdims=True).clip(1e-12)
        score, (best, kept, spent) = mcc(unit), found.get(name, (-1.0, unit, 0.0))
        found[name] = (max(best, score), unit if score > best else kept, spent + cpu_s)
    return [
        {
            "task": f"n {n_samples}",
            "contender": name,
            "seed": seed,
            "samples_an_atom": n_samples / law.n_atoms,
            "uses_an_atom": n_samples * law.n_active / law.n_atoms,
            "mcc": score,
            "cos": float(recovery(atoms, world.atoms).mean()),
            "cpu_s": cpu_s,
        }
        for name, (score, atoms, cpu_s) in found.items()
    ]


class UniformWorld(World):
    """The law without its split: any k of the atoms."""

    def draw(self, n_samples: int, *, shifted: bool = False) -> csr_array:
        """True codes (sample, atom)."""
        codes = np.zeros((n_samples, self.law.n_atoms), dtype=np.float32)
        for row in codes:
            row[self.random.choice(self.law.n_atoms, self.law.n_active, replace=False)] = self.random.rand(
                self.law.n_active
            )
        return csr_array(codes)


def figure(rows: list[dict[str, Any]], path: str | Path) -> Path:
    """Mean over seeds against samples an atom; the seeds as a band."""
    mpl.use("Agg")
    import matplotlib.pyplot as plt

    canvas, ax = plt.subplots(figsize=(5.6, 3.6), layout="constrained")
    for name, look in LOOKS.items():
        own = [row for row in rows if row["contender"] == name]
        places = sorted({row["samples_an_atom"] for row in own})
        if not places:
            continue
        values = [[row["mcc"] for row in own if row["samples_an_atom"] == place] for place in places]
        ax.plot(places, [np.mean(some) for some in values], **look)
        ax.fill_between(places, list(map(min, values)), list(map(max, values)), color=look["color"], alpha=0.2, lw=0)
    ax.set_xscale("log")
    ax.set_xticks(places, [f"{place:g}" for place in places])
    ax.minorticks_off()
    ax.set_ylim(0, 1.03)
    ax.set_xlabel("samples an atom (10 of 100 atoms active in each)")
    ax.set_ylabel("codes on fresh samples, MCC")
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False, fontsize="small", loc="center right", bbox_to_anchor=(1.0, 0.42))
    canvas.savefig(path, dpi=130)
    plt.close(canvas)
    return Path(path)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Which sizes and seeds, and where the figure goes."""
    parser.add_argument("--sizes", nargs="+", type=int, default=list(SIZES), metavar="SAMPLES")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], metavar="SEED")
    parser.add_argument("--figure", metavar="PNG", help="draw the curve there")


def run(options: argparse.Namespace) -> harness.Outcome:
    """Sizes by seeds."""
    rows = []
    for n_samples in options.sizes:
        for seed in options.seeds:
            rows += measure(n_samples, seed)
            print(harness.Outcome({}, rows[-5:]).table(), flush=True)
    if options.figure:
        figure(rows, options.figure)
    return harness.Outcome({"fresh": N_FRESH, "seeds": options.seeds, "threads": 1}, rows)
