"""From the frames of a series to values in windows: read in slices, scaled, on the windows' clock.

`Series` and `Windows` enter, arrays leave.
"""

from neurosparse.recordings.frames.averaged import GAP, binned_frames, reduced_frames
from neurosparse.recordings.frames.nearest import aligned_frames
from neurosparse.recordings.frames.passing import passes
from neurosparse.recordings.frames.stored import SLACK, Frames, Source, frame_width

__all__ = [
    "GAP",
    "SLACK",
    "Frames",
    "Source",
    "aligned_frames",
    "binned_frames",
    "frame_width",
    "passes",
    "reduced_frames",
]
