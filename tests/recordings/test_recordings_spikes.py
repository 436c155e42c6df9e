"""Units tables of files written here: every count is known beforehand."""

import warnings

import numpy as np
import pynwb
import pytest
from nwb_parts import rois, trials, units

from neurosparse import open_nwb, population
from neurosparse.errors import DataWarning, InputError, MissingError


@pytest.fixture
def small(write_nwb):
    """Three units, the second silent, and three trials of which two overlap; the last ends with the session."""
    trains = [[0.1, 0.3, 0.95, 1.2, 2.5, 9.9], [], [1.1, 1.15, 9.5]]
    columns = {"quality": ["good", "bad", "good"], "depth": [10.0, 20.0, 30.0], "area": ["V4", "V1", "V4"]}
    return write_nwb(units(trains, ids=[7, 8, 9], **columns), trials([0.0, 1.0, 1.1, 9.0], image=[3, 5, 3, 5]))


def test_counts_over_the_session(small):
    with open_nwb(small) as recording:
        x = recording.spikes(bin_width=1.0)
    assert x.dims == ("time", "unit")
    np.testing.assert_array_equal(x.sel(unit=7), [3, 1, 1, 0, 0, 0, 0, 0, 0, 1])
    np.testing.assert_array_equal(x.sel(unit=9), [0, 2, 0, 0, 0, 0, 0, 0, 0, 1])
    np.testing.assert_array_equal(x["time"], np.arange(10) + 0.5)
    assert x["time"].dtype == np.float64
    assert x.dtype == np.uint16


def test_trials_may_overlap_and_each_keeps_its_spikes(small):
    with open_nwb(small) as recording:
        x = recording.spikes(bin_width=0.5, align="trials", window=(0, 1), stimulus="image")
    assert x.dims == ("trial", "time", "unit")
    np.testing.assert_array_equal(x.sel(unit=7), [[2, 1], [1, 0], [1, 0], [0, 1]])
    np.testing.assert_array_equal(x.sel(unit=9), [[0, 0], [2, 0], [2, 0], [0, 1]])
    np.testing.assert_array_equal(x["time"], [0.25, 0.75])
    np.testing.assert_array_equal(x["stimulus"], [3, 5, 3, 5])
    np.testing.assert_array_equal(x["image"], [3, 5, 3, 5])
    np.testing.assert_array_equal(x["start_time"], [0.0, 1.0, 1.1, 9.0])
    np.testing.assert_array_equal(x["stop_time"], [1.0, 2.0, 2.1, 10.0])


def test_reductions_are_sum_mean_and_rate_of_the_same_window(small):
    with open_nwb(small) as recording:
        request = {"align": "trials", "window": (0, 0.5)}
        binned = recording.spikes(bin_width=0.1, **request)
        total = recording.spikes(reduce="sum", **request)
        mean = recording.spikes(reduce="mean", bin_width=0.1, **request)
        rate = recording.spikes(reduce="rate", **request)
    np.testing.assert_array_equal(total, [[2, 0, 0], [1, 0, 2], [1, 0, 2], [0, 0, 0]])
    np.testing.assert_array_equal(total, binned.sum("time"))
    np.testing.assert_allclose(mean, binned.mean("time"))
    np.testing.assert_allclose(rate, total / 0.5)
    assert (total.attrs["quantity"], rate.attrs["quantity"], rate.attrs["units"]) == (
        "spike count",
        "firing rate",
        "Hz",
    )
    assert total.dtype == np.uint16


def test_without_a_window_each_row_has_its_own_extent(write_nwb):
    path = write_nwb(units([[0.1, 0.2, 1.5, 3.9]]), trials([0.0, 1.0, 3.0], [0.15, 3.0, 3.0]))
    with open_nwb(path) as recording:
        total = recording.spikes(align="trials", reduce="sum")
        with pytest.warns(DataWarning, match="1 of 3 windows are of zero length: their rate is NaN"):
            rate = recording.spikes(align="trials", reduce="rate")
    np.testing.assert_array_equal(total[:, 0], [1, 1, 0])
    np.testing.assert_allclose(rate[:, 0], [1 / 0.15, 0.5, np.nan])


