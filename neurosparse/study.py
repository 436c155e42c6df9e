"""One comparison as a TOML file of settings: settings enter, populations are made and compared, a folder is written.

``Study`` holds every choice, `run_study` carries it out. What a file leaves open (which activity, which table, which
images, which column names the stimulus) is found where there is one candidate, and listed where there are several.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import tomli_w
import xarray as xr
from matplotlib.figure import Figure

from neurosparse import plots
from neurosparse.comparison import Effort, compare, findings, table
from neurosparse.errors import FileError, InputError
from neurosparse.files import write_whole
from neurosparse.networks import activations, pixels, pretrained
from neurosparse.recordings import Recording, open_nwb
from neurosparse.report import write_report

EFFICIENTNET_LAYERS = (
    "_conv_stem",
    "_blocks.2",
    "_blocks.4",
    "_blocks.7",
    "_blocks.10",
    "_blocks.14",
)
Step = Callable[[str], None]


@dataclass(frozen=True)
class Study:
    """Every choice of one comparison of a recording with a network.

    Attributes
    ----------
    recording : str
        Path of the NWB file.
    activity, intervals, stimulus, images : str, optional
        Name or path of the units table or series, of the interval table and its column that numbers the images, and
        of the images. Found in the file where there is one candidate each.
    window : pair of float, optional
        Seconds from the start of an interval in which spikes count; the intervals themselves by default.
    network : str
        A name that `networks.pretrained` knows.
    layers : sequence of str
        Module paths of the network's layers.
    pool : int
        Maps are average-pooled to pool x pool.
    random_networks : int
        Controls of the same architecture with random weights.
    pixel_size : int
        Images are shrunk to this side for the pixel control.
    n_atoms : int, optional
        Atoms of each dictionary; by default the rule of `compare`.
    n_permutations, n_surrogates, n_bootstraps, n_folds : int
        See `comparison.Effort`.
    random_state : int
    device : str
    """

    recording: str
    activity: str | None = None
    intervals: str | None = None
    stimulus: str | None = None
    images: str | None = None
    window: Sequence[float] | None = None
    network: str = "efficientnet-lite0"
    layers: Sequence[str] = EFFICIENTNET_LAYERS
    pool: int = 4
    random_networks: int = 5
    pixel_size: int = 28
    n_atoms: int | None = None
    n_permutations: int = 200
    n_surrogates: int = 19
    n_bootstraps: int = 1000
    n_folds: int = 5
    random_state: int = 0
    device: str = "auto"

    def to_toml(self) -> str:
        """The settings as TOML; what is left open is left out."""
        return tomli_w.dumps({name: _plain(value) for name, value in asdict(self).items() if value is not None})


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def read_study(path: str | os.PathLike[str]) -> Study:
    """Read the settings that a comparison wrote beside its results.

    Raises
    ------
    FileError
        If the file is missing or is no TOML.
    InputError
        If it has settings that a study does not know, or no recording.
    """
    try:
        settings = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise FileError(f"cannot read the study {path}: {error}. Expected a TOML file of settings.") from error
    known = [field.name for field in fields(Study)]
    unknown = sorted(set(settings) - set(known))
    if unknown or "recording" not in settings:
        what = f"unknown settings {unknown}" if unknown else "no setting 'recording'"
        raise InputError(f"the study {path} has {what}; known are {known}.")
    return Study(**settings)


def load_responses(study: Study) -> tuple[xr.DataArray, xr.DataArray]:
    """The recorded trials (trial, unit), with their `stimulus`, and the images (stimulus, row, column, channel).

    Raises
    ------
    InputError
        If the file leaves a choice open; the message lists the candidates and the option that chooses.
    FileError
        If the file cannot be read or holds no activity, intervals or images.
    """
    with open_nwb(study.recording) as recording:
        contents = recording.contents
        activity = _choice(contents, ("units", "rois", "series"), study.activity, "activity", recording)
        intervals = _choice(contents, ("intervals",), study.intervals, "intervals", recording)
        images = _choice(contents, ("images",), study.images, "images", recording)
        stimuli = recording.stimuli(images).load()
        rows = recording.intervals(intervals)
        stimulus = study.stimulus or _stimulus_column(rows, stimuli.sizes["stimulus"], intervals)
        window = (study.window[0], study.window[1]) if study.window else None
        aligned: dict[str, Any] = {"align": intervals, "stimulus": stimulus}
        kind = contents.set_index("path")["kind"][activity] if activity in set(contents["path"]) else ""
        if kind == "units":
            trials = recording.spikes(table=activity, window=window, reduce="sum", **aligned)
        elif kind.startswith("rois"):
            trials = recording.calcium(activity, window=window, reduce="mean", **aligned)
        else:
            trials = recording.series(activity, **aligned)
    shown = np.unique(trials["stimulus"].values)
    unknown = np.setdiff1d(shown, stimuli["stimulus"].values)
    if len(unknown):
        raise InputError(
            f"column {stimulus!r} of {intervals!r} names {len(unknown)} stimuli that {images!r} does not hold, first "
            f"{unknown[0].item()!r}; its images are numbered 0 to {stimuli.sizes['stimulus'] - 1}. "
            "Choose another column with --stimulus."
        )
    return trials, stimuli.sel(stimulus=shown)


def _choice(contents: pd.DataFrame, kinds: Sequence[str], named: str | None, option: str, recording: Recording) -> str:
    """`named`, or the one part of these kinds."""
    if named is not None:
        return named
    found = contents[contents["kind"].str.split(" ").str[0].isin(kinds)]["path"].tolist()
    if len(found) == 1:
        return str(found[0])
    if not found:
        raise FileError(
            f"{recording.path} holds no {option} ({' or '.join(kinds)}), which a comparison needs. "
            f"It holds:\n{recording}"
        )
    raise InputError(
        f"{recording.path} holds {len(found)} candidates for {option}: {', '.join(found)}. Choose with --{option} NAME."
    )


def _stimulus_column(rows: pd.DataFrame, n_images: int, intervals: str) -> str:
    """The one column of whole numbers that can number the images."""
    candidates = [
        name
        for name, column in rows.items()
        if pd.api.types.is_integer_dtype(column) and len(column) and column.between(0, n_images - 1).all()
    ]
    if len(candidates) == 1:
        return str(candidates[0])
    found = ", ".join(f"{name} ({rows[name].nunique()} values)" for name in candidates)
    what = f"{len(candidates)} columns that could: {found}" if candidates else f"none among {', '.join(map(str, rows))}"
    raise InputError(
        f"a column of the interval table {intervals!r} must number the {n_images} images from 0; there is {what}. "
        "Choose with --stimulus COLUMN."
    )


def network_populations(
    study: Study, stimuli: xr.DataArray, *, weights: str = "pretrained", random_state: int = 0
) -> dict[str, xr.DataArray]:
    """The layers of the study's network, with its trained or with random weights, as populations."""
    module, preprocess = pretrained(study.network, weights=weights, random_state=random_state)
    return activations(module, stimuli, list(study.layers), preprocess=preprocess, pool=study.pool, device=study.device)


