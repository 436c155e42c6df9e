"""A whole comparison from a file to a folder, and what is said when the file leaves a choice open."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pynwb
import pytest
import xarray as xr
from pynwb.testing.mock.file import mock_NWBFile
from pynwb.testing.mock.ophys import mock_PlaneSegmentation

from neurosparse.cli import main
from neurosparse.comparison import Effort
from neurosparse.errors import FileError, InputError
from neurosparse.recordings.write import write_recording
from neurosparse.study import Study, load_responses, read_study, run_study, write_results

N_IMAGES, N_UNITS, N_REPEATS = 60, 6, 3


@pytest.fixture(scope="session")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six units that count how bright and red an image is; both `image` and `repeat` could number the images."""
    rng = np.random.default_rng(0)
    brightness = rng.uniform(0.2, 1, (N_IMAGES, 1, 1, 3))
    images = (255 * brightness * rng.uniform(0, 1, (N_IMAGES, 16, 16, 3))).astype(np.uint8)
    rates = 8 + 20 * brightness[:, 0, 0] @ rng.uniform(0, 1, (3, N_UNITS))
    shown = np.concatenate([rng.permutation(N_IMAGES) for _ in range(N_REPEATS)])
    start = np.arange(len(shown)) * 1.0
    counts = rng.poisson(rates[shown])
    spikes = [
        np.sort(np.concatenate([t + rng.uniform(0, 0.5, n) for t, n in zip(start, unit, strict=True)]))
        for unit in counts.T
    ]
    trials = pd.DataFrame(
        {
            "start_time": start,
            "stop_time": start + 0.5,
            "image": shown,
            "repeat": np.arange(len(shown)) // N_IMAGES,
            "tone": "none",
        }
    )
    path = tmp_path_factory.mktemp("study") / "bright.nwb"
    return write_recording(path, spike_times=spikes, intervals=trials, images=images)


@pytest.fixture(scope="session")
def study(recording: Path) -> Study:
    return Study(
        str(recording),
        stimulus="image",
        layers=["_conv_stem", "_blocks.0"],
        pool=1,
        random_networks=1,
        n_atoms=2,
        n_permutations=19,
        n_surrogates=5,
        n_bootstraps=50,
        n_folds=3,
    )


