"""Quirks of stimuli: how a file says what a trial showed, and images that are shown seldom, never or elsewhere."""

from __future__ import annotations

from typing import Any

import h5py
import numpy as np
import pynwb
import pytest
from nwb_parts import trials, units

from neurosparse import open_nwb, population
from neurosparse.errors import DataWarning, InputError, MissingError
from neurosparse.recordings import report_of

SPIKES = units([[0.1, 0.2, 1.5, 2.5, 3.5]])
COUNTS = {"align": "trials", "reduce": "sum"}


def index_series(index: Any, times: Any, n_images: int = 4, name: str = "shown") -> Any:
    """An IndexSeries over an Images container."""

    def build(nwbfile: pynwb.NWBFile) -> None:
        stored = [pynwb.image.GrayscaleImage(name=f"im{i}", data=np.full((2, 3), 7)) for i in range(n_images)]
        order = pynwb.base.ImageReferences(name="order_of_images", data=stored)
        images = pynwb.base.Images(name=f"{name}_images", images=stored, description="d", order_of_images=order)
        nwbfile.add_stimulus_template(images)
        link = {"indexed_images": images, "timestamps": list(times)}
        nwbfile.add_stimulus(pynwb.image.IndexSeries(name=name, data=np.asarray(index, np.uint32), unit="N/A", **link))

    return build


def movie(**pixels: Any) -> Any:
    def build(nwbfile: pynwb.NWBFile) -> None:
        nwbfile.add_stimulus_template(pynwb.image.ImageSeries(name="movie", unit="n.a.", **pixels))

    return build


def relink(path: Any) -> None:
    """Let the IndexSeries number the frames of the movie, as files before NWB 2.5 do and pynwb no longer writes."""
    with h5py.File(path, "r+") as file:
        series = file["stimulus/presentation/shown"]
        del series["indexed_images"], file["stimulus/templates/shown_images"]
        series["indexed_timeseries"] = h5py.SoftLink("/stimulus/templates/movie")


def shown_by(recording: Any, **options: Any) -> list[Any]:
    return recording.spikes(**COUNTS, **options)["stimulus"].values.tolist()


def test_row_29_the_users_column_comes_first_then_names_then_the_index_series(write_nwb):
    columns = {"image_name": ["a", "b", "a"], "frame": [-1, 3, 4], "other": [7, 8, 9]}
    shown = index_series([2, 0, 1], [0.0, 1.0, 2.0])
    path = write_nwb(SPIKES, trials([0.0, 1.0, 2.0], **columns), shown)
    with open_nwb(path) as recording:
        assert shown_by(recording, stimulus="other") == [7, 8, 9]
        assert shown_by(recording) == ["a", "b", "a"]
        report = report_of(recording.spikes(**COUNTS))
        assert report.chosen["stimulus"] == "image_name"
        assert any("by its name; stimulus= names another" in text for text in report.assumed)
    for left, expected in ((["frame", "other"], [-1, 3, 4]), (["other"], [2, 0, 1])):
        path = write_nwb(SPIKES, trials([0.0, 1.0, 2.0], **{name: columns[name] for name in left}), shown)
        with open_nwb(path) as recording:
            assert shown_by(recording) == expected
    assert report_of(population_of(path)).chosen["stimulus"] == "stimulus/presentation/shown"


def population_of(path: Any) -> Any:
    with open_nwb(path) as recording:
        return recording.spikes(**COUNTS)


def test_row_29_a_column_that_names_nothing_in_some_rows_is_passed_over(write_nwb):
    path = write_nwb(SPIKES, trials([0.0, 1.0], image_name=["a", ""], frame=[-1, 5]))
    assert population_of(path)["stimulus"].values.tolist() == [-1, 5]
    path = write_nwb(SPIKES, trials([0.0, 1.0], image_name=["a", ""], number=[1, 2]))
    assert "stimulus" not in population_of(path).coords


@pytest.mark.parametrize("deprecated", [False, True])
def test_row_29_presentations_of_an_index_series_are_trials_of_their_own(write_nwb, deprecated):
    frames = movie(data=np.zeros((4, 2, 3), np.uint8), format="raw", rate=1.0)
    path = write_nwb(SPIKES, index_series([2, 0, 2], [0.0, 1.0, 2.0]), *([frames] if deprecated else []))
    if deprecated:
        relink(path)
    with open_nwb(path) as recording:
        kinds = recording.contents.set_index("path")["kind"]
        frame = recording.intervals("shown")
        x = recording.spikes(align="shown", window=(0, 1), reduce="sum")
        images = recording.stimuli()
    assert kinds["stimulus/presentation/shown"] == "presentations"
    assert frame["index"].tolist() == [2, 0, 2]
    np.testing.assert_array_equal(x[:, 0], [2, 1, 1])
    if deprecated:
        assert x["stimulus"].values.tolist() == [2, 0, 2]
    else:
        assert x["stimulus"].values.tolist() == frame["image_name"].tolist() == ["im2", "im0", "im2"]
    np.testing.assert_array_equal(x["index"], [2, 0, 2])
    assert set(x["index"].values) <= set(images["stimulus"].values)
    assert population.average(x)["n_repeats"].values.tolist() == [1, 2]


