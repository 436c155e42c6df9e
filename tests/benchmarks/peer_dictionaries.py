"""Dictionaries by others, for the rows that compare: SPAMS, non-negative matrix factors, a sparse autoencoder.

Samples (sample, unit) enter, dictionaries (atom, unit) by name and CPU seconds leave. Peers get what helps them: the
true number of active codes (TopK), and the best of several penalties or steps, judged with the truth by the caller.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from sklearn.decomposition import NMF

from tests.benchmarks import harness, make_peers

SPAMS = harness.Contender("SPAMS", "atoms_spams.py", make_peers.python(), "spams")
# Penalties as shares of the median length of a sample; steps of Adam.
SHARES, RATES = (0.03, 0.08, 0.2, 0.35, 0.6, 0.9), (1e-3, 5e-3)
Found = Iterator[tuple[str, np.ndarray, float]]


def peers(x: np.ndarray, n_atoms: int, n_active: int, *, nonnegative: bool, seed: int) -> Found:
    """Name of the peer, one of its dictionaries, CPU seconds of all of the peer's; several of a name: keep the best."""
    if not SPAMS.missing():
        yield from spams(x, n_atoms, nonnegative=nonnegative)
    if nonnegative:
        for loss in ("frobenius", "kullback-leibler"):
            clock = time.process_time()
            yield "NMF", factors(x, n_atoms, loss, seed), time.process_time() - clock
    for rate in RATES:
        clock = time.process_time()
        yield "TopK SAE", autoencoder(x, n_atoms, n_active, rate, seed), time.process_time() - clock


def spams(x: np.ndarray, n_atoms: int, *, nonnegative: bool, rounds: int = 300) -> Found:
    """SPAMS' online learner, a dictionary a penalty."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "x.npz", Path(folder) / "atoms.npz"
        np.savez(source, x=x)
        told = {"n_atoms": n_atoms, "shares": SHARES, "nonnegative": nonnegative, "rounds": rounds}
        script = harness.FOLDER / "contenders" / SPAMS.script
        subprocess.run([SPAMS.python, str(script), str(source), str(target), json.dumps(told)], check=True)
        with np.load(target) as file:
            for share in SHARES:
                yield "SPAMS", file[f"atoms_{share}"], float(file["cpu_s"]) / len(SHARES)


def factors(x: np.ndarray, n_atoms: int, loss: str, seed: int) -> np.ndarray:
    """Non-negative matrix factorisation; more factors than units need a random start."""
    solver = "cd" if loss == "frobenius" else "mu"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = NMF(n_atoms, init="random", solver=solver, beta_loss=loss, max_iter=200, random_state=seed).fit(x)
    return np.asarray(found.components_)


def autoencoder(
    x: np.ndarray, n_atoms: int, n_active: int, rate: float, seed: int, n_steps: int = 3000, batch: int = 256
) -> np.ndarray:
    """A TopK sparse autoencoder (Gao et al. 2024): ReLU, the largest k codes kept, decoder rows of unit norm."""
    generator = torch.Generator().manual_seed(seed)
    rows = torch.from_numpy(np.asarray(x / np.sqrt(np.square(x).mean()), dtype=np.float32))
    decoder = torch.randn(n_atoms, x.shape[1], generator=generator)
    decoder = torch.nn.Parameter(decoder / decoder.norm(dim=1, keepdim=True))
    encoder, bias = (torch.nn.Parameter(value) for value in (decoder.detach().T.clone(), torch.zeros(n_atoms)))
    offset = torch.nn.Parameter(rows.mean(0))
    optimiser = torch.optim.Adam([decoder, encoder, bias, offset], lr=rate)
    for step in range(n_steps):
        one = rows[torch.randint(len(rows), (batch,), generator=generator)]
        value, place = torch.relu((one - offset) @ encoder + bias).topk(n_active, dim=1)
        codes = torch.zeros(len(one), n_atoms).scatter(1, place, value)
        loss = (one - offset - codes @ decoder).square().sum(1).mean()
        optimiser.param_groups[0]["lr"] = rate * min(1.0, 5 * (1 - step / n_steps))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        with torch.no_grad():
            decoder /= decoder.norm(dim=1, keepdim=True).clamp(min=1e-6)
    return decoder.detach().numpy()
