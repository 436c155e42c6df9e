"""Image stacks: lazy, indexed like numpy, named by their positions, and readable after the file is closed."""

import pickle

import numpy as np
import pynwb
import pytest

from neurosparse import open_nwb
from neurosparse.errors import FileError, InputError, MissingError

RNG = np.random.default_rng(0)
COLOUR = RNG.integers(0, 255, (6, 4, 5, 3), dtype=np.uint8)


def stack(data, name="images", **fields):
    def build(nwbfile):
        clock = {"rate": 1.0} if "timestamps" not in fields else {}
        nwbfile.add_stimulus_template(
            pynwb.image.ImageSeries(name=name, data=data, unit="n.a.", **{"format": "raw"} | clock | fields)
        )

    return build


def named(*images, order=None, name="pictures"):
    def build(nwbfile):
        stored = [pynwb.image.GrayscaleImage(name=f"im{i}", data=image) for i, image in enumerate(images)]
        references = None
        if order is not None:
            references = pynwb.base.ImageReferences(name="order_of_images", data=[stored[i] for i in order])
        nwbfile.add_stimulus_template(
            pynwb.base.Images(name=name, images=stored, description="d", order_of_images=references)
        )

    return build


def test_an_image_series_is_stimulus_row_column_channel(write_nwb):
    with open_nwb(write_nwb(stack(COLOUR))) as recording:
        x = recording.stimuli()
        assert recording.stimuli("images").identical(x)
    assert x.dims == ("stimulus", "row", "column", "channel")
    assert x.dtype == np.uint8
    np.testing.assert_array_equal(x["stimulus"], np.arange(6))
    np.testing.assert_array_equal(x, COLOUR)


def test_pixels_are_read_when_asked_for_and_outlive_the_recording(write_nwb):
    path = write_nwb(stack(COLOUR))
    with open_nwb(path) as recording:
        x = recording.stimuli()
    assert not x.variable._in_memory
    np.testing.assert_array_equal(x.sel(stimulus=[4, 1, 4]), COLOUR[[4, 1, 4]])
    assert not x.variable._in_memory
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(x))[2], COLOUR[2])
    path.unlink()
    with pytest.raises(FileError, match="cannot read images"):
        x[0].load()


@pytest.mark.parametrize(
    "key",
    [
        (2,),
        (slice(1, 5, 2),),
        (slice(None, None, -1),),
        ([5, 0, 5],),
        (slice(0, 0),),
        ([],),
        (1, slice(1, 3), 2, 0),
        ([0, 3], slice(None), slice(3, None), slice(None)),
        (slice(None), 2, slice(None), 1),
        (slice(None), [0, 2], [4, 1], slice(None)),
        (-1,),
    ],
)
def test_indexing_is_numpys(write_nwb, key):
    with open_nwb(write_nwb(stack(COLOUR))) as recording:
        x = recording.stimuli()
    keys = dict(zip(x.dims, key, strict=False))
    expected = COLOUR
    for axis, part in reversed(list(enumerate(key))):
        part = np.array(part, int) if isinstance(part, list) else part
        expected = expected[(slice(None),) * axis + (part,)]
    np.testing.assert_array_equal(x.isel(keys).values, expected)


def test_grey_images_have_one_channel(write_nwb):
    with open_nwb(write_nwb(stack(COLOUR[..., 0]))) as recording:
        np.testing.assert_array_equal(recording.stimuli(), COLOUR[..., :1])


def test_an_images_container_keeps_its_order_and_names(write_nwb):
    pictures = [RNG.random((3, 4)) for _ in range(3)]
    with open_nwb(write_nwb(named(*pictures, order=[2, 0, 1]))) as recording:
        x = recording.stimuli()
    np.testing.assert_array_equal(x[..., 0], np.stack([pictures[2], pictures[0], pictures[1]]))
    assert x["name"].values.tolist() == ["im2", "im0", "im1"]
    np.testing.assert_array_equal(x["stimulus"], [0, 1, 2])


def test_images_of_several_sizes_are_refused(write_nwb):
    path = write_nwb(named(np.zeros((3, 4)), np.zeros((4, 4))))
    message = r"one size .* the 2 there have \(3, 4, 1\), \(4, 4, 1\)"
    with open_nwb(path) as recording, pytest.raises(InputError, match=message):
        recording.stimuli()


def test_pixels_in_other_files_are_named(write_nwb):
    build = stack(
        None, external_file=["a.png", "b.png"], format="external", timestamps=[0.0, 1.0], starting_frame=[0, 1]
    )
    with open_nwb(write_nwb(build)) as recording:
        with pytest.raises(InputError, match="not in this file but in 2 others: a.png, b.png"):
            recording.stimuli()
        assert "pixels in 2 other files" in repr(recording)


def test_a_volume_is_no_image(write_nwb):
    path = write_nwb(stack(np.zeros((2, 4, 4, 9), np.uint8)))
    message = r"up to 4 channels; got shape \(2, 4, 4, 9\)"
    with open_nwb(path) as recording, pytest.raises(InputError, match=message):
        recording.stimuli()


def test_of_several_stacks_one_must_be_named_and_what_was_shown_is_preferred(write_nwb):
    def background(nwbfile):
        module = nwbfile.create_processing_module("ophys", "o")
        image = pynwb.image.GrayscaleImage(name="mean", data=np.zeros((2, 2)))
        module.add(pynwb.base.Images(name="Backgrounds", images=[image], description="d"))

    with open_nwb(write_nwb(stack(COLOUR), background)) as recording:
        assert recording.stimuli().shape == COLOUR.shape
        assert recording.stimuli("Backgrounds").shape == (1, 2, 2, 1)
    path = write_nwb(stack(COLOUR), stack(COLOUR, "more"))
    message = "2 image stacks: stimulus/templates/images, stimulus/templates/more"
    with open_nwb(path) as recording, pytest.raises(InputError, match=message):
        recording.stimuli()


def test_a_file_without_images_says_what_is_there(write_nwb):
    with open_nwb(write_nwb()) as recording:
        with pytest.raises(MissingError, match="no image stack. It holds nothing that can be loaded"):
            recording.stimuli()
        with pytest.raises(MissingError, match="no image stack 'pictures'"):
            recording.stimuli("pictures")
