"""Worlds of sparse latents: pictures that show them, neurons that superpose them, and Poisson spike times.

Numbers enter, a `World` leaves. Imports ``population``; no files and no torch.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from neurosparse import population
from neurosparse.errors import DataWarning, InputError
from neurosparse.simulation import gabors
from neurosparse.simulation.firing import Firing, spike_trains

_AMPLITUDES = (0.5, 1.5)
_MEAN_SQUARE = 13 / 12  # of an amplitude
_PHASE_SPREAD = 2 * np.pi / 3
_TRIES = 10_000
_CLIPPED = 0.02


@dataclass(frozen=True, eq=False)
class World:
    """A simulated session and the truth behind it.

    Attributes
    ----------
    latents : DataArray (stimulus, atom)
        Non-negative, sparse.
    dictionary : DataArray (atom, unit)
        What each latent does to each unit; atoms of unit norm.
    rates : DataArray (stimulus, unit)
        Firing rates in Hz while a stimulus is shown.
    images : DataArray (stimulus, row, column, channel)
        uint8; each latent is a grating patch at its own place and orientation, its value the patch's contrast.
    trials : DataFrame
        ``start_time``, ``stop_time`` (seconds), ``stimulus`` (row of `images`), ``repeat`` (from 0).
    spike_times : tuple of (spike,) arrays
        Seconds, ascending and distinct, one array a unit.
    facts : mapping
        Settings, and what came of them: ``gain`` (Hz a unit of ``latents @ dictionary``), ``clipped_share`` (of rates
        that would have been negative), ``coherence`` (largest |cos| of two atoms), ``contrast`` (grey levels a unit of
        latent), ``duration`` (seconds).
    """

    latents: xr.DataArray
    dictionary: xr.DataArray
    rates: xr.DataArray
    images: xr.DataArray
    trials: pd.DataFrame
    spike_times: tuple[np.ndarray, ...]
    facts: Mapping[str, Any] = field(repr=False)

    def counts(self) -> xr.DataArray:
        """Spike counts of every trial as a population (trial, unit): what a perfect loader makes of the file."""
        begin, end = (self.trials[name].to_numpy() for name in ("start_time", "stop_time"))
        values = [np.searchsorted(times, end) - np.searchsorted(times, begin) for times in self.spike_times]
        return population.from_arrays(
            np.stack(values, axis=1).astype(float),
            dims=("trial", "unit"),
            stimulus=self.trials["stimulus"].to_numpy(),
            coords={name: ("trial", self.trials[name].to_numpy()) for name in ("start_time", "stop_time", "repeat")},
            quantity="spike count",
            session=f"sparse_world {self.facts['random_state']}",
            source="neurosparse.simulation.sparse_world",
            bin_width=float(self.facts["window"]),
            provenance={"step": "sparse_world", **self.facts},
        )


def sparse_world(
    n_units: int = 32,
    n_atoms: int = 64,
    n_stimuli: int = 2400,
    *,
    n_active: int = 3,
    n_repeats: int = 2,
    max_coherence: float = 0.5,
    firing: Firing | None = None,
    random_state: Any = 0,
) -> World:
    """Draw a world whose neurons superpose more sparse latents than there are neurons.

    ``rate = max(0, baseline + gain * latents @ dictionary)``, spikes Poisson with that rate during a trial and with
    `baseline` between trials. Each stimulus has `n_active` latents, amplitudes uniform on .5 to 1.5; atoms are
    isotropic on the sphere, drawn again where they lie closer than `max_coherence` to an earlier one.

    Parameters
    ----------
    n_units, n_atoms, n_stimuli : int
        Sizes; two atoms a unit by default.
    n_active : int
        Active latents a stimulus, at most `n_atoms`.
    n_repeats : int
        Times each stimulus is shown: every repeat is one pass through all stimuli in a new random order.
    max_coherence : float
        Largest |cos| between two atoms, in (0, 1].
    firing : Firing, optional
        Rates and durations. With the defaults units fire at about 26 Hz.
    random_state : int, numpy SeedSequence or Generator, or None
        Seed. Dictionary, latents, images, order and spikes have streams of their own: with one seed, more repeats or
        another `firing` leave the truth and the images as they are.

    Returns
    -------
    World

    Raises
    ------
    InputError
        If a size is below 1, `n_active` exceeds `n_atoms`, or no dictionary with `max_coherence` was found.

    Warns
    -----
    DataWarning
        If more than 2 % of the rates had to be clipped at 0.

    Notes
    -----
    Chosen so that the answer is known and the noise is real. With the defaults the reliability of two-repeat averages
    is about .87 (median unit; .79 to .90), .4 % of rates are clipped at 0, a unit gives 26 spikes a trial with the
    variance of a Poisson count, and the session lasts 100 minutes. Shorter windows or lower rates need more repeats:
    only ``rate * window * n_repeats`` matters. What real neurons add and this world lacks: shared variability, drift,
    refractoriness, unequal rates and latents that co-occur.

    A picture shows each latent with a random phase of up to 120 degrees either way, a nuisance the neurons ignore. So
    latents are a nonlinear function of pixels; a linear one reaches R2 of about .4.

    Cost: about 1 s and 100 MB with the defaults, one CPU thread, linear in spikes and pixels.

    Examples
    --------
    >>> world = sparse_world(8, 16, n_stimuli=20, n_active=2, max_coherence=0.7)
    >>> world.dictionary.sizes["atom"], int((world.latents > 0).sum("atom").max())
    (16, 2)
    """
    firing = firing or Firing()
    sizes = {
        "n_units": n_units,
        "n_atoms": n_atoms,
        "n_stimuli": n_stimuli,
        "n_active": n_active,
        "n_repeats": n_repeats,
    }
    _check_settings(sizes, max_coherence)
    for_atoms, for_latents, for_phases, for_order, for_spikes = np.random.default_rng(random_state).spawn(5)
    dictionary = _incoherent_atoms(n_atoms, n_units, max_coherence, for_atoms)
    latents = _sparse_latents(n_stimuli, n_atoms, n_active, for_latents)
    images, contrast = gabors.draw(latents, for_phases.uniform(-_PHASE_SPREAD, _PHASE_SPREAD, latents.shape))
    # Atoms have unit norm, so a unit of average weights has the summed variance of the latents over n_units.
    spread = np.sqrt(n_active * (_MEAN_SQUARE - n_active / n_atoms) / n_units)
    gain = float(firing.depth * firing.baseline / spread)
    drive = firing.baseline + gain * latents @ dictionary
    clipped_share = float((drive < 0).mean())
    _warn_if_clipped(clipped_share, firing, n_active)
    rates = np.maximum(drive, 0.0)
    order = np.concatenate([for_order.permutation(n_stimuli) for _ in range(n_repeats)])
    starts, stops, spike_times, duration = spike_trains(rates[order], firing, for_spikes)
    repeat = np.arange(len(order)) // n_stimuli
    seed = int(random_state) if isinstance(random_state, Integral) else repr(random_state)
    outcome = {
        "gain": gain,
        "clipped_share": clipped_share,
        "coherence": float(np.abs(dictionary @ dictionary.T - np.eye(n_atoms)).max()),
        "contrast": contrast,
        "duration": duration,
    }
    return World(
        latents=_labelled(latents, "latents", ("stimulus", "atom")),
        dictionary=_labelled(dictionary, "dictionary", ("atom", "unit")),
        rates=_labelled(rates, "rates", ("stimulus", "unit"), units="Hz"),
        images=_labelled(images, "images", ("stimulus", "row", "column", "channel")),
        trials=pd.DataFrame({"start_time": starts, "stop_time": stops, "stimulus": order, "repeat": repeat}),
        spike_times=spike_times,
        facts={**sizes, **asdict(firing), "max_coherence": max_coherence, "random_state": seed, **outcome},
    )


def _labelled(values: np.ndarray, name: str, dims: tuple[str, ...], **attrs: str) -> xr.DataArray:
    sizes = dict(zip(dims, values.shape, strict=True))
    labels = {dim: np.arange(sizes[dim]) for dim in ("stimulus", "atom", "unit") if dim in sizes}
    return xr.DataArray(values, labels, dims, name, attrs)


def _warn_if_clipped(share: float, firing: Firing, n_active: int) -> None:
    if share > _CLIPPED:
        warnings.warn(
            f"{share:.1%} of the rates would be negative and were set to 0 Hz: they are no longer linear in the "
            f"latents. Lower firing.depth ({firing.depth}) or raise n_active ({n_active}).",
            DataWarning,
            stacklevel=3,
        )


def _check_settings(sizes: Mapping[str, int], max_coherence: float) -> None:
    for name, size in sizes.items():
        if size < 1:
            raise InputError(f"{name} needs at least 1; got {size}.")
    if sizes["n_active"] > sizes["n_atoms"]:
        raise InputError(f"n_active needs at most n_atoms ({sizes['n_atoms']}); got {sizes['n_active']}.")
    if not 0 < max_coherence <= 1:
        raise InputError(f"max_coherence is a |cos| and needs to lie in (0, 1]; got {max_coherence}.")


def _incoherent_atoms(n_atoms: int, n_units: int, max_coherence: float, rng: np.random.Generator) -> np.ndarray:
    atoms = np.zeros((n_atoms, n_units))
    for atom in range(n_atoms):
        for _ in range(_TRIES):
            candidate = rng.standard_normal(n_units)
            candidate /= np.linalg.norm(candidate)
            if np.abs(atoms[:atom] @ candidate).max(initial=0.0) <= max_coherence:
                break
        else:
            raise InputError(
                f"no {n_atoms} atoms over {n_units} units with |cos| <= {max_coherence} were found: {atom} fit. "
                "Raise max_coherence (1 takes any), or use fewer atoms or more units."
            )
        atoms[atom] = candidate
    return atoms


def _sparse_latents(n_stimuli: int, n_atoms: int, n_active: int, rng: np.random.Generator) -> np.ndarray:
    active = rng.permuted(np.broadcast_to(np.arange(n_atoms), (n_stimuli, n_atoms)), axis=1)[:, :n_active]
    latents = np.zeros((n_stimuli, n_atoms))
    np.put_along_axis(latents, active, rng.uniform(*_AMPLITUDES, active.shape), axis=1)
    return latents