def test_align_on_another_column_drops_rows_without_a_time(write_nwb):
    path = write_nwb(units([[0.5, 1.5, 2.5]]), trials([0, 1, 2], go_cue=[0.4, np.nan, 2.4]))
    with open_nwb(path) as recording, pytest.warns(DataWarning, match=r"1 of 3 rows .* no finite 'go_cue'"):
        x = recording.spikes(align=("trials", "go_cue"), window=(0, 0.2), reduce="sum")
    np.testing.assert_array_equal(x[:, 0], [1, 1])
    np.testing.assert_array_equal(x["trial"], [0, 2])
    np.testing.assert_array_equal(x["go_cue"], [0.4, 2.4])


def test_windows_that_leave_the_session_are_nan_and_counted(small):
    with open_nwb(small) as recording, pytest.warns(DataWarning, match=r"6 of 36 .* 3 of 3 units and 2 of 4 trials"):
        x = recording.spikes(bin_width=1.0, align="trials", window=(-1, 2))
        # the session runs from the first trial at 0 s to the end of the last at 10 s
    assert x.dtype == np.float32
    np.testing.assert_array_equal(x.sel(unit=7), [[np.nan, 3, 1], [3, 1, 1], [3, 1, 1], [0, 1, np.nan]])


def test_fully_observed_counts_stay_small_integers(write_nwb):
    path = write_nwb(units([[0.5]], obs=[[[0.0, 3.0]]]))
    with open_nwb(path) as recording:
        x = recording.spikes(bin_width=1.0)
    np.testing.assert_array_equal(x[:, 0], [1, 0, 0])
    assert x.dtype == np.uint16


def test_what_was_dropped_stands_in_the_provenance(write_nwb):
    path = write_nwb(units([[0.5, np.nan, 1.5]]))
    with open_nwb(path) as recording, warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        facts = population.provenance(recording.spikes(bin_width=1.0))
    assert facts["warned"] == ["1 spike times of 1 units are NaN or infinite and are dropped (units 0)."]
    assert facts["file"]["identifier"] == "test-file"
    assert facts["chosen"]["units_table"] == "units"
    assert "spans all spikes" in facts["assumed"][0]


def test_duplicate_ids_get_labels_of_their_own(write_nwb):
    path = write_nwb(units([[0.1], [0.2, 0.3], [0.4]], ids=[3, 3, 5]))
    with open_nwb(path) as recording:
        with pytest.warns(DataWarning, match="1 of 3 ids of 'units' are repeats"):
            x = recording.spikes(bin_width=1.0)
        with pytest.warns(DataWarning, match="repeats"):
            both = recording.spikes(bin_width=1.0, units=[3])
    assert list(x["unit"].values) == ["3", "3-2", "5"]
    np.testing.assert_array_equal(x["unit_id"], [3, 3, 5])
    np.testing.assert_array_equal(both.values, [[1, 2]])


def test_units_are_chosen_by_query_or_ids(small):
    with open_nwb(small) as recording:
        good = recording.spikes(bin_width=1.0, units="area == 'V4' and depth > 15")
        named = recording.spikes(bin_width=1.0, units=[9, 7])
    np.testing.assert_array_equal(good["unit_id"], [9])
    np.testing.assert_array_equal(named["unit_id"], [9, 7])
    np.testing.assert_array_equal(named.sum("time"), [3, 6])


