"""Pictures of latents: every latent is a coloured grating patch at its own place and orientation.

Arrays enter and leave; it imports numpy and nothing of the package.

A picture is a grid of square places of ``CELL`` pixels, each with one patch an orientation. Latent j sits at place
``j // N_ORIENTATIONS`` and has orientation ``j % N_ORIENTATIONS``; its value is the patch's contrast. The phase of
the grating is a nuisance that changes from picture to picture, so no linear map of pixels gives the latents, while
the modulus of two filters in quadrature does.
"""

from __future__ import annotations

import numpy as np

CELL = 12
N_ORIENTATIONS = 4
GREY = 128.0
_WAVELENGTH = 5.0
# One colour axis an orientation, in (red, green, blue): which way a bright bar differs from grey.
_COLOURS = np.array([[1.0, 0.45, -0.35], [-0.35, 0.9, 0.5], [0.75, -0.35, 1.0], [1.0, 1.0, 0.55]])


def templates() -> np.ndarray:
    """The patches (orientation, phase, row, column, channel): phase 0 is even, phase 1 odd, peak near 1."""
    axis = np.arange(CELL) - (CELL - 1) / 2
    row, column = np.meshgrid(axis, axis, indexing="ij")
    # A disc with soft borders, 0 at the edge of the place, so that places do not overlap.
    radius = np.hypot(row, column) / (CELL / 2)
    window = np.cos(np.pi / 2 * np.clip(2 * radius - 1, 0, 1)) ** 2
    angles = np.pi * np.arange(N_ORIENTATIONS) / N_ORIENTATIONS
    along = np.cos(angles)[:, None, None] * column + np.sin(angles)[:, None, None] * row
    carrier = np.stack([np.cos(2 * np.pi * along / _WAVELENGTH), np.sin(2 * np.pi * along / _WAVELENGTH)], axis=1)
    return (window * carrier)[..., None] * _COLOURS[:, None, None, None, :]


def grid_side(n_latents: int) -> int:
    """Places along one side of the picture."""
    return int(np.ceil(np.sqrt(np.ceil(n_latents / N_ORIENTATIONS))))


def draw(latents: np.ndarray, phases: np.ndarray) -> tuple[np.ndarray, float]:
    """Superpose the patches of all latents.

    Parameters
    ----------
    latents : (stimulus, latent)
        Contrasts, non-negative.
    phases : (stimulus, latent)
        Phases of the gratings in radians.

    Returns
    -------
    images : uint8 (stimulus, row, column, channel)
        Grey, plus `contrast` times the superposed patches.
    contrast : float
        Grey levels a unit of latent: the largest at which no pixel of these pictures clips.
    """
    n_stimuli, n_latents = latents.shape
    side = grid_side(n_latents)
    patches = templates().reshape(2 * N_ORIENTATIONS, -1).astype(np.float32)  # (orientation x phase, pixel)
    weights = np.zeros((n_stimuli, side * side * N_ORIENTATIONS, 2), dtype=np.float32)
    weights[:, :n_latents, 0] = latents * np.cos(phases)
    weights[:, :n_latents, 1] = latents * np.sin(phases)
    places = weights.reshape(n_stimuli, side * side, -1)  # (stimulus, place, orientation x phase)
    # Place by place: all places of all stimuli in float would be several times the pictures.
    peak = max(float(np.abs(places[:, place] @ patches).max()) for place in range(side * side))
    contrast = (GREY - 1) / peak
    images = np.empty((n_stimuli, side, CELL, side, CELL, 3), dtype=np.uint8)
    for place in range(side * side):
        levels = np.rint(GREY + contrast * (places[:, place] @ patches)).astype(np.uint8)
        images[:, place // side, :, place % side] = levels.reshape(n_stimuli, CELL, CELL, 3)
    return images.reshape(n_stimuli, side * CELL, side * CELL, 3), contrast