def test_row_29_a_row_that_shows_several_images_has_no_single_one(write_nwb):
    path = write_nwb(SPIKES, trials([0.0, 1.0], [1.0, 2.0]), index_series([2, 0, 1], [0.0, 0.5, 1.0]))
    assert "stimulus" not in population_of(path).coords
    two = index_series([1, 2], [0.0, 1.0]), index_series([0, 3], [0.0, 1.0], name="mask")
    x = population_of(write_nwb(SPIKES, trials([0.0, 1.0]), *two))
    assert "stimulus" not in x.coords
    assert any("left open: stimulus/presentation/mask, stimulus/presentation/shown" in a for a in report_of(x).assumed)


def test_row_29_several_columns_make_one_condition_and_blanks_one_of_their_own(write_nwb):
    parameters = {
        "orientation": [90.0, np.nan, 45.0, 90.0, np.nan],
        "contrast": ["0.8", "null", "0.8", "0.8", "null"],
        "colour": ["red", "", "", "red", "n/a"],
    }
    path = write_nwb(SPIKES, trials(np.arange(5.0), **parameters))
    with open_nwb(path) as recording:
        x = recording.spikes(**COUNTS, stimulus=["orientation", "contrast", "colour"])
        with pytest.raises(MissingError, match="'intervals/trials' has no column 'speed'"):
            recording.spikes(**COUNTS, stimulus=["orientation", "speed"])
        with pytest.raises(InputError, match=r"stimulus must be .*got \[\]"):
            recording.spikes(**COUNTS, stimulus=[])
    full = "orientation=90, contrast=0.8, colour=red"
    assert x["stimulus"].values.tolist() == [full, "blank", "orientation=45, contrast=0.8", full, "blank"]
    means = population.average(x)
    assert dict(zip(means["stimulus"].values, means["n_repeats"].values, strict=True)) == {
        full: 2,
        "blank": 2,
        "orientation=45, contrast=0.8": 1,
    }
    assert report_of(x).chosen["stimulus"] == ["orientation", "contrast", "colour"]


def test_row_29_a_column_called_stimulus_makes_one_coord_however_it_is_asked_for(write_nwb):
    path = write_nwb(SPIKES, trials([0.0, 1.0], stimulus=["x", "y"], image=[1, 2]))
    with open_nwb(path) as recording:
        ways = [recording.spikes(**COUNTS, stimulus=how) for how in (None, "stimulus")]
        other = recording.spikes(**COUNTS, stimulus="image")
        both = recording.spikes(**COUNTS, stimulus=["stimulus", "image"])
    for x in ways:
        assert x["stimulus"].values.tolist() == ["x", "y"]
        assert "trials_stimulus" not in x.coords
    assert other["trials_stimulus"].values.tolist() == ["x", "y"]
    assert both["stimulus"].values.tolist() == ["stimulus=x, image=1", "stimulus=y, image=2"]


def test_row_29_pixels_in_other_files_are_named_and_not_needed(write_nwb):
    clips = movie(
        external_file=["a.mp4", "b.mp4", "c.mp4"],
        format="external",
        timestamps=[0.0, 1.0, 2.0],
        starting_frame=[0, 1, 2],
    )
    path = write_nwb(SPIKES, trials([0.0, 1.0]), index_series([2, 0], [0.0, 1.0]), clips)
    relink(path)
    with open_nwb(path) as recording:
        x = recording.spikes(**COUNTS)
        with pytest.raises(InputError, match=r"not in this file but in 3 others: a.mp4, b.mp4, c.mp4"):
            recording.stimuli()
    assert x["stimulus"].values.tolist() == [2, 0]
    assert report_of(x).found["templates_shown"] == [2, 3]


def test_row_30_images_that_were_never_shown_are_counted(write_nwb):
    path = write_nwb(SPIKES, trials([0.0, 1.0, 2.0]), index_series([3, 0, 3], [0.0, 1.0, 2.0], n_images=9))
    x = population_of(path)
    assert x["stimulus"].values.tolist() == [3, 0, 3]
    found = report_of(x).found
    assert (found["templates"], found["templates_shown"]) == ("shown_images", [2, 9])


def test_row_30_positions_at_which_there_is_no_image_are_said(write_nwb):
    path = write_nwb(SPIKES, trials([0.0, 1.0]), index_series([1, 6], [0.0, 1.0]))
    with open_nwb(path) as recording:
        with pytest.warns(DataWarning, match="shows 1 images that 'shown_images' does not hold, first 6; it has 4"):
            x = recording.spikes(**COUNTS)
        assert recording.intervals("shown")["image_name"].tolist() == ["im1", "blank"]
    assert x["stimulus"].values.tolist() == [1, 6]