def test_scalar_columns_become_coords_and_reserved_names_are_kept_apart(write_nwb):
    path = write_nwb(
        units([[0.1], [0.2]], time=[1, 2], snr=[2.0, 3.0], good=[True, False]), trials([0.0], trial=[5], snr=[1.0])
    )
    with open_nwb(path) as recording:
        x = recording.spikes(align="trials", reduce="sum")
    np.testing.assert_array_equal(x["units_time"], [1, 2])
    np.testing.assert_array_equal(x["snr"], [2.0, 3.0])
    np.testing.assert_array_equal(x["good"], [True, False])
    np.testing.assert_array_equal(x["trials_trial"], [5])
    np.testing.assert_array_equal(x["trials_snr"], [1.0])
    chosen = population.provenance(x)["chosen"]
    assert chosen["units_columns_renamed"] == {"time": "units_time"}
    assert chosen["trials_columns_renamed"] == {"trial": "trials_trial", "snr": "trials_snr"}


def electrodes(nwbfile, locations):
    device = nwbfile.create_device("probe")
    group = nwbfile.create_electrode_group("shank", "shank", location="GROUP", device=device)
    for location in locations:
        nwbfile.add_electrode(group=group, location=location)
    return group


@pytest.mark.parametrize(
    ("locations", "column", "areas", "source"),
    [
        (["V4", "V4", "IT"], None, ["V4", "IT"], "electrodes"),
        (["unknown", "n/a", "unknown"], None, ["GROUP", "GROUP"], "electrode_group"),
        (["V4", "V4", "IT"], "area", ["a", "b"], "area"),
        (["V4", "V4", "IT"], "region", ["V4", "IT"], "electrodes"),
    ],
)
def test_area_comes_from_the_best_source(write_nwb, locations, column, areas, source):
    def build(nwbfile):
        group = electrodes(nwbfile, locations)
        if column:
            nwbfile.add_unit_column(column, column)
        for name, places in zip("ab", ([0, 1, 2], [2]), strict=True):
            extra = {column: name} if column else {}
            nwbfile.add_unit(spike_times=[0.1], electrodes=places, electrode_group=group, **extra)

    several = locations[0] == "V4"
    with open_nwb(write_nwb(build)) as recording, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        x = recording.spikes(bin_width=1.0)
    assert list(x["area"].values) == areas
    assert population.provenance(x)["chosen"]["area_source"] == source
    said = [str(one.message) for one in caught]
    assert any("1 of 2 units of 'units' lie on electrodes of several areas" in text for text in said) == (
        several and source == "electrodes"
    )
    assert list(x["electrode_group"].values) == ["shank", "shank"]


def test_area_is_empty_where_nothing_states_it(write_nwb):
    with open_nwb(write_nwb(units([[0.1]]))) as recording:
        assert recording.spikes(bin_width=1.0)["area"].values.tolist() == [""]
        assert "areas: not stated" in repr(recording)


def test_a_stated_resolution_makes_spikes_whole_samples(write_nwb):
    """Spikes stored to the microsecond at 30 kHz: 1 / 30000 s is stored below itself, and still opens its bin."""

    def build(nwbfile):
        nwbfile.units = pynwb.misc.Units(name="units", description="d", resolution=1 / 30000)
        nwbfile.add_unit(spike_times=[0.000033, 0.0001, 0.000133])

    with open_nwb(write_nwb(build)) as recording:
        x = recording.spikes(bin_width=1 / 30000, window=(0.0, 5 / 30000))
    np.testing.assert_array_equal(x[:, 0], [0, 1, 0, 1, 1])
    assert population.provenance(x)["chosen"]["clock"] == "samples at 30000 Hz"


def test_a_wrong_resolution_is_not_used(write_nwb):
    def build(nwbfile):
        nwbfile.units = pynwb.misc.Units(name="units", description="d", resolution=1.0)
        nwbfile.add_unit(spike_times=[0.25, 0.75])

    with open_nwb(write_nwb(build)) as recording, pytest.warns(DataWarning, match="no multiples of it"):
        x = recording.spikes(bin_width=0.5)
    np.testing.assert_array_equal(x[:, 0], [1, 1])


