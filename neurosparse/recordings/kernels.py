"""Smoothing of counts into rates by a named kernel, over the bins that were observed.

Arrays enter and leave. Imports numpy and scipy alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np
from scipy import ndimage, signal, special

from neurosparse.errors import InputError

KERNELS = ("gaussian", "boxcar", "half-gaussian", "exponential")
# A Gaussian ends this many standard deviations out, an exponential this many time constants: 6e-5 and 5e-5 are lost.
REACH = {"gaussian": 4.0, "half-gaussian": 4.0, "exponential": 10.0, "boxcar": 0.5}
# More taps than this are convolved by Fourier transform.
FOURIER = 64


@dataclass(frozen=True)
class Kernel:
    """Weights of the bins around each bin, summing to 1.

    Attributes
    ----------
    name : str
    seconds : float
        Standard deviation, full width or time constant.
    weights : numpy.ndarray
        Weight of the count `before` bins ago first, that of `after` bins ahead last.
    before, after : int
        Bins on either side; a causal kernel has none after.
    """

    name: str
    seconds: float
    weights: np.ndarray
    before: int
    after: int


def make_kernel(asked: Any, bin_width: float) -> Kernel:
    """The kernel of a pair ``(name, seconds)``, in bins of `bin_width` seconds.

    ``gaussian`` (seconds: standard deviation) and ``boxcar`` (full width) are symmetric: a bin also sees what comes
    after it. ``half-gaussian`` (standard deviation) and ``exponential`` (time constant) are causal: a spike raises the
    rate of its own bin and of later ones only. A weight is the kernel's mass within the bin at that lag.

    Raises
    ------
    InputError
        If it is no such pair.
    """
    try:
        name, seconds = asked
        name, seconds = str(name), float(seconds)
    except (TypeError, ValueError):
        name, seconds = "", np.nan
    if name not in KERNELS or not (np.isfinite(seconds) and seconds > 0):
        raise InputError(
            f"kernel must be a name and seconds, such as ('gaussian', 0.05), of {', '.join(KERNELS)}; got {asked!r}."
        )
    reach = max(ceil(REACH[name] * seconds / bin_width), 1)
    symmetric = name in ("gaussian", "boxcar")
    lags = np.arange(-reach, reach + 1) if symmetric else np.arange(reach + 1)
    edges = (lags - 0.5) * bin_width if symmetric else lags * bin_width
    weights = _mass(name, edges + bin_width, seconds) - _mass(name, edges, seconds)
    return Kernel(name, seconds, weights[::-1] / weights.sum(), reach, reach if symmetric else 0)


def _mass(name: str, until: np.ndarray, seconds: float) -> np.ndarray:
    """Integral of a kernel up to a lag in seconds, up to a factor."""
    if name == "boxcar":
        return np.clip(until / seconds, -0.5, 0.5)
    if name == "exponential":
        return -np.exp(-until / seconds)
    return special.ndtr(until / seconds)


def smooth(counts: np.ndarray, hidden: np.ndarray | None, kernel: Kernel) -> np.ndarray:
    """Weighted mean count around each bin.

    Parameters
    ----------
    counts : (trial, before + time + after) array
        With the bins on either side that the kernel needs.
    hidden : bool array of that shape, or None
        Bins that were not observed: they weigh nothing, the others the more.
    kernel : Kernel

    Returns
    -------
    numpy.ndarray
        Shape (trial, time), float64; NaN where the bin itself is hidden.
    """
    inner = slice(kernel.before, counts.shape[1] - kernel.after)
    if hidden is None or not hidden.any():
        return _convolved(counts.astype(np.float64), kernel)
    seen = (~hidden).astype(np.float64)
    above, below = _convolved(np.where(hidden, 0.0, counts), kernel), _convolved(seen, kernel)
    return np.divide(above, below, out=np.full(above.shape, np.nan), where=~hidden[:, inner])


def _convolved(values: np.ndarray, kernel: Kernel) -> np.ndarray:
    """Sums of `values` (trial, padded time) under the kernel, where it fits whole: (trial, time)."""
    taps = len(kernel.weights)
    if taps > FOURIER:
        return np.maximum(signal.oaconvolve(values, kernel.weights[None, ::-1], mode="valid", axes=1), 0.0)
    first = taps // 2
    whole = ndimage.correlate1d(values, kernel.weights, axis=1, mode="constant")
    return whole[:, first : first + values.shape[1] - taps + 1]
