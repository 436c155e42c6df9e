"""A network that sees a world's images, its weights set from the truth: what a comparison with it must find is known.

A `World` enters, a torch module leaves. The only file of this room with torch.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np
import torch
from torch import nn

from neurosparse.errors import InputError
from neurosparse.simulation import gabors
from neurosparse.simulation.worlds import World

_SCRAMBLE = 4.0


class Modulus(nn.Module):
    """Two filters in quadrature -> their length: (batch, 2 x channel, row, column) to (batch, channel, row, column)."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Root of the sum of squares of neighbouring channels."""
        return x.unflatten(1, (-1, 2)).square().sum(2).sqrt()


class Cosine(nn.Module):
    """Elementwise cosine, which folds what came in so often that little of it is left on a line."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Cosine of each entry."""
        return x.cos()


class WorldNetwork(nn.Sequential):
    """The layers of `world_network`, with the dictionary of its layer ``superposed`` as a buffer (atom, unit)."""

    dictionary: torch.Tensor

    @staticmethod
    def preprocess(batch: np.ndarray) -> torch.Tensor:
        """Images uint8 (batch, row, column, channel) -> tensor (batch, channel, row, column), grey is 0."""
        return torch.from_numpy(np.asarray(batch, dtype=np.float32) - gabors.GREY).permute(0, 3, 1, 2)


def world_network(world: World, n_units: int = 48, *, random_state: Any = 0) -> tuple[WorldNetwork, list[str]]:
    """Build a network that reads a world's latents from its images and superposes them in a dictionary of its own.

    Nothing is trained: the weights are computed from how the images were drawn. With latents z,

    - ``early``: one linear filter for each patch and phase, a convolution of stride one place. Linear in the
      pixels, so it holds what pixels hold: latents times the cosine and sine of their nuisance phase.
    - ``modulus``: the length of each pair of filters in quadrature, as complex cells do it: z itself, one unit a
      latent. An oracle, and left out of the names returned.
    - ``superposed``: ``z @ D'``, D' a random dictionary of `n_units` units. Linear in the latents, and so in any
      population that is, up to the directions that so few units cannot carry.
    - ``scrambled``: the cosine of a strong random projection of ``superposed``. It knows as much and shows none of it
      to a linear map.

    Parameters
    ----------
    world : World
        From ``sparse_world``.
    n_units : int
        Units of ``superposed`` and ``scrambled``.
    random_state : int, numpy SeedSequence or Generator, or None
        Seed of the network's dictionary and scramble; never the world's own dictionary, even with the same seed.

    Returns
    -------
    module : WorldNetwork
        In evaluation mode, float32, on the CPU. ``module.preprocess`` takes uint8 images; ``module.dictionary`` is D',
        (atom, unit).
    layers : list of str
        ``["early", "superposed", "scrambled"]``.

    Raises
    ------
    InputError
        If `n_units` is below 1.

    Notes
    -----
    What a linear map from ``superposed`` to noise-free units can explain is about ``n_units / n_atoms`` of their
    variance, .75 with the defaults; from ``early`` about .41.

    References
    ----------
    Adelson and Bergen (1985), energy of filters in quadrature.
    """
    if n_units < 1:
        raise InputError(f"n_units needs at least 1; got {n_units}.")
    n_atoms = world.latents.sizes["atom"]
    # The sixth stream: a world of the same seed takes the first five.
    rng = np.random.default_rng(random_state).spawn(6)[5]
    dictionary = rng.standard_normal((n_atoms, n_units))
    dictionary /= np.linalg.norm(dictionary, axis=1, keepdims=True)
    drive = world.latents.to_numpy() @ dictionary
    scramble = _SCRAMBLE * rng.standard_normal((n_units, n_units)) / np.linalg.norm(drive.std(axis=0))
    # Layers draw initial weights before they are given these: the global generator must not notice.
    with torch.random.fork_rng(devices=[]):
        layers = OrderedDict(
            early=_quadrature_filters(world.facts["contrast"]),
            modulus=Modulus(),
            flatten=nn.Flatten(),
            superposed=_linear(_by_channel(dictionary)),
            project=_linear(scramble, bias=rng.uniform(0, 2 * np.pi, n_units)),
            scrambled=Cosine(),
        )
    module = WorldNetwork(layers)
    module.register_buffer("dictionary", torch.from_numpy(dictionary).float())
    return module.eval().requires_grad_(False), ["early", "superposed", "scrambled"]


def _quadrature_filters(contrast: float) -> nn.Conv2d:
    """Least-squares filters: on a picture they give each patch's contrast times (cos, sin) of its phase, exactly."""
    patches = gabors.templates()  # (orientation, phase, row, column, channel)
    n_filters = patches.shape[0] * patches.shape[1]
    filters = np.linalg.pinv(patches.reshape(n_filters, -1)).T / contrast
    layer = nn.Conv2d(3, n_filters, gabors.CELL, stride=gabors.CELL, bias=False)
    kernels = filters.reshape(n_filters, gabors.CELL, gabors.CELL, 3).transpose(0, 3, 1, 2)
    layer.weight.data = torch.from_numpy(np.ascontiguousarray(kernels)).float()
    return layer


def _by_channel(dictionary: np.ndarray) -> np.ndarray:
    """Rows of `dictionary` in the order of the flattened map (orientation, place); zeros where no latent sits."""
    n_places = gabors.grid_side(len(dictionary)) ** 2
    padded = np.zeros((n_places * gabors.N_ORIENTATIONS, dictionary.shape[1]))
    padded[: len(dictionary)] = dictionary
    return padded.reshape(n_places, gabors.N_ORIENTATIONS, -1).swapaxes(0, 1).reshape(len(padded), -1)


def _linear(weights: np.ndarray, bias: np.ndarray | None = None) -> nn.Linear:
    layer = nn.Linear(weights.shape[0], weights.shape[1], bias=bias is not None)
    layer.weight.data = torch.from_numpy(np.ascontiguousarray(weights.T)).float()
    if bias is not None:
        layer.bias.data = torch.from_numpy(bias).float()
    return layer