@pytest.fixture(scope="session")
def folder(study: Study, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("study") / "results"
    run_study(study, out)
    return out


def test_the_folder_holds_table_result_figure_page_and_settings(folder: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == [
        "comparison.nc",
        "comparison.png",
        "report.html",
        "study.toml",
        "table.csv",
    ]
    rows = pd.read_csv(folder / "table.csv", index_col="representation")
    assert rows.index.tolist() == ["recording", "_conv_stem", "_blocks.0"]
    assert rows.loc["_conv_stem", "r"] > 0.7, "the first layer sees how bright and how red an image is"
    assert 0.7 < rows.loc["recording", "ceiling on r"] < 1
    with xr.open_dataset(folder / "comparison.nc", engine="h5netcdf") as result:
        assert result["family"].values.tolist() == ["model", "pixels", "random weights 0"]
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "data:image/png;base64," in page
    assert "http" not in page.replace("http-equiv", ""), "the page needs no other file and no network"
    assert "r can reach" in page


def half_written(*arguments: Any, **options: Any) -> None:
    """A writer whose disk is full."""
    path = next(value for value in arguments if isinstance(value, Path))
    path.write_bytes(b"half")
    raise OSError("no space left")


@pytest.mark.parametrize(
    ("name", "writer"),
    [
        ("table.csv", "pandas.DataFrame.to_csv"),
        ("comparison.nc", "xarray.Dataset.to_netcdf"),
        ("comparison.png", "matplotlib.figure.Figure.savefig"),
    ],
)
def test_a_write_that_fails_leaves_the_old_results_whole(
    name: str, writer: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied = Path(shutil.copytree(folder, tmp_path / "results"))
    before = {path.name: path.read_bytes() for path in copied.iterdir()}
    with xr.open_dataset(folder / "comparison.nc", engine="h5netcdf") as result:
        result.load()
    settings = before["study.toml"].decode()
    monkeypatch.setattr(writer, half_written)
    with pytest.raises(OSError, match="no space left"):
        write_results(result, copied, settings=settings, title="again")
    after = {path.name: path.read_bytes() for path in copied.iterdir()}
    assert sorted(after) == sorted(before)
    assert after[name] == before[name]


def test_the_settings_written_give_the_same_study(folder: Path, study: Study) -> None:
    assert read_study(folder / "study.toml") == study


def test_the_command_repeats_a_study_and_prints_what_it_found(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        main(["compare", "--study", str(folder / "study.toml"), "--layers", "_conv_stem", "--out", str(tmp_path)]) == 0
    )
    said = capsys.readouterr()
    assert "_conv_stem predicts recording at r" in said.out
    assert "random weights 0: r" in said.out
    assert f"Table, figure, page and settings are in {tmp_path}." in said.out
    assert re.search(r"\[ *\d+ s\] control: pixels", said.err)
    again = pd.read_csv(tmp_path / "table.csv", index_col="representation")
    first = pd.read_csv(folder / "table.csv", index_col="representation")
    pd.testing.assert_series_equal(again.loc["_conv_stem"], first.loc["_conv_stem"])


def test_an_open_choice_lists_the_candidates_and_the_option(
    recording: Path, study: Study, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(InputError, match=r"image \(60 values\), repeat \(3 values\). Choose with --stimulus COLUMN"):
        load_responses(replace(study, stimulus=None))
    assert main(["compare", str(recording), "--out", str(tmp_path)]) == 1
    assert "Choose with --stimulus" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_the_one_candidate_is_found(recording: Path, study: Study) -> None:
    trials, stimuli = load_responses(study)
    assert trials.dims == ("trial", "unit")
    assert trials.shape == (N_IMAGES * N_REPEATS, N_UNITS)
    assert stimuli.sizes["stimulus"] == N_IMAGES
    half, _ = load_responses(replace(study, window=[0.0, 0.25]))
    assert 0.4 < float(half.sum() / trials.sum()) < 0.6


def test_a_file_without_what_a_comparison_needs_says_what_it_holds(tmp_path: Path, study: Study) -> None:
    bare = write_recording(tmp_path / "bare.nwb", spike_times=[np.array([0.5, 1.0])])
    with pytest.raises(FileError, match="holds no intervals"):
        load_responses(replace(study, recording=str(bare)))
    with pytest.raises(FileError, match="no_such"):
        load_responses(replace(study, recording=str(tmp_path / "no_such.nwb")))


def test_a_column_that_names_no_image_is_refused(tmp_path: Path, study: Study) -> None:
    trials = pd.DataFrame({"start_time": [0.0, 1.0], "stop_time": [0.5, 1.5], "image": [0, 7]})
    images = np.zeros((2, 4, 4, 3), np.uint8)
    path = write_recording(tmp_path / "x.nwb", spike_times=[np.array([0.1])], intervals=trials, images=images)
    with pytest.raises(InputError, match="names 1 stimuli that .* does not hold, first 7"):
        load_responses(replace(study, recording=str(path)))
    with pytest.raises(InputError, match="there is none among start_time"):
        load_responses(replace(study, recording=str(path), stimulus=None))


def test_settings_that_are_none_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    with pytest.raises(FileError, match="cannot read the study"):
        read_study(path)
    path.write_text('recording = "a.nwb"\nlayer = ["x"]\n')
    with pytest.raises(InputError, match=r"unknown settings \['layer'\]"):
        read_study(path)
    path.write_text("pool = 4\n")
    with pytest.raises(InputError, match="no setting 'recording'"):
        read_study(path)


def test_inspect_prints_what_the_file_holds(recording: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(recording)]) == 0
    said = capsys.readouterr().out
    assert "6 units" in said
    assert "180 rows" in said
    assert "60 images" in said
    assert main(["inspect", str(recording) + ".gone"]) == 1
    assert "neurosparse inspect:" in capsys.readouterr().err


class Stop(InputError):
    """Ends a run at the point where a test has seen enough."""


def test_every_setting_reaches_what_it_sets(study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}

    def stop(representations: Any, **how: Any) -> None:
        asked.update(how, representations=representations)
        raise Stop("seen")

    monkeypatch.setattr("neurosparse.study.compare", stop)
    counts = {"n_folds": 4, "n_permutations": 11, "n_bootstraps": 13, "n_surrogates": 3}
    chosen = replace(study, pool=2, pixel_size=5, random_networks=2, random_state=7, n_atoms=3, **counts)
    with pytest.raises(Stop):
        run_study(chosen, tmp_path)
    assert asked["effort"] == Effort(4, 11, 13, 3)
    assert (asked["n_atoms"], asked["random_state"]) == (3, 7)
    assert list(asked["representations"]) == ["recording", "_conv_stem", "_blocks.0"]
    trained = asked["representations"]["_conv_stem"]
    assert trained.sizes == {"stimulus": N_IMAGES, "unit": 32 * 2 * 2}
    controls = asked["controls"]
    assert list(controls) == ["pixels", "random weights 0", "random weights 1"]
    assert len(controls) == 3
    assert controls["pixels"]["pixels"].sizes["unit"] == 5 * 5 * 3
    first, second = (controls[f"random weights {seed}"]["_conv_stem"] for seed in (0, 1))
    alike = [np.allclose(one, other) for one, other in ((first, second), (first, trained), (second, trained))]
    assert not any(alike), "three networks of different weights"


def test_every_option_of_the_command_reaches_its_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Study] = []

    def stop(study: Study, out: str, **_: Any) -> None:
        asked.append(study)
        raise Stop("seen")

    monkeypatch.setattr("neurosparse.study.run_study", stop)
    options = [
        "--activity",
        "units",
        "--intervals",
        "trials",
        "--stimulus",
        "image",
        "--images",
        "shown",
        "--window",
        "-0.1",
        "0.5",
        "--network",
        "net",
        "--layers",
        "a",
        "b",
        "--pool",
        "3",
        "--random-networks",
        "2",
        "--pixel-size",
        "9",
        "--atoms",
        "6",
        "--permutations",
        "21",
        "--surrogates",
        "8",
        "--seed",
        "5",
        "--device",
        "cpu",
    ]
    expected = Study(
        "x.nwb",
        activity="units",
        intervals="trials",
        stimulus="image",
        images="shown",
        window=[-0.1, 0.5],
        network="net",
        layers=["a", "b"],
        pool=3,
        random_networks=2,
        pixel_size=9,
        n_atoms=6,
        n_permutations=21,
        n_surrogates=8,
        random_state=5,
        device="cpu",
    )
    assert main(["compare", "x.nwb", "--out", str(tmp_path), *options]) == 1
    assert asked == [expected]
    (tmp_path / "study.toml").write_text(expected.to_toml())
    written = ["compare", "--study", str(tmp_path / "study.toml"), "--out", str(tmp_path)]
    assert main([*written, "--pool", "1"]) == 1
    assert asked[-1] == replace(expected, pool=1), "what is not said stays as the study has it"


def test_images_that_were_not_shown_are_left_out(tmp_path: Path, study: Study) -> None:
    trials = pd.DataFrame({"start_time": [0.0, 1.0, 2.0], "stop_time": [0.5, 1.5, 2.5], "image": [3, 0, 3]})
    images = np.arange(5 * 16, dtype=np.uint8).reshape(5, 4, 4)
    path = write_recording(tmp_path / "x.nwb", spike_times=[np.array([0.1])], intervals=trials, images=images)
    responses, stimuli = load_responses(replace(study, recording=str(path)))
    assert stimuli["stimulus"].values.tolist() == [0, 3]
    np.testing.assert_array_equal(stimuli.squeeze("channel") if "channel" in stimuli.dims else stimuli, images[[0, 3]])
    assert responses["stimulus"].values.tolist() == [3, 0, 3]


@pytest.mark.filterwarnings("ignore:The linked table for DynamicTableRegion:UserWarning")
def test_calcium_is_averaged_over_the_frames_of_a_trial(tmp_path: Path, study: Study) -> None:
    nwbfile = mock_NWBFile()
    segmentation = mock_PlaneSegmentation(n_rois=2, nwbfile=nwbfile)
    region = segmentation.create_roi_table_region(region=[0, 1], description="all")
    frames = np.arange(60.0).reshape(30, 2)
    traces = pynwb.ophys.RoiResponseSeries(name="traces", data=frames, rois=region, unit="1", rate=10.0)
    nwbfile.processing["ophys"].add(pynwb.ophys.Fluorescence(roi_response_series=traces))
    nwbfile.add_trial_column("image", "what was shown")
    for trial in range(2):
        nwbfile.add_trial(start_time=float(trial), stop_time=trial + 0.5, image=trial)
    shown = pynwb.image.ImageSeries(name="shown", data=np.zeros((2, 4, 4), np.uint8), unit="n.a.", rate=1.0)
    nwbfile.add_stimulus_template(shown)
    with pynwb.NWBHDF5IO(tmp_path / "x.nwb", "w") as io:
        io.write(nwbfile)
    responses, _ = load_responses(replace(study, recording=str(tmp_path / "x.nwb")))
    np.testing.assert_allclose(responses, [frames[:5].mean(0), frames[10:15].mean(0)])
