"""What spike times of real files do: rows 3 to 8 of the list of quirks, each on a file written here."""

import warnings

import h5py
import numpy as np
import pynwb
import pytest
from nwb_parts import replace, series, trials, units

from neurosparse import open_nwb, population
from neurosparse.errors import DataWarning, FileError, InputError


def test_row_03_units_that_never_fired_stay_as_zeros_and_leave_only_on_request(write_nwb):
    """The index repeats where a unit is silent: (3, 3, 6)."""
    path = write_nwb(units([[0.5, 1.5, 2.5], [], [0.1, 0.2, 0.3]], ids=[7, 8, 9]))
    with open_nwb(path) as recording:
        x = recording.spikes(bin_width=1.0)
        kept = recording.spikes(bin_width=1.0, min_rate=1.1)
        fired = recording.spikes(bin_width=1.0, min_rate=1e-9)
        with pytest.raises(InputError, match="none of 3 units fires at min_rate=9 Hz; the most is 1.25 Hz"):
            recording.spikes(bin_width=1.0, min_rate=9.0)
        with pytest.raises(InputError, match="min_rate must be a positive number"):
            recording.spikes(bin_width=1.0, min_rate=-1.0)
    np.testing.assert_array_equal(x, [[1, 0, 3], [1, 0, 0], [1, 0, 0]])
    assert list(fired["unit_id"].values) == [7, 9]
    assert population.provenance(fired)["chosen"]["n_units_at_min_rate"] == [2, 3]
    assert kept.sizes["unit"] == 2


def test_row_03_the_rate_is_over_the_time_a_unit_was_observed(write_nwb):
    """4 spikes in 2 observed seconds are 2 Hz, though the session lasts 10 s; intervals that overlap count once."""
    path = write_nwb(units([[0.1, 0.2, 0.3, 0.4], [5.0, 9.9]], obs=[[[0.0, 2.0], [0.5, 1.0]], [[0.0, 10.0]]]))
    with open_nwb(path) as recording, warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        assert list(recording.spikes(bin_width=1.0, min_rate=1.9)["unit_id"].values) == [0]
        with pytest.raises(InputError, match="the most is 2 Hz"):
            recording.spikes(bin_width=1.0, min_rate=2.1)


def test_row_04_unsorted_spikes_are_sorted_and_named(write_nwb):
    """Unit 4 restarts at zero half way; pynwb's own selection by interval bisects, and is wrong."""
    path = write_nwb(units([[0.5, 2.5, 0.1, 1.5], [0.2, 0.3]], ids=[4, 5]), trials([0.0, 1.0]))
    with open_nwb(path) as recording:
        with pytest.warns(DataWarning, match=r"1 of 2 units are not in rising .*\(units 4\)"):
            x = recording.spikes(bin_width=1.0)
        with pytest.warns(DataWarning, match="not in rising"):
            total = recording.spikes(align="trials", reduce="sum")
        assert len(recording.nwbfile.units.get_unit_spike_times(0, (0.0, 1.0))) != 2, "the quirk is there"
    np.testing.assert_array_equal(x, [[2, 2], [1, 0], [1, 0]])
    np.testing.assert_array_equal(total, [[2, 2], [1, 0]])


def test_row_05_spikes_that_are_no_numbers_are_dropped_and_counted(write_nwb):
    path = write_nwb(units([[0.5, np.nan, 1.5], [np.inf, np.nan], [0.1]]))
    with open_nwb(path) as recording, pytest.warns(DataWarning, match=r"3 spike times of 2 units .*\(units 0, 1\)"):
        x = recording.spikes(bin_width=1.0)
    np.testing.assert_array_equal(x, [[1, 0, 1], [1, 0, 0]])


def test_row_05_an_unsorted_time_behind_a_nan_is_found_too(write_nwb):
    path = write_nwb(units([[0.5, np.nan, 0.1, 1.5]]))
    with open_nwb(path) as recording, pytest.warns(DataWarning) as said:
        x = recording.spikes(bin_width=1.0)
    np.testing.assert_array_equal(x[:, 0], [2, 1])
    assert ["NaN" in str(one.message) for one in said] == [True, False]
    assert "not in rising order" in str(said[1].message)


