"""The real recordings load right, or say why not; what is asserted was read from the files by other means."""

import numpy as np
import pytest

from neurosparse import open_nwb, population
from neurosparse.errors import DataWarning, FileError, InputError, MissingError

pytestmark = pytest.mark.data

BACK_COMPAT = [
    "1.0.2_nwbfile",
    "1.0.2_str_experimenter",
    "1.0.2_str_pub",
    "1.0.3_nwbfile",
    "1.0.3_str_experimenter",
    "1.0.3_str_pub",
    "1.1.0_nwbfile",
    "1.1.0_str_experimenter",
    "1.1.0_str_pub",
    "1.1.2_nwbfile",
    "1.1.2_str_experimenter",
    "1.1.2_str_pub",
    "1.5.1_imageseries_no_data",
    "1.5.1_imageseries_no_unit",
    "1.5.1_timeseries_no_data",
    "1.5.1_timeseries_no_unit",
    "2.1.0_imageseries_no_data",
    "2.1.0_imageseries_non_external_format",
    "2.1.0_imageseries_nonmatch_starting_frame",
    "2.1.0_nwbfile_with_extension",
    "2.2.0_subject_no_age__reference",
    "3.0.0_decompositionseries_bands_dynamic_table",
    "3.0.0_device_model_str_special_chars",
    "3.0.0_electrodes_dynamic_table",
    "3.0.0_fiber_photometry_extension",
    "3.0.0_ophys_devices_extension",
    "3.0.0_optogenetics_extension",
]
CONFLICTING = ("3.0.0_fiber_photometry_extension", "3.0.0_ophys_devices_extension", "3.0.0_optogenetics_extension")


def test_v4_counts_are_trials_with_their_images(data_file):
    with open_nwb(data_file("cowley_v4_210325.nwb")) as recording:
        x = recording.series("spike_counts", stimulus="image_index")
        images = recording.stimuli("images")
        trials = recording.intervals("trials")
        stored = recording.nwbfile.processing["ecephys"]["spike_counts"].data[:]
        with pytest.raises(MissingError, match=r"no units table. .*spike_counts \(recording.series\)"):
            recording.spikes(bin_width=0.1)
    assert x.dims == ("trial", "unit")
    assert x.shape == (4840, 50)
    np.testing.assert_array_equal(x, stored)
    np.testing.assert_array_equal(x["stimulus"], trials["image_index"])
    np.testing.assert_array_equal(x["repeat"], trials["repeat"])
    assert images.shape == (640, 112, 112, 3)
    assert set(x["stimulus"].values) == set(images["stimulus"].values) == set(range(640))
    repeats = np.bincount(x["stimulus"].values)
    assert (repeats.min(), repeats.max()) == (6, 10)
    assert x.attrs["kind"] == "spikes"
    assert "TIMES ARE NOMINAL" in population.provenance(x)["file"]["session_description"]


def mean_direction_length(counts, angle):
    """|sum of counts x unit vectors| / sum of counts, occupancy not normalised."""
    return np.abs(np.exp(1j * angle) @ counts) / counts.sum(0)


def test_head_direction_units_point_and_ca1_units_mostly_do_not(data_file):
    with open_nwb(data_file("A2929-200711_neurosuite.nwb")) as recording:
        x = recording.spikes(bin_width=0.02)
        angle = recording.series("ry")
        epochs = recording.intervals("epochs")
    assert (x.sizes["unit"], int(x.sum())) == (15, 98_794)
    assert x["area"].values.tolist() == ["adn"] * 7 + ["ca1"] * 8
    assert [list(cell) for cell in epochs["tags"]] == [["sleep"], ["wake"]]
    assert x["time"].values[[0, -1]].tolist() == pytest.approx([0.01, 1199.99])
    inside = (x["time"] >= angle["time"][0]) & (x["time"] <= angle["time"][-1])
    # the camera's clock onto the bins' by the angle's unit vectors, which do not jump at 2 pi
    turning = np.interp(x["time"][inside], angle["time"], np.unwrap(angle.values[:, 0]))
    length = mean_direction_length(x[inside.values].values.astype(float), turning)
    adn, ca1 = length[:7], length[7:]
    assert adn.min() > 0.735
    assert adn.max() < 0.955
    assert np.mean(ca1 < 0.3) > 0.5
    assert np.median(ca1) < 0.3
    shuffled = mean_direction_length(
        x[inside.values].values.astype(float), np.random.default_rng(0).permutation(turning)
    )
    # a shuffled angle leaves only its uneven occupancy, which is the same for every unit
    assert np.median(adn) > 2 * np.median(shuffled)


def test_wake_has_the_spikes_of_pynwbs_own_reading(data_file):
    with open_nwb(data_file("A2929-200711_neurosuite.nwb")) as recording:
        x = recording.spikes(align="epochs", reduce="sum")
        for unit in range(15):
            train = recording.nwbfile.units.get_unit_spike_times(unit)
            assert int(x[1, unit]) == int(((train >= 600) & (train < 1200)).sum())
    assert x.dtype == np.uint16


