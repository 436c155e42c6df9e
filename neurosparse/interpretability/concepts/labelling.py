"""Scores of concepts with their names, nulls and p-values."""

from __future__ import annotations

import numpy as np
import xarray as xr

from neurosparse.backend.resampling import p_value
from neurosparse.interpretability.concepts.measuring import Parts
from neurosparse.interpretability.concepts.reading import Concepts
from neurosparse.interpretability.draws import quiet_mean
from neurosparse.interpretability.profiles import Profiles

_ABOUT = {
    "probe": "held-out balanced accuracy of a logistic regression on few features (R2 of a ridge, where continuous)",
    "explicitness": "InfoE: held-out share of the concept that a linear probe of all features explains",
    "informativeness": "DCI: held-out R2 of a lasso of all features",
    "completeness": "DCI: 1 - entropy over features of a concept's importances",
    "mutual_information_gap": "MIG: (I of the best feature - I of the second) / H",
    "disentanglement": "DCI: 1 - entropy over concepts of a feature's importances",
    "overall_disentanglement": "DCI: disentanglement weighed by importance",
    "info_modularity": "InfoM: how far each feature knows one concept only",
    "info_compactness": "InfoC: how far each concept is known to one feature only",
}


def labelled(
    samples: Profiles,
    table: Concepts,
    sizes: list[int],
    observed: tuple[Parts, Parts],
    null: list[tuple[Parts, Parts]],
    note: str,
    n_folds: int,
) -> xr.Dataset:
    """Scores beside their null and the range of their folds."""
    last = samples.last
    dims: dict[str, tuple[str, ...]] = dict.fromkeys(_ABOUT, ("concept",))
    dims |= {"probe": ("concept", "n_features"), "disentanglement": (last,)}
    dims |= dict.fromkeys(("overall_disentanglement", "info_modularity", "info_compactness"), ())
    result = xr.Dataset(coords={"concept": list(table), "n_features": sizes, last: samples.source[last].variable})
    result["is_discrete"] = ("concept", [discrete for _, discrete in table.values()])
    classes = [len(np.unique(values)) if discrete else np.inf for values, discrete in table.values()]
    result["probe_chance"] = ("concept", 1 / np.array(classes))
    fitted, whole = observed
    for name, about in _ABOUT.items():
        of_folds = name in fitted
        value = quiet_mean(fitted[name]) if of_folds else whole[name]
        result[name] = (dims[name], value, {"long_name": about, "direction": "higher is better"})
        if of_folds:
            for end, pick in (("low", np.fmin), ("high", np.fmax)):
                result[f"{name}_fold_{end}"] = (dims[name], pick.reduce(fitted[name], axis=0))
        draws = np.array([quiet_mean(one[name]) if of_folds else rest[name] for one, rest in null])
        if len(draws):
            known = np.isfinite(value) & np.isfinite(draws).any(axis=0)
            filled = np.where(np.isfinite(draws), draws, -np.inf)
            result[f"{name}_null"] = (dims[name], quiet_mean(draws))
            result[f"{name}_p"] = (dims[name], np.where(known, p_value(np.nan_to_num(value), filled), np.nan))
        else:
            nothing = np.full(np.shape(value), np.nan)
            result = result.assign({f"{name}_{part}": (dims[name], nothing) for part in ("null", "p")})
    result.attrs = {
        "n_samples": len(samples.labels),
        "n_units": samples.values.shape[1],
        "n_permutations": len(null),
        "split": f"{n_folds} folds over {'blocks of time' if samples.dim == 'time' else 'groups of stimuli'}",
        "p_note": note or "one-sided, (1 + b) / (1 + B)",
    }
    return result