def test_a_sampling_rate_may_be_given(write_nwb):
    with open_nwb(write_nwb(units([[0.001, 0.002]]))) as recording:
        x = recording.spikes(bin_width=0.001, sampling_rate=1000, window=(0, 0.003))
        assert x.values.ravel().tolist() == [0, 1, 1]
        with pytest.raises(InputError, match="no whole samples at sampling_rate=300 Hz"):
            recording.spikes(bin_width=0.001, sampling_rate=300)
        with pytest.raises(InputError, match="positive number of samples a second"):
            recording.spikes(bin_width=0.001, sampling_rate=0)


def test_a_window_without_align_is_of_the_recording(small):
    with open_nwb(small) as recording:
        x = recording.spikes(bin_width=0.5, window=(1.0, 2.5))
    np.testing.assert_array_equal(x.sel(unit=7), [1, 0, 0])
    np.testing.assert_array_equal(x["time"], [1.25, 1.75, 2.25])


def test_a_last_spike_on_an_edge_gets_a_bin(write_nwb):
    with open_nwb(write_nwb(units([[0.5, 3.0]]))) as recording:
        np.testing.assert_array_equal(recording.spikes(bin_width=1.0)[:, 0], [1, 0, 0, 1])


def test_a_file_in_which_nothing_fired(write_nwb):
    with open_nwb(write_nwb(units([[], []]), trials([0.0, 1.0]))) as recording:
        x = recording.spikes(bin_width=0.5)
        y = recording.spikes(align="trials", reduce="sum")
    np.testing.assert_array_equal(x, np.zeros((4, 2)))
    np.testing.assert_array_equal(y, np.zeros((2, 2)))


def test_a_file_without_any_time_says_so(write_nwb):
    with open_nwb(write_nwb(units([[], []]))) as recording, pytest.raises(InputError, match="states no time at all"):
        recording.spikes(bin_width=0.5)


def test_counts_agree_with_pynwbs_own_reading(write_nwb):
    """An independent way: pynwb's interval selection, unit by unit and trial by trial."""
    rng = np.random.default_rng(3)
    trains = [np.sort(rng.uniform(0, 20, n)) for n in (50, 0, 300)]
    path = write_nwb(units(trains), trials(rng.uniform(0, 18, 12)))
    with open_nwb(path) as recording:
        x = recording.spikes(align="trials", window=(0.1, 0.9), reduce="sum")
        table = recording.nwbfile.units
        for trial, start in enumerate(x["start_time"].values):
            inside = [len(table.get_unit_spike_times(u, (start + 0.1, start + 0.9))) for u in range(3)]
            np.testing.assert_array_equal(x[trial], inside)