def test_two_photon_traces_are_turned_round_and_cells_kept(data_file):
    with open_nwb(data_file("2022_08_08.nwb")) as recording:
        stored = recording.nwbfile.processing["ophys"]["Deconvolved"]["Deconvolved"].data[:]
        with pytest.raises(InputError, match=r"3 ROI series: .*\(deconvolved\).*\(raw\).*\(neuropil\)"):
            recording.calcium()
        with pytest.warns(DataWarning, match=r"stored \(unit, time\) = \(219, 2000\).* It is transposed"):
            x = recording.calcium(kind="deconvolved", cells_only=True)
        with pytest.warns(DataWarning, match="transposed"):
            raw = recording.calcium(kind="raw")
    assert x.shape == (2000, 20)
    assert x["iscell"].values.all()
    np.testing.assert_array_equal(x, stored[x["unit_id"].values].T)
    assert float(np.mean(x == 0)) > 0.5, "sparse, as deconvolved activity is"
    assert raw.shape == (2000, 219)
    assert float(np.mean(raw[:, x["unit_id"].values] == 0)) == 0, "and the raw traces of the same cells are not"
    assert int(raw["iscell"].sum()) == 20
    assert (x.attrs["quantity"], raw.attrs["quantity"]) == ("deconvolved activity", "fluorescence")
    np.testing.assert_allclose(x["time"][:3], [0.0, 0.1, 0.2])


def test_one_photon_traces_keep_their_negative_values(data_file):
    with open_nwb(data_file("A0634-210127.nwb")) as recording:
        x = recording.calcium()
    assert x.shape == (35743, 10)
    assert float(x.min()) == pytest.approx(-11.15689)
    assert float(x["time"][-1]) == pytest.approx(1191.4, abs=0.01)
    assert (x["time"].dtype, x.attrs["quantity"]) == (np.float64, "fluorescence")


def test_behaviour_alone_says_what_there_is(data_file):
    with open_nwb(data_file("A2929-200711_basic.nwb")) as recording:
        message = "no units table. There seem to be no neural data in it. It holds .*ry.*intervals/epochs"
        with pytest.raises(MissingError, match=message):
            recording.spikes(bin_width=0.1)
        with pytest.raises(MissingError, match="no ROI series. There seem to be no neural data"):
            recording.calcium()
        with pytest.raises(MissingError, match="no interval table 'trials' .*intervals/epochs"):
            recording.intervals("trials")
        assert recording.series("ry").shape == (63527, 1)


def test_nwb_1_is_too_old(data_file):
    with pytest.raises(FileError, match=r"496908818s.nwb is NWB 1.0.5, which is too old: .* dandiarchive.org"):
        open_nwb(data_file("496908818s.nwb"))


def test_the_human_recording_is_text_and_has_a_session_in_spite_of_its_clock(data_file):
    with open_nwb(data_file("sub-4_ses-4_ecephys+image.nwb")) as recording:
        assert recording.nwbfile.trials is None
        x = recording.spikes(bin_width=0.1)
        trials = recording.spikes(align="encoding_table", window=(-1, 8), bin_width=0.5, stimulus="Clip_name")
        with pytest.raises(
            MissingError, match="'trials' .*encoding_table.*recognition_table.*timediscrimination_table"
        ):
            recording.intervals()
        with pytest.raises(InputError, match="not in this file but in 90 others: NB_24.mp4"):
            recording.stimuli()
        clips = recording.intervals("encoding_table")["Clip_name"].tolist()
    assert (x.sizes["unit"], int(x.sum())) == (35, 214_278)
    assert x.sizes["time"] < 30_000, "one event of 1921 in another series is no part of the session"
    assert set(x["area"].values) == {"hippocampus_right", "amygdala_right"}
    assert trials.shape == (90, 18, 35)
    assert trials["stimulus"].values.tolist() == clips
    assert clips[:2] == ["NB_24.mp4", "SB_23.mp4"]


def test_an_unknown_frame_rate_is_said(data_file):
    message = "exactly 1 Hz .* likely the frame index.* not in the source"
    with open_nwb(data_file("zebrafish_zf_20151104-f1.nwb")) as recording, pytest.warns(DataWarning, match=message):
        x = recording.calcium()
    assert x.shape == (4245, 114)
    assert (x.attrs["quantity"], x.attrs["units"]) == ("dF/F", "1")
    assert set(x["area"].values) == {"optic tectum"}


@pytest.mark.parametrize("name", BACK_COMPAT)
def test_every_older_file_opens_and_describes_itself(data_file, name):
    path = data_file(f"back_compat/{name}.nwb")
    if name in CONFLICTING:
        with pytest.warns(DataWarning, match="pynwb says of .*(conflict|different specification)"):
            recording = open_nwb(path)
    else:
        recording = open_nwb(path)
    with recording:
        assert path.name in repr(recording)
        held = set(recording.contents["kind"])
        if name == "3.0.0_electrodes_dynamic_table":
            assert recording.spikes(bin_width=0.1)["area"].values.tolist() == ["brain area"]
            assert recording.series("ElectricalSeries").shape == (3, 2)
        if name.endswith("no_data") or "external" in name or "starting_frame" in name:
            with pytest.raises(InputError, match="in 1 others|its values have shape"):
                recording.stimuli() if "images" in held else recording.series("test_timeseries")
