"""What a dictionary and its codes are worth beside the truth, where it is known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse
import torch
import xarray as xr

from neurosparse.backend import baselines, surrogate
from neurosparse.backend import dictionary as backend
from neurosparse.backend.inference import encode
from neurosparse.backend.matching import (
    chance_corrected,
    chance_of_codes,
    match_codes_by_halves,
    match_support,
    recovery,
)
from neurosparse.population import as_matrix
from neurosparse.sparse_coding.rows import dictionary_values, same_units


def dictionary_recovery(
    learned: Any,
    truth: Any,
    *,
    x: Any = None,
    oracle: float = 1.0,
    n_draws: int = 20,
    n_surrogates: int = 1,
    random_state: Any = 0,
) -> xr.Dataset:
    """How well a learned dictionary has the true atoms, one to one, with chance beside it.

    Parameters
    ----------
    learned, truth : (atom, unit) DataArrays or arrays
        Of any numbers of atoms, over the same units in the same scaling (a dictionary of data divided by the noise sd
        is compared with the truth divided by it).
    x : population or (sample, unit) array, optional
        What was learned from; without it chance is that of isotropic random atoms alone, which is too low.
    oracle : float
        Mean |cos| of who knows more, such as the codes; 1 is perfect.
    n_draws : int
        Random dictionaries and shuffles a chance level.
    n_surrogates : int
        Gaussians with the mean and covariance of `x` whose dictionaries are learned; each costs a short fit.
    random_state : int, numpy.random.RandomState or None

    Returns
    -------
    Dataset
        ``cosine`` over the true ``atom`` (|cos|; 0 where no learned atom was left); ``mean_cosine``;
        ``share_above_90`` and ``share_above_95``, of atoms with |cos| >= .9 and .95; ``chance`` (mean |cos|),
        ``chance_above_90`` and ``chance_above_95`` over ``control``: isotropic random atoms, and with `x`
        covariance-matched ones, its codes shuffled over samples, and dictionaries of Gaussian surrogates;
        ``corrected``, ``(mean - c) / (oracle - c)`` with the largest chance c.

    Raises
    ------
    InputError
        If the units differ.
    """
    found, true = dictionary_values(learned), dictionary_values(truth)
    if isinstance(learned, xr.DataArray) and isinstance(truth, xr.DataArray) and "unit" in learned.coords:
        same_units(truth["unit"].values, learned["unit"].values, "truth", "learned")
    random = random_state if isinstance(random_state, np.random.RandomState) else np.random.RandomState(random_state)
    cosine = recovery(found, true)
    controls = _controls(found, None if x is None else as_matrix(x, name="x").values, random)
    times = {"gaussian_surrogate": n_surrogates}
    draws = {
        name: np.array([recovery(draw(), true) for _ in range(times.get(name, n_draws))])
        for name, draw in controls.items()
        if times.get(name, n_draws)
    }
    chance = np.array([values.mean() for values in draws.values()])
    above = {
        f"chance_above_{level}": [(values >= level / 100).mean() for values in draws.values()] for level in (90, 95)
    }
    return xr.Dataset(
        {
            "cosine": ("atom", cosine),
            "mean_cosine": cosine.mean(),
            "share_above_90": (cosine >= 0.9).mean(),
            "share_above_95": (cosine >= 0.95).mean(),
            "chance": ("control", chance),
            **{name: ("control", values) for name, values in above.items()},
            "corrected": chance_corrected(cosine.mean(), chance.max(), oracle),
        },
        coords={"atom": np.arange(len(true)), "control": list(draws)},
        attrs={
            "n_atoms": len(found),
            "n_true_atoms": len(true),
            "n_units": found.shape[1],
            "n_draws": n_draws,
            "oracle": oracle,
            "direction": "higher is better",
            "equivalence": "permutation and sign of atoms",
        },
    )


def code_recovery(
    codes: Any,
    truth: Any,
    *,
    oracle: Any = None,
    min_events: int = 20,
    n_draws: int = 5,
    random_state: int = 0,
) -> xr.Dataset:
    """How well codes have the true latents, one to one, with chance and oracle beside it.

    Codes are matched to latents by |correlation| on every other sample and scored on the rest.

    Parameters
    ----------
    codes : (..., atom) DataArray, array or tensor, or scipy sparse array (sample, atom)
        Of samples that the dictionary was not learned from; sparse ones (`sparse_encode_csr`) stay so.
    truth : (..., latent) DataArray, array or tensor, or scipy sparse array
        Of the same samples.
    oracle : like `codes`, optional
        Codes by the same inference with the true dictionary: what `codes` could be at best.
    min_events : int
        Latents active in fewer samples of either half are left out, and counted.
    n_draws : int
        Shuffles of the samples for chance.
    random_state : int

    Returns
    -------
    Dataset
        ``correlation`` over ``latent`` (NaN where left out); ``mcc``, its mean; ``mcc_chance`` (the codes shuffled over
        samples), ``mcc_oracle``, ``mcc_corrected``, ``(mcc - c) / (oracle - c)``; ``precision``, ``recall`` and ``f1``
        of the active codes, ``f1_chance``, ``f1_oracle``, ``f1_corrected``; ``coverage``, the share of latents scored.
        attrs: ``n_left_out``.

    Raises
    ------
    InputError
        If samples differ, or no latent is active often enough.
    """
    z, s = _matrix(codes, "codes"), _matrix(truth, "truth")
    options: dict[str, Any] = {"min_events": min_events}
    found, support = match_codes_by_halves(z, s, **options), match_support(z, s, random_state=random_state, **options)
    chance = chance_of_codes(z, s, n_draws=n_draws, by_halves=True, random_state=random_state, **options)
    best = best_f1 = 1.0
    if oracle is not None:
        knowing = _matrix(oracle, "oracle")
        best, best_f1 = match_codes_by_halves(knowing, s, **options).mean, match_support(knowing, s, **options).f1
    return xr.Dataset(
        {
            "correlation": ("latent", found.value),
            "mcc": found.mean,
            "mcc_chance": chance,
            "mcc_oracle": best,
            "mcc_corrected": chance_corrected(found.mean, chance, best),
            "precision": support.precision,
            "recall": support.recall,
            "f1": support.f1,
            "f1_chance": support.chance,
            "f1_oracle": best_f1,
            "f1_corrected": chance_corrected(support.f1, support.chance, best_f1),
            "coverage": found.coverage,
        },
        coords={"latent": np.arange(s.shape[1])},
        attrs={
            "n_left_out": int(np.isnan(found.value).sum()),
            "n_samples": z.shape[0],
            "n_atoms": z.shape[1],
            "n_latents": s.shape[1],
            "min_events": min_events,
            "direction": "higher is better",
            "equivalence": "permutation, sign and scale of codes",
            "split": "matched on every other sample, scored on the rest",
        },
    )


def _matrix(values: Any, name: str) -> Any:
    return values if scipy.sparse.issparse(values) else as_matrix(values, name=name).values


def _controls(
    found: np.ndarray, rows: np.ndarray | None, random: np.random.RandomState
) -> dict[str, Callable[[], np.ndarray]]:
    """Ways to draw dictionaries of the same size that know less of the truth."""
    controls: dict[str, Callable[[], np.ndarray]] = {
        "isotropic": lambda: baselines.random_dictionary(*found.shape, random_state=random)
    }
    if rows is None:
        return controls
    centred = rows - rows.mean(0)
    penalty = surrogate.PENALTY * backend.reference_penalty(torch.from_numpy(rows.copy()), len(found))
    codes = np.asarray(encode(centred, found, penalty, tol=1e-3).codes)

    def shuffled() -> np.ndarray:
        return np.stack([random.permutation(column) for column in codes.T]) @ centred

    def of_a_gaussian() -> np.ndarray:
        draw = torch.from_numpy(surrogate.gaussian_surrogate(rows, random_state=random))
        return backend.fit(
            draw, len(found), penalty, surrogate.SETTINGS, random_state=random
        ).learner.dictionary.numpy()

    return controls | {
        "covariance_matched": lambda: baselines.covariance_matched_dictionary(rows, len(found), random_state=random),
        "shuffled_codes": shuffled,
        "gaussian_surrogate": of_a_gaussian,
    }
