"""How long a fit takes on a GPU, beside the same fit on the CPU and the published loop on either: row S5 of the plan.

``python -m tests.benchmarks fitting --devices cpu cuda``. All at one penalty, told the number of atoms. What the GPU
found is held against what the CPU found: its objective, and the share of its atoms that are there too. Laws: "small" is
R4's of `recovery` with twice the samples, "large" 32 of 4,096 atoms, |N(0, 1)|. No device, no row: it says so.
"""

from __future__ import annotations

import argparse
import time
import warnings
from typing import Any

import numpy as np
import torch

from neurosparse.backend.dictionary import reference_penalty
from neurosparse.backend.inference import encode
from neurosparse.backend.matching import recovery
from neurosparse.errors import NeurosparseWarning
from neurosparse.sparse_coding import DictionaryLearning
from tests.benchmarks import harness
from tests.benchmarks.recovery import Law, World

LAWS = {
    "small": Law(1000, 93, 10, 25_000, True, ""),
    "large": Law(4096, 768, 32, 1_000_000, False, ""),
}
GOAL = "time and ratio; objective within 1e-3 of the CPU's, >= 99 % of its atoms"
# Of `reference_penalty`; the same for all.
LEVEL = 0.15
# An atom is that of another fit where their |cos| is above this.
SAME = 0.95
# Every dictionary's objective is that of the first so many samples, their codes to this duality gap.
JUDGED, CODE_TOL = 10_000, 1e-5
# Of the published loop: steps of FISTA a round, and what is added to the Gram matrix of the codes.
STEPS, RIDGE = 100, 1e-6


def fitted(x: np.ndarray, n_atoms: int, penalty: float, device: str, seed: int) -> tuple[np.ndarray, float]:
    """Our dictionary, and seconds on the clock."""
    learner = DictionaryLearning(n_atoms, penalty=penalty, offset=False, device=device, random_state=seed)
    begin = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NeurosparseWarning)
        learner.fit(x)
    return np.asarray(learner.dictionary_), time.perf_counter() - begin


def published(
    x: np.ndarray, n_atoms: int, penalty: float, device: str, seed: int, rounds: int
) -> tuple[np.ndarray, float]:
    """The alternation of arXiv 2603.28744: warm codes by FISTA on the Gram matrix, then atoms by least squares.

    Dictionary and seconds. Codes of all samples and atoms are kept, 4 bytes each; they are found 8,192 rows at a time.
    """
    begin = time.perf_counter()
    data = torch.from_numpy(x.astype(np.float32)).to(device)
    generator = torch.Generator().manual_seed(seed)
    atoms = torch.randn((n_atoms, x.shape[1]), generator=generator).to(device)
    atoms /= atoms.norm(dim=1, keepdim=True)
    codes = data.new_zeros((len(data), n_atoms))
    for _ in range(rounds):
        gram = atoms @ atoms.T
        step = 1 / float(torch.linalg.eigvalsh(gram)[-1])
        outer, cross = data.new_zeros((n_atoms, n_atoms)), data.new_zeros(atoms.shape)
        for rows, z in zip(data.split(8192), codes.split(8192), strict=True):
            z.copy_(_fista(z, rows @ atoms.T, gram, step, penalty))
            outer += z.T @ z
            cross += z.T @ rows
        outer.diagonal().add_(RIDGE)
        before, atoms = atoms, torch.linalg.solve(outer, cross)
        atoms = atoms / atoms.norm(dim=1, keepdim=True).clamp(min=1e-12)
        if float((atoms - before).norm() / before.norm()) < 1e-5:
            break
    return atoms.cpu().numpy().astype(float), time.perf_counter() - begin


def _fista(z: torch.Tensor, along: torch.Tensor, gram: torch.Tensor, step: float, penalty: float) -> torch.Tensor:
    lead, age = z, 1.0
    for _ in range(STEPS):
        new = torch.relu(lead + step * (along - lead @ gram - penalty))
        older = (1 + (1 + 4 * age * age) ** 0.5) / 2
        lead, z, age = new + (age - 1) / older * (new - z), new, older
    return z


def measure(name: str, law: Law, devices: list[str], seed: int, rounds: int) -> list[dict[str, Any]]:
    """One row a device and learner; ratios are of the first row's seconds over theirs."""
    world = World(law, seed)
    x = world.x
    penalty = LEVEL * reference_penalty(torch.from_numpy(x[:20_000]), law.n_atoms, offset=False)
    rows, first = list[dict[str, Any]](), None
    for device in devices:
        if device.startswith("cuda") and not torch.cuda.is_available():
            rows.append({"task": name, "device": device, "skipped": "not measured: no device"})
            continue
        place = torch.cuda.get_device_name(device) if device.startswith("cuda") else "CPU"
        for learner in ("neurosparse", "published loop")[: 1 + (rounds > 0)]:
            if learner == "neurosparse":
                atoms, seconds = fitted(x, law.n_atoms, penalty, device, seed)
            else:
                atoms, seconds = published(x, law.n_atoms, penalty, device, seed, rounds)
            value = float(encode(x[:JUDGED], atoms, penalty, tol=CODE_TOL).objective.mean())
            first = (atoms, seconds, value) if first is None else first
            row = {"task": name, "device": device, "place": place, "learner": learner, "seed": seed}
            row |= {"seconds": seconds, "ratio": first[1] / seconds, "objective": value, "excess": value / first[2] - 1}
            row["same_atoms"] = float((recovery(atoms, first[0]) > SAME).mean())
            row["true_atoms"] = float((recovery(atoms, world.atoms) > SAME).mean())
            rows.append(row | {"penalty": penalty, "goal": GOAL})
            print(rows[-1], flush=True)
    return rows


def add_options(parser: argparse.ArgumentParser) -> None:
    """Which laws, on which devices."""
    parser.add_argument("--laws", nargs="+", default=list(LAWS), choices=list(LAWS))
    parser.add_argument("--devices", nargs="+", default=["cpu", "cuda"], metavar="DEVICE", help="the first is compared")
    parser.add_argument("--rounds", type=int, default=100, help="of the published loop; 0 for none (%(default)s)")
    parser.add_argument("--seed", type=int, default=0)


def run(options: argparse.Namespace) -> harness.Outcome:
    rows = list[dict[str, Any]]()
    for name in options.laws:
        rows += measure(name, LAWS[name], options.devices, options.seed, options.rounds)
    settings = {"seed": options.seed, "rounds": options.rounds, "level": LEVEL, "same": SAME, "laws": str(LAWS)}
    return harness.Outcome(settings, rows)
