"""Head-direction cells with the head's angle as the similarity: thalamus (ADN) beside hippocampus (CA1)."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

import neurosparse
from neurosparse import interpretability_scores
from neurosparse.backend.psychophysics import bin_codes, mean_direction_length, tuning_maps
from neurosparse.backend.resampling import circular_shifts, p_value
from neurosparse.errors import DataWarning

FILE = "A2929-200711_neurosuite.nwb"
BY_ANGLE = ("mis", "soft_mis", "monosemanticity", "intrusion", "index_v1")


def folder() -> Path:
    found = os.environ.get("NEUROSPARSE_DATA_DIR")
    if not found:
        raise RuntimeError("NEUROSPARSE_DATA_DIR names no folder of recordings: this row needs them")
    return Path(found)


def load(bin_width: float = 0.2) -> tuple[Any, np.ndarray]:
    """Counts (time, unit) while the head was tracked, and its angle."""
    with neurosparse.open_nwb(folder() / FILE) as recording, warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)  # the bins before tracking are left out below
        counts = recording.spikes(bin_width=bin_width)
        angle = recording.covariate("acquisition/CompassDirection/ry", like=counts, period=2 * np.pi).values
    seen = np.flatnonzero(np.isfinite(angle))
    return counts.isel(time=seen).astype(float), angle[seen]


def raw_lengths(counts: Any, angle: np.ndarray) -> np.ndarray:
    """Length of the mean direction over spikes, occupancy left in."""
    return np.abs(np.exp(1j * angle) @ counts.values) / counts.values.sum(axis=0)


def shift_null(counts: Any, angle: np.ndarray, n_draws: int) -> tuple[np.ndarray, np.ndarray]:
    """Occupancy-normalised lengths of each unit under circular shifts of at least 30 s, and its p."""
    values = counts.values
    codes, centres = bin_codes(angle[:, None], 36, 2 * np.pi)

    def lengths(order: Any) -> np.ndarray:
        return mean_direction_length(tuning_maps(values, codes[order], 36)[0], centres[:, 0], 2 * np.pi)

    null = np.array([lengths(o) for o in circular_shifts(len(angle), n_draws, minimum=150, random_state=0)])
    return null, p_value(lengths(slice(None)), null)


def units(n_draws: int = 199) -> list[dict[str, Any]]:
    """A row a unit: lengths, scores by the angle, the p of its own shifts.

    The recording is shorter than the 50 autocorrelation times at which shifts are calibrated, so that the package gives
    no p-value; the shifts of the row are shown beside that word.
    """
    counts, angle = load()
    with np.errstate(all="ignore"):
        scored = interpretability_scores(
            counts,
            scores=(*BY_ANGLE, "direction_length", "information"),
            stimulus_similarity="covariate",
            covariate=angle,
            period=2 * np.pi,
            n_bins=36,
            n_tasks=100,
            n_permutations=9,
            n_bootstraps=200,
        )
    null, p = shift_null(counts, angle, n_draws)
    raw, area = raw_lengths(counts, angle), counts["area"].values
    return [
        {
            "task": "head direction",
            "unit": int(counts["unit"].values[k]),
            "area": str(area[k]),
            "spikes": int(counts.values[:, k].sum()),
            "raw_length": float(raw[k]),
            **{name: float(scored[name][k]) for name in ("direction_length", *BY_ANGLE, "information")},
            "length_low": float(scored["direction_length_low"][k]),
            "length_high": float(scored["direction_length_high"][k]),
            "shift_null": float(null[:, k].mean()),
            "shift_p": float(p[k]),
            "tau_s": float(scored.attrs["tau"]) * 0.2,
            "n_samples": scored.attrs["n_samples"],
            "p_note": scored.attrs["p_note"],
        }
        for k in range(counts.sizes["unit"])
    ]


def run() -> list[dict[str, Any]]:
    """Units, then ADN against CA1 by rank sum, one-sided."""
    found = units()
    return found + [ranked(found, name) for name in ("raw_length", "direction_length", *BY_ANGLE, "information")]


def ranked(found: list[dict[str, Any]], name: str) -> dict[str, Any]:
    adn, ca1 = (np.array([row[name] for row in found if row["area"] == area]) for area in ("adn", "ca1"))
    adn, ca1 = adn[np.isfinite(adn)], ca1[np.isfinite(ca1)]
    test = stats.mannwhitneyu(adn, ca1, alternative="greater")
    return {
        "task": "ADN above CA1",
        "score": name,
        "adn_median": float(np.median(adn)),
        "ca1_median": float(np.median(ca1)),
        "auc": float(test.statistic / (len(adn) * len(ca1))),
        "p": float(test.pvalue),
        "n_adn": len(adn),
        "n_ca1": len(ca1),
    }
