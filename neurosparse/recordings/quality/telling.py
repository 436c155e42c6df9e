"""A first look in words: which questions so many stimuli and repeats can carry, and the units' numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

# Rules of evidence: stimuli below which a dictionary is not asked for; events an atom; reliability of the calibration.
FEW_STIMULI, EVENTS_AN_ATOM, RELIABLE, NOISY = 300, 30, 0.75, 0.3


def questions(facts: Mapping[str, Any], variables: Mapping[str, np.ndarray], n_units: int) -> list[str]:
    """What so many stimuli, repeats and units can carry, one sentence a question."""
    n = facts.get("n_stimuli")
    if not n:
        return [
            "Noise ceilings, linear identifiability and dictionaries of stimuli need trials with a stimulus: "
            "give align= and stimulus=."
        ]
    said = []
    enough = facts["n_repeated"] >= 3
    ceilings = f"{facts['n_repeated']} of {n} stimuli have repeats"
    said.append(f"Noise ceilings: {'yes' if enough else 'no'}, {ceilings}{'' if enough else ' (3 are needed)'}.")
    folds = "yes" if n >= 2 * n_units else "with care" if n >= 50 else "no"
    why = {"yes": "", "with care": " (fewer than two a unit: a nonlinear gap may be beyond this n)", "no": " (< 50)"}
    said.append(f"Linear maps from {n_units} units, held out: {folds}, {n} stimuli{why[folds]}.")
    if n < FEW_STIMULI:
        return [*said, f"A dictionary of stimulus averages: no, {n} stimuli; {FEW_STIMULI} are needed."]
    reliability = float(np.nanmedian(variables["reliability"])) if "reliability" in variables else np.nan
    atoms = min(n_units, max(n // EVENTS_AN_ATOM, 1))
    grade = "yes" if reliability >= RELIABLE else "in part" if reliability >= NOISY else "no"
    known = "unknown without repeats" if np.isnan(reliability) else f"{reliability:.2f} in the median"
    said.append(
        f"A dictionary of stimulus averages: {grade}, about {atoms} atoms to begin with; reliability {known} "
        f"({RELIABLE} recovers planted atoms, below {NOISY} none); it must still beat its Gaussian surrogate."
    )
    return said


def as_dataset(
    variables: Mapping[str, Any], coords: Mapping[str, np.ndarray], facts: Mapping[str, Any], attrs: Mapping[str, str]
) -> xr.Dataset:
    """Variables over `unit` with the units' labels; the answers to what n supports stand in ``attrs["questions"]``."""
    labels = {name: ("unit", coords[name]) for name in ("unit", "unit_id", "area", "plane") if name in coords}
    made = xr.Dataset({name: ("unit", values) for name, values in variables.items()}, coords=labels)
    for name, unit in _UNITS.items():
        if name in made:
            made[name].attrs["units"] = unit
    counted = {name: value for name, value in facts.items() if not isinstance(value, list)}
    if "n_repeats" in facts:
        least, middle, most = facts["n_repeats"]
        counted["n_repeats"] = f"{least} to {most}, median {middle:g}"
    said = questions(facts, variables, made.sizes["unit"])
    made.attrs = {"n_units": made.sizes["unit"], **counted, **attrs, "questions": "\n".join(said)}
    return made


_UNITS = {"rate": "Hz", "n_spikes": "1", "refractory": "1", "drift": "1", "reliability": "1", "fano": "1"}


def told(quality: xr.Dataset) -> str:
    """The numbers of all units in a few lines, for a person."""
    n_units = quality.sizes["unit"]
    lines = [f"quality of {n_units} unit{'s' * (n_units != 1)}{_facts(quality)}"]
    for name, text in _LINES.items():
        if name in quality and np.isfinite(quality[name]).any():
            low, middle, high = np.nanpercentile(quality[name], [5, 50, 95])
            lines.append(f"  {text}: median {middle:.3g}, 90 % of units {low:.3g} to {high:.3g}")
    lines += [f"  ! {text}" for text in _doubts(quality)]
    return "\n".join([*lines, *(f"  {line}" for line in quality.attrs["questions"].splitlines())])


_LINES = {
    "rate": "rate (Hz)",
    "reliability": "reliability",
    "fano": "Fano factor",
    "drift": "drift over the session (share of the mean)",
}


def _facts(quality: xr.Dataset) -> str:
    if "n_stimuli" not in quality.attrs:
        return ""
    return f", {quality.attrs['n_trials']} trials of {quality.attrs['n_stimuli']} stimuli"


def _doubts(quality: xr.Dataset) -> Sequence[str]:
    """Units that a reader must know of, counted."""
    n = quality.sizes["unit"]
    found = []
    if "n_spikes" in quality:
        found += [
            (int((quality["n_spikes"] == 0).sum()), "are silent"),
            (int((quality["duplicate_of"] != "").sum()), "are duplicates of another"),
            (int((quality["refractory"] > 0.01).sum()), "have over 1 % of intervals below 1.5 ms"),
            (_drifting(quality), "drift: the interval of the line is without 0"),
        ]
    if "responsive" in quality:
        found.append((int((~quality["responsive"]).sum()), "do not respond"))
    return [f"{count} of {n} units {text}" for count, text in found if count]


def _drifting(quality: xr.Dataset) -> int:
    return int(((quality["drift_low"] > 0) | (quality["drift_high"] < 0)).sum()) if "drift" in quality else 0
