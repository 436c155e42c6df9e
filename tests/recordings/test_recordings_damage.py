"""Damage that HDF5 finds, or that only a reader can find: told, never read round in silence."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from nwb_parts import replace, rois, series, units

from neurosparse import open_nwb
from neurosparse.errors import DataWarning, FileError

FRAMES = np.arange(60.0).reshape(20, 3)


@pytest.mark.parametrize("place", ["general/session_id", "session_start_time", "units/spike_times_index"])
def test_an_object_that_cannot_be_read_is_damage(write_nwb, place):
    """pynwb warns of the first and cannot build the others, for reasons that do not name them."""
    path = write_nwb(units([[0.1]]), session_id="s1")
    with h5py.File(path, "r+") as file:
        address = h5py.h5o.get_info(file[place].id).addr
    content = bytearray(path.read_bytes())
    content[address] = 0xFF  # the version of the object's header
    path.write_bytes(content)
    with pytest.raises(FileError, match=rf"is damaged: HDF5 cannot read /{place}. Fetch it again") as kept:
        open_nwb(path)
    with h5py.File(path, "r+"):
        assert kept.value.__traceback__ is not None, "the handle is released though the error still lives"


def test_a_link_to_elsewhere_may_dangle(write_nwb):
    path = write_nwb(units([[0.1]]))
    with h5py.File(path, "r+") as file:
        file["acquisition/moved"] = h5py.ExternalLink("gone.h5", "/data")
    with pytest.warns(DataWarning, match="altered/broken at /acquisition/moved"), open_nwb(path) as recording:
        assert recording.spikes(bin_width=1.0).sizes["unit"] == 1


@pytest.mark.filterwarnings("ignore:pynwb says of .* out of bounds")
@pytest.mark.parametrize("row", [7, -1])
def test_rois_that_the_segmentation_lacks_are_said(write_nwb, row):
    path = write_nwb(rois(FRAMES, 3, ids=[10, 20, 30]))
    replace(path, "processing/ophys/Fluorescence/RoiResponseSeries/rois", np.array([0, 1, row]))
    with (
        open_nwb(path) as recording,
        pytest.warns(
            DataWarning, match=rf"stands on 1 rows .* does not have, first {row} where there are 3: its units"
        ),
    ):
        x = recording.calcium()
    assert x["unit_id"].values.tolist() == [0, 1, 2]


def test_a_clock_that_cannot_be_read_is_damage_also_for_spikes(write_nwb):
    path = write_nwb(units([[0.1]]), series("wheel", FRAMES, timestamps=np.arange(20.0)))
    with h5py.File(path, "r+") as file:
        attrs = dict(file["acquisition/wheel/timestamps"].attrs)
        del file["acquisition/wheel/timestamps"]
        clock = file.create_dataset("acquisition/wheel/timestamps", data=np.arange(20.0), fletcher32=True)
        clock.attrs.update(attrs)
        place = clock.id.get_chunk_info(0).byte_offset
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    with open_nwb(path) as recording, pytest.raises(FileError, match="cannot read .*filter returned failure"):
        recording.spikes(bin_width=1.0)
