"""A world -> an NWB file as a laboratory would leave it: spike times, trials and pictures, without the truth.

Imports ``recordings.write``, and no reader.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd

from neurosparse.recordings.write import write_recording
from neurosparse.simulation.firing import CLOCK
from neurosparse.simulation.worlds import World

_COLUMNS = {
    "stimulus": "which stimulus was shown: 0-based frame of the stimulus template 'images'",
    "repeat": "how often this stimulus was shown before",
    "location": "brain area",
}
# The term of the NCBI taxonomy is that for synthetic constructs: no animal.
_SUBJECT = {
    "subject_id": "simulated",
    "species": "http://purl.obolibrary.org/obo/NCBITaxon_32630",
    "sex": "U",
    "age": "P0D/",
    "description": "no animal: a simulation",
}


def write_world(world: World, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
    """Write a world's spike times, trials and images, not its truth, as an NWB file.

    Parameters
    ----------
    world : World
        From ``sparse_world``.
    path : path-like
        The file to write.
    overwrite : bool
        Whether an existing file may be replaced.

    Returns
    -------
    pathlib.Path
        `path`.

    Raises
    ------
    FileError
        If `path` exists and `overwrite` is False, or its folder does not exist.

    Notes
    -----
    Reading the file back gives exactly the times of `world`: they lie on a clock of 32,768 Hz. Cost: about 1 s and
    2.3 bytes a spike, 11 MB with the defaults.
    """
    n_units = len(world.spike_times)
    return write_recording(
        path,
        spike_times=world.spike_times,
        intervals=world.trials,
        images=world.images.to_numpy(),
        units=pd.DataFrame({"location": ["simulated"] * n_units}),
        obs_intervals=[np.array([[0.0, world.facts["duration"]]])] * n_units,
        session=f"sparse_world_{world.facts['random_state']}",
        description="a simulated session: neurons that superpose sparse latents of the images shown",
        columns=_COLUMNS,
        resolution=1 / CLOCK,
        subject=_SUBJECT,
        overwrite=overwrite,
    )
