"""Gabor energy of images: how much of each orientation and scale there is in each part, whatever its phase."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_CHUNK = 64


def gabor_energy(images: Floats, *, n_orientations: int = 6, n_scales: int = 4, n_parts: int = 4) -> Floats:
    """Amplitude of the responses of log-Gabor filters in quadrature, averaged over parts of each image.

    Parameters
    ----------
    images : (stimulus, row, column) float64 array
        Brightness.
    n_orientations, n_scales : int
        Filters, one octave apart from a quarter of a cycle a pixel downwards; as many as leave two cycles an image.
    n_parts : int
        Parts along each side.

    Returns
    -------
    (stimulus, feature) float64 array
        Scale slowest, then orientation, then part by rows.

    Notes
    -----
    O(stimulus x filter x pixel log pixel); images wrap around at their edges.

    References
    ----------
    D. Field, Journal of the Optical Society of America A 4:2379-2394 (1987).
    """
    n, height, width = images.shape
    centred = images - images.mean(axis=(1, 2), keepdims=True)
    filters = _filters(height, width, n_orientations, n_scales)
    rows, columns = (np.linspace(0, size, n_parts + 1).astype(int)[:-1] for size in (height, width))
    areas = np.outer(np.diff(np.append(rows, height)), np.diff(np.append(columns, width)))
    energy = np.empty((n, len(filters), n_parts, n_parts))
    for start in range(0, n, _CHUNK):
        spectrum = np.fft.fft2(centred[start : start + _CHUNK])
        for k, each in enumerate(filters):
            amplitude = np.abs(np.fft.ifft2(spectrum * each))
            parts = np.add.reduceat(np.add.reduceat(amplitude, rows, axis=1), columns, axis=2)
            energy[start : start + _CHUNK, k] = parts / areas
    return energy.reshape(n, -1)


def _filters(height: int, width: int, n_orientations: int, n_scales: int) -> Floats:
    """One-sided log-Gabor filters in the frequency domain, (filter, row, column)."""
    up, along = np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None]
    radius, angle = np.hypot(up, along), np.arctan2(up, along)
    log_radius = np.log(np.where(radius > 0, radius, 1.0))
    found: list[Floats] = []
    for scale in range(n_scales):
        frequency = 0.25 / 2**scale
        if frequency * min(height, width) < 2 and found:
            break
        radial = np.where(radius > 0, np.exp(-((log_radius - np.log(frequency)) ** 2) / (2 * np.log(1.8) ** 2)), 0.0)
        for k in range(n_orientations):
            away = np.angle(np.exp(1j * (angle - np.pi * k / n_orientations)))
            found.append(radial * np.exp(-(away**2) / (2 * (np.pi / n_orientations * 0.6) ** 2)))
    return np.array(found)