def test_row_05_negative_times_stay_and_repeats_are_counted(write_nwb):
    """Times before the file's zero are times; a repeated one may be a coarse clock's, so it stays, and is said."""
    path = write_nwb(units([[-1.5, -0.5, 0.5], [0.2, 0.2, 0.2, 0.7]]))
    with open_nwb(path) as recording, pytest.warns(DataWarning, match=r"2 spike times of 1 units equal .*\(units 1\)"):
        x = recording.spikes(bin_width=1.0)
    np.testing.assert_array_equal(x["time"], [-1.5, -0.5, 0.5])
    np.testing.assert_array_equal(x, [[1, 0], [1, 0], [1, 4]])


def test_row_05_a_warning_can_be_made_an_error(write_nwb):
    with open_nwb(write_nwb(units([[0.5, np.nan]]))) as recording, warnings.catch_warnings():
        warnings.simplefilter("error", DataWarning)
        with pytest.raises(DataWarning, match="NaN or infinite"):
            recording.spikes(bin_width=1.0)


def test_row_06_unobserved_bins_are_nan_not_zero(write_nwb):
    trains = [[0.5, 1.5, 2.5], [0.5, 2.2], [0.6]]
    obs = [[[0.0, 3.0]], [[0.0, 1.5], [2.0, 3.0]], [[0.0, 1.0], [1.0, 3.0]]]
    path = write_nwb(units(trains, obs=obs))
    with open_nwb(path) as recording, pytest.warns(DataWarning, match=r"1 of 9 counts are NaN, in 1 of 3 units"):
        x = recording.spikes(bin_width=1.0)
    np.testing.assert_array_equal(x, [[1, 1, 1], [1, np.nan, 0], [1, 1, 0]])
    assert x.dtype == np.float32


def test_row_06_windows_outside_obs_intervals_are_nan_in_every_shape(write_nwb):
    path = write_nwb(units([[0.5, 4.5], [4.5]], obs=[[[0.0, 2.0]], [[0.0, 5.0]]]), trials([0.0, 4.0]))
    request = {"align": "trials", "window": (0, 1)}
    with open_nwb(path) as recording:
        with pytest.warns(DataWarning, match="1 of 4 counts are NaN, in 1 of 2 units and 1 of 2 trials"):
            total = recording.spikes(reduce="sum", **request)
        with pytest.warns(DataWarning, match="not fully inside the obs_intervals"):
            rate = recording.spikes(reduce="rate", **request)
        with pytest.warns(DataWarning, match="2 of 8 counts are NaN"):
            binned = recording.spikes(bin_width=0.5, **request)
    np.testing.assert_array_equal(total, [[1, 0], [np.nan, 1]])
    np.testing.assert_array_equal(rate, [[1, 0], [np.nan, 1]])
    np.testing.assert_array_equal(binned[1], [[np.nan, 0], [np.nan, 1]])


def test_row_06_without_obs_intervals_the_span_that_was_assumed_is_said(write_nwb):
    message = r"1 of 2 counts .* the session \(0 to 6 s, by what the file holds\)"
    path = write_nwb(units([[0.5]]), trials([0.0, 5.0]))
    with open_nwb(path) as recording, pytest.warns(DataWarning, match=message):
        x = recording.spikes(align="trials", window=(-1, 1), reduce="sum")
    np.testing.assert_array_equal(x[:, 0], [np.nan, 0])
    assert "the session spans all spikes" in population.provenance(x)["assumed"][0]


def test_row_07_the_session_is_the_reach_of_all_that_the_file_holds(write_nwb):
    """First and last spike alone would leave out the silence at both ends."""
    path = write_nwb(
        units([[2.5], []]), trials([1.0], [2.0]), series("speed", np.zeros(5), rate=1.0, starting_time=2.0)
    )
    with open_nwb(path) as recording:
        x = recording.spikes(bin_width=1.0)
        y = recording.spikes(bin_width=1.0, window=(-1.0, 4.0))
    np.testing.assert_array_equal(x["time"], [1.5, 2.5, 3.5, 4.5, 5.5])
    np.testing.assert_array_equal(x[:, 0], [0, 1, 0, 0, 0])
    np.testing.assert_array_equal(y["time"], np.arange(-0.5, 4.0))
    assert "spikes, observation intervals, interval tables and time series" in population.provenance(x)["assumed"][0]


