"""Frames that windows ask for, each read once, in blocks of bounded size."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from neurosparse.recordings.frames.stored import Source

# Bytes of frames that are read at once where windows overlap.
BLOCK = 2**24
# Windows fewer frames apart than this are read together: a read costs more than a few frames that nobody needs.
NEAR = 32


def passes(
    frames: Source, lows: np.ndarray, highs: np.ndarray, gap: int = NEAR
) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Each frame that lies in some window ``low <= frame < high``, read once, in blocks of bounded size.

    Parameters
    ----------
    frames : Source
    lows, highs : (window,) arrays of int
    gap : int
        Windows no further apart than this many frames are read together.

    Yields
    ------
    first : int
        The first frame of the block.
    block : numpy.ndarray
        Shape (time, unit).
    windows : numpy.ndarray of int
        The windows that reach into it.
    """
    size = max(BLOCK // max(8 * frames.n_units, 1), 1)
    grain = getattr(frames, "grain", 1)
    for windows in joined(lows, highs, gap):
        first, end = int(lows[windows[0]]), int(highs[windows].max())
        while first < end:
            last = min(-(-(first + size) // grain) * grain, end)
            inside = windows[(lows[windows] < last) & (highs[windows] > first)]
            yield first, frames.read(first, last), inside
            first = last


def joined(lows: np.ndarray, highs: np.ndarray, gap: int = 0) -> list[np.ndarray]:
    """Windows that overlap, or lie within `gap` frames, in groups by rising `lows`; empty windows are in none."""
    order = np.argsort(lows, kind="stable")
    order = order[highs[order] > lows[order]]
    if not len(order):
        return []
    reach = np.maximum.accumulate(highs[order])
    return np.split(order, np.flatnonzero(lows[order][1:] >= reach[:-1] + gap) + 1)