@pytest.mark.parametrize(
    ("request_", "error", "message"),
    [
        ({}, InputError, "spikes needs bin_width"),
        ({"bin_width": -1.0}, InputError, "bin_width must be a positive number of seconds; got -1.0"),
        ({"bin_width": 0.1, "align": "trials"}, InputError, r"needs window=\(start, stop\)"),
        ({"bin_width": 0.1, "align": "trials", "window": (1, 0)}, InputError, r"start < stop; got \(1, 0\)"),
        ({"bin_width": 0.1, "align": "trials", "window": 3}, InputError, "window must be two numbers"),
        (
            {"bin_width": 0.3, "align": "trials", "window": (0, 1)},
            InputError,
            "window of 1 s is no whole number of bins",
        ),
        ({"bin_width": 0.1, "align": 3}, InputError, "align must be the name of an interval table"),
        ({"bin_width": 0.1, "reduce": "sum"}, InputError, "reduce='sum' needs align="),
        ({"bin_width": 0.1, "stimulus": "image"}, InputError, "stimulus='image' needs align="),
        ({"align": "trials", "window": (0, 1), "reduce": "max"}, InputError, "reduce must be one of sum, mean, rate"),
        ({"align": "trials", "window": (0, 1), "reduce": "mean"}, InputError, "spikes needs bin_width .*reduce='mean'"),
        ({"align": "epochs", "window": (0, 1), "reduce": "sum"}, MissingError, "no interval table 'epochs'.*trials"),
        ({"align": ("trials", "cue"), "reduce": "sum"}, MissingError, "no column 'cue'; it has start_time, stop_time"),
        ({"align": ("trials", "label"), "reduce": "sum"}, InputError, "must hold one time in seconds a row"),
        ({"align": "trials", "reduce": "sum", "stimulus": "pic"}, MissingError, "no column 'pic'"),
        ({"bin_width": 1.0, "units": [1, 99]}, MissingError, "1 of 2 unit ids are not in 'units': 99. Its 1 ids: 1"),
        ({"bin_width": 1.0, "units": []}, InputError, "asks for none of the 1 units"),
        ({"bin_width": 1.0, "units": "snr > 2"}, MissingError, "'snr' is no coord"),
        ({"bin_width": 1.0, "units": "unit_id > 5"}, InputError, "keeps none of 1 units"),
        ({"bin_width": 1e-12}, InputError, "the session spans 5 s by what the file holds: .* Give window="),
        ({"bin_width": 1.0, "table": "units2"}, MissingError, "no units table 'units2'.*'units'"),
    ],
)
def test_requests_that_cannot_be_met_say_why(write_nwb, request_, error, message):
    path = write_nwb(units([[0.1, 5.0]], ids=[1]), trials([0.0, 1.0], image=[1, 2], label=["a", "b"]))
    with open_nwb(path) as recording, pytest.raises(error, match=message):
        recording.spikes(**request_)


def test_units_without_spike_times_point_to_what_is_there(write_nwb):
    def build(nwbfile):
        nwbfile.add_unit_column("pos_x", "position")
        nwbfile.add_unit(pos_x=1.0)

    path = write_nwb(build, rois(np.zeros((20, 3)), 3))
    with open_nwb(path) as recording:
        with pytest.raises(MissingError, match=r"'units' has pos_x.*RoiResponseSeries \(recording.calcium\)"):
            recording.spikes(bin_width=0.1)
        with pytest.raises(MissingError, match="1 rows but no spike_times; its columns are pos_x"):
            recording.spikes(bin_width=0.1, table="units")
        assert "! has no spike_times" in repr(recording)


def test_of_several_units_tables_one_must_be_named(write_nwb):
    def build(nwbfile):
        table = pynwb.misc.Units(name="sorted_by_hand", description="d")
        table.add_unit(spike_times=[0.5, 1.5])
        nwbfile.create_processing_module("ecephys", "e").add(table)

    path = write_nwb(units([[0.1]]), build)
    with open_nwb(path) as recording:
        with pytest.raises(InputError, match="2 units tables: processing/ecephys/sorted_by_hand, units.*table="):
            recording.spikes(bin_width=1.0)
        x = recording.spikes(bin_width=1.0, table="sorted_by_hand")
    np.testing.assert_array_equal(x[:, 0], [1, 1])


def test_a_units_table_anywhere_is_found(write_nwb):
    def build(nwbfile):
        table = pynwb.misc.Units(name="units", description="d")
        table.add_unit(spike_times=[0.5, 1.5])
        nwbfile.create_processing_module("ecephys", "e").add(table)

    with open_nwb(write_nwb(build)) as recording:
        x = recording.spikes(bin_width=1.0)
    assert x.attrs["source"] == "session.nwb:processing/ecephys/units"
    assert x.attrs["session"] == "s1"


def test_populations_of_spikes_survive_saving(small, tmp_path):
    with open_nwb(small) as recording:
        x = recording.spikes(bin_width=0.5, align="trials", window=(0, 1), stimulus="image")
    population.save(x, tmp_path / "x.nc")
    again = population.open(tmp_path / "x.nc")
    assert again.identical(x)
    assert again.attrs["kind"] == "spikes"