def test_row_07_a_wild_time_stamp_does_not_stretch_the_session(write_nwb):
    """As in a human recording whose event clock begins in 1921."""
    wild = series("events", [1, 2, 3], timestamps=[-1.5e9, 1.0, 2.0])
    with open_nwb(write_nwb(units([[0.5, 3.5]]), wild)) as recording:
        x = recording.spikes(bin_width=1.0)
        assert "more than 30 days" in repr(recording)
    assert x.sizes["time"] == 4
    assert "1 extents" in population.provenance(x)["assumed"][0]


def test_row_08_the_index_may_not_wrap_round(write_nwb):
    """pynwb stores ends 100, 350, 390 as bytes or two bytes; differences of those wrap."""
    rng = np.random.default_rng(0)
    sizes = [100, 250, 40]
    path = write_nwb(units([np.sort(rng.uniform(0, 10, n)) for n in sizes]))
    with pynwb.NWBHDF5IO(path, "r") as io:
        stored = io.read().units["spike_times_index"].data[:]
        assert stored.dtype.itemsize < 8, "the quirk is there"
    with open_nwb(path) as recording:
        np.testing.assert_array_equal(recording.spikes(bin_width=0.1).sum("time"), sizes)
    replace(path, "units/spike_times_index", np.array([100, 94, 134], np.uint8))  # 350 and 390, wrapped
    with open_nwb(path) as recording, pytest.raises(FileError, match="does not fit its 390 values"):
        recording.spikes(bin_width=0.1)


def test_row_08_an_index_that_falls_or_passes_the_end_is_refused(write_nwb):
    path = write_nwb(units([[0.1, 0.2], [0.3], [0.4]]))
    for ends in ([2, 1, 4], [2, 3, 5]):
        replace(path, "units/spike_times_index", np.array(ends, np.uint8))
        with open_nwb(path) as recording, pytest.raises(FileError, match="index of column 'spike_times' does not fit"):
            recording.spikes(bin_width=1.0)


def test_row_08_spike_times_are_read_once_and_in_bulk(write_nwb, monkeypatch):
    reads = []
    read = h5py.Dataset.read_direct

    def counted(self, into, source):
        if self.name.endswith("/spike_times"):
            reads.append((source.start, source.stop))
        return read(self, into, source)

    trains = [np.arange(n) + 0.1 for n in (3, 2, 0, 9, 1)]
    with open_nwb(write_nwb(units(trains), trials(np.arange(5.0)))) as recording:
        monkeypatch.setattr(h5py.Dataset, "read_direct", counted)
        whole = recording.spikes(bin_width=0.5)
        assert reads == [(0, 15)]
        reads.clear()
        monkeypatch.setattr("neurosparse.recordings.trains.BLOCK", 6)
        some = recording.spikes(bin_width=0.5, units=[4, 1, 3])
        assert reads == [(3, 5), (5, 14), (14, 15)]
        reads.clear()
        monkeypatch.setattr("neurosparse.recordings.trains.BLOCK", 12)
        together = recording.spikes(bin_width=0.5, units=[3, 2, 1])
        assert reads == [(3, 14)]
    np.testing.assert_array_equal(whole.sum("time"), [3, 2, 0, 9, 1])
    np.testing.assert_array_equal(some.sum("time"), [1, 2, 9])
    np.testing.assert_array_equal(together.sum("time"), [9, 0, 2])


def test_row_08_spike_times_of_any_type_are_read_in_float64(write_nwb):
    path = write_nwb(units([[0.5, 1.5], [2.25]]), trials([0.0]))
    replace(path, "units/spike_times", np.array([0.5, 1.5, 2.25], np.float32))
    with open_nwb(path) as recording:
        x = recording.spikes(bin_width=0.25)
    assert [np.flatnonzero(counts).tolist() for counts in x.values.T] == [[2, 6], [9]]
