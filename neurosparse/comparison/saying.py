"""A comparison for a person to read: the rows that matter first, and sentences."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

_COLUMNS = {
    "n_units": "units",
    "reliability": "reliability",
    "ceiling": "ceiling on r",
    "dimension": "dimension",
    "r": "r",
    "r_low": "r low",
    "r_high": "r high",
    "r_null": "r null",
    "p": "p",
    "r_back": "r back",
    "r_back_null": "r back null",
    "n_atoms": "atoms",
    "active_atoms": "active atoms",
    "stability": "stability",
    "stability_surrogate": "stability, Gaussian",
    "gain": "gain",
    "gain_surrogate": "gain, Gaussian",
    "verdict": "dictionary",
    "units_mis": "mis, units",
    "units_mis_null": "mis null, units",
    "atoms_mis": "mis, atoms",
    "atoms_mis_null": "mis null, atoms",
    "units_hoyer_sparseness": "Hoyer, units",
    "units_hoyer_sparseness_null": "Hoyer null, units",
    "atoms_hoyer_sparseness": "Hoyer, atoms",
    "atoms_hoyer_sparseness_null": "Hoyer null, atoms",
}


def table(result: xr.Dataset) -> pd.DataFrame:
    """The rows of a comparison that a reader wants first, one representation each; `result` holds them all.

    Parameters
    ----------
    result : Dataset
        What `compare` returns.

    Returns
    -------
    pandas.DataFrame
        Indexed by representation, columns named in words.
    """
    rows = result[list(_COLUMNS)].to_dataframe()
    return rows[list(_COLUMNS)].rename(columns=_COLUMNS)


def findings(result: xr.Dataset) -> list[str]:
    """A comparison in sentences, each number beside its null, its ceiling and its interval.

    Parameters
    ----------
    result : Dataset
        What `compare` returns.
    """
    reference = result.attrs["reference"]
    rows = {str(name): result.sel(representation=name) for name in result["representation"].values}
    return [
        _said_of_reliability(reference, rows[reference], result),
        *(_said_of_maps(name, row, reference) for name, row in rows.items() if name != reference),
        *_said_of_families(result, reference),
        *(_said_of_features(name, row) for name, row in rows.items()),
        *(f"Note on {name}: {row['notes'].item()}" for name, row in rows.items() if row["notes"].item()),
    ]


def _said_of_reliability(reference: str, row: xr.Dataset, result: xr.Dataset) -> str:
    size = f"{int(row['n_units'])} units, {int(row['n_stimuli'])} stimuli"
    if np.isnan(row["ceiling"]):
        return f"{reference}: {size}, no repeats, so no ceiling is known."
    return (
        f"{reference}: {size}, {float(row['n_repeats']):g} repeats. Split-half r {float(row['split_half_r']):z.2f}, "
        f"reliability of the averages {float(row['reliability']):z.2f}, so r can reach {float(row['ceiling']):z.2f} "
        f"(medians over units). Held out by {result.attrs['split']}."
    )


def _said_of_maps(name: str, row: xr.Dataset, reference: str) -> str:
    return (
        f"{name} predicts {reference} at r {_with_interval(row, 'r')} (null {float(row['r_null']):z.2f}, "
        f"p {float(row['p']):.3g}); {reference} predicts {name} at r {_with_interval(row, 'r_back')} "
        f"(null {float(row['r_back_null']):z.2f}, p {float(row['p_back']):.3g})."
    )


def _said_of_families(result: xr.Dataset, reference: str) -> list[str]:
    rows = {str(name): result.sel(family=name) for name in result["family"].values}
    best = rows.pop(result.attrs["model_family"])
    chosen = sorted(set(best["family_choice"].item().split(", ")))
    lines = [
        f"The best layer, chosen on training stimuli ({', '.join(chosen)}), predicts {reference} at r "
        f"{_with_interval(best, 'family_r')}."
    ]
    for name, row in rows.items():
        ahead = f"ahead by {_with_interval(row, 'family_difference')}"
        sure = "" if row["family_difference_low"] > 0 else ", which is no difference that these stimuli can show"
        lines.append(f"{name}: r {_with_interval(row, 'family_r')}; the best layer is {ahead}{sure}.")
    return lines


def _said_of_features(name: str, row: xr.Dataset) -> str:
    return (
        f"{name}: a dictionary of {int(row['n_atoms'])} atoms on {int(row['n_units_matched'])} units is "
        f"{row['verdict'].item()} (stability {float(row['stability']):z.2f}, Gaussians of equal covariance "
        f"{float(row['stability_surrogate']):z.2f}; gain {float(row['gain']):.3f}, Gaussians "
        f"{float(row['gain_surrogate']):.3f}). Interpretability score of units {_with_interval(row, 'units_mis')}, of "
        f"atoms {_with_interval(row, 'atoms_mis')} (chance .5)."
    )


def _with_interval(row: xr.Dataset, name: str) -> str:
    return f"{float(row[name]):z.2f} [{float(row[f'{name}_low']):z.2f}, {float(row[f'{name}_high']):z.2f}]"