class _Controls(Mapping[str, Mapping[str, xr.DataArray]]):
    """Control families made when they are asked for, one at a time: five networks do not fit in memory together."""

    def __init__(self, study: Study, stimuli: xr.DataArray) -> None:
        self.study, self.stimuli = study, stimuli
        self.seeds = {f"random weights {seed}": seed for seed in range(study.random_networks)}

    def __iter__(self) -> Iterator[str]:
        return iter(["pixels", *self.seeds])

    def __len__(self) -> int:
        return 1 + len(self.seeds)

    def __getitem__(self, family: str) -> Mapping[str, xr.DataArray]:
        if family == "pixels":
            return {"pixels": pixels(self.stimuli, self.study.pixel_size)}
        return network_populations(self.study, self.stimuli, weights="random", random_state=self.seeds[family])


def run_study(study: Study, out: str | os.PathLike[str], *, on_step: Step | None = None) -> xr.Dataset:
    """Load, compare and write: ``table.csv``, ``comparison.nc``, ``comparison.png``, ``report.html``, ``study.toml``.

    Parameters
    ----------
    study : Study
    out : path-like
        Folder of the results, made if absent. Each file is written whole or not at all.
    on_step : callable, optional
        Called with the name of each stage as it begins.

    Returns
    -------
    xarray.Dataset
        What `compare` returns.
    """
    step = on_step or (lambda stage: None)
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    step(f"reading {study.recording}")
    trials, stimuli = load_responses(study)
    step(f"{study.network}: {len(study.layers)} layers of {stimuli.sizes['stimulus']} images")
    layers = network_populations(study, stimuli)
    result = compare(
        {"recording": trials, **layers},
        stimuli=stimuli,
        controls=_Controls(study, stimuli),
        n_atoms=study.n_atoms,
        effort=Effort(study.n_folds, study.n_permutations, study.n_bootstraps, study.n_surrogates),
        random_state=study.random_state,
        on_step=on_step,
    )
    step(f"writing {folder}")
    write_results(result, folder, settings=study.to_toml(), title=f"{Path(study.recording).name} and {study.network}")
    return result


def write_results(result: xr.Dataset, folder: Path, *, settings: str, title: str) -> None:
    """Write a comparison's table, netCDF, figure, page and settings into `folder`."""
    with write_whole(folder / "table.csv") as temporary:
        table(result).to_csv(temporary)
    with write_whole(folder / "comparison.nc") as temporary:
        result.to_netcdf(temporary, engine="h5netcdf")
    with write_whole(folder / "study.toml") as temporary:
        temporary.write_text(settings, encoding="utf-8")
    with _figure(result) as figure:
        with write_whole(folder / "comparison.png") as temporary:
            figure.savefig(temporary, dpi=150, bbox_inches="tight")
        write_report(
            folder / "report.html",
            title=title,
            findings=findings(result),
            tables={"Every representation": table(result).T},
            figures={"How well each layer predicts the recording, and how stable its dictionary is": figure},
            settings=settings,
        )


@contextmanager
def _figure(result: xr.Dataset) -> Iterator[Figure]:
    """The two panels of a comparison, closed when done with: pyplot keeps open figures alive."""
    figure, axes = plt.subplots(2, 1, figsize=(7.5, 7.5), layout="constrained")
    try:
        plots.plot_cross_scores(result, ax=axes[0])
        plots.plot_stability(result, ax=axes[1])
        yield figure
    finally:
        plt.close(figure)
