"""The whole main job on a world whose truth is known, in a minute: simulate, write NWB, read, analyse, compare.

The analysis sees the NWB file alone. The truth comes back in only to be printed beside what was found.
"""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import xarray as xr

from neurosparse import population
from neurosparse.comparison import Effort, compare, findings
from neurosparse.errors import EvidenceWarning
from neurosparse.networks import activations
from neurosparse.recordings import open_nwb
from neurosparse.simulation import World, sparse_world, world_network, write_world
from neurosparse.sparse_coding import DictionaryLearning, dictionary_recovery
from neurosparse.study import write_results

Step = Callable[[str], None]
_N_STIMULI = 1200
_EFFORT = Effort(n_permutations=50, n_bootstraps=200, n_surrogates=5, n_splits=50, n_score_bootstraps=100)


def run_demo(out: str | os.PathLike[str] | None = None, *, random_state: int = 0, on_step: Step | None = None) -> str:
    """Simulate a recording, analyse its file, and say what was found beside the truth.

    Parameters
    ----------
    out : path-like, optional
        Folder that keeps the recording and the results; by default the recording is thrown away.
    random_state : int
        Seed of the world, its network and the analysis.
    on_step : callable, optional
        Called with the name of each stage as it begins.

    Returns
    -------
    str
        The findings, for a person to read.

    Notes
    -----
    The dictionary learner is told how many atoms to look for, twice the number of units, and nothing else: neither
    how many are active at once nor a penalty.
    """
    step = on_step or (lambda stage: None)
    with _folder(out) as folder:
        step("simulating a recording")
        world = sparse_world(n_stimuli=_N_STIMULI, random_state=random_state)
        path = write_world(world, folder / "demo.nwb", overwrite=True)
        step(f"reading {path.name} back")
        with open_nwb(path) as recording:
            trials = recording.spikes(align="trials", reduce="sum", stimulus="stimulus")
            images = recording.stimuli().load()
        step("learning the dictionary")
        recovery = recover_dictionary(world, trials, random_state=random_state)
        step("a network that sees the same images")
        module, layers = world_network(world, random_state=random_state)
        seen = activations(module, images, layers, preprocess=module.preprocess, progress=False)
        result = compare(
            {"recording": trials, **seen}, stimuli=images, effort=_EFFORT, random_state=random_state, on_step=on_step
        )
        if out is not None:
            settings = f"# neurosparse demo --seed {random_state}\n"
            write_results(result, folder, settings=settings, title="A simulated recording and a network")
    return _text(world, recovery, result)


def recover_dictionary(world: World, trials: xr.DataArray, *, random_state: int = 0) -> xr.Dataset:
    """Learn a dictionary from recorded trials, and hold it against the world's own.

    Responses are averaged over repeats and measured in units of trial-noise sd, so the true atoms are too.
    """
    responses = population.scale_by_noise(trials)
    with warnings.catch_warnings():
        # It warns of more atoms than units, which is the very claim that the truth decides here.
        warnings.simplefilter("ignore", EvidenceWarning)
        learner = DictionaryLearning(2 * responses.sizes["unit"], random_state=random_state).fit(responses)
    truth = world.dictionary.values / responses["noise_sd"].values
    return dictionary_recovery(learner.dictionary_.values, truth, x=responses)


@contextmanager
def _folder(out: str | os.PathLike[str] | None) -> Iterator[Path]:
    if out is not None:
        folder = Path(out)
        folder.mkdir(parents=True, exist_ok=True)
        yield folder
        return
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def _text(world: World, recovery: xr.Dataset, result: xr.Dataset) -> str:
    facts, told = world.facts, result.sel(representation=result.attrs["reference"])
    superposed, scrambled = (result.sel(representation=name) for name in ("superposed", "scrambled"))
    lines = [
        "The world: "
        f"{facts['n_atoms']} latents, {facts['n_active']} active in each of {facts['n_stimuli']} images, superposed in "
        f"{facts['n_units']} spiking units, {facts['n_repeats']} trials an image.",
        "",
        "Its dictionary, learned from the spikes of the NWB file; told the number of atoms, not sparsity or penalty:",
        f"  found   {float(recovery['share_above_90']):.0%} of the {facts['n_atoms']} atoms at |cos| >= .9, mean "
        f"{float(recovery['mean_cosine']):.3f}",
        f"  chance  {float(recovery['chance_above_90'].max()):.0%}, mean {float(recovery['chance'].max()):.3f} "
        "(the highest of random, shuffled and Gaussian dictionaries)",
        f"  {told['verdict'].item()}: stability {float(told['stability']):z.2f}, Gaussians of equal covariance "
        f"{float(told['stability_surrogate']):z.2f}",
        "",
        "The network that sees the same images, built so that its layer 'superposed' is linear in the same latents and "
        "'scrambled' is not:",
        f"  superposed predicts the recording at r {float(superposed['r']):z.2f} (null "
        f"{float(superposed['r_null']):z.2f}; ceiling {float(told['ceiling']):z.2f})",
        f"  scrambled  predicts it at r {float(scrambled['r']):z.2f} (null {float(scrambled['r_null']):z.2f})",
        "",
        "All that was measured:",
        *(f"  {line}" for line in findings(result)),
    ]
    return "\n".join(lines)
