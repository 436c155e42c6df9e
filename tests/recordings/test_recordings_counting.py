"""Counts are those of a naive loop, and right to the sample at the edges."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurosparse.recordings.counting import Clock, count_bins, count_windows, fits_rate, observed


def naive(train, start, bin_width, n_bins):
    """Whole samples at 1 kHz, one spike at a time."""
    counts = np.zeros(n_bins, int)
    for spike in train:
        k = (round(spike * 1000) - round(start * 1000)) // round(bin_width * 1000)
        if 0 <= k < n_bins:
            counts[k] += 1
    return counts


samples = st.lists(st.integers(0, 4000), max_size=60)
starts = st.lists(st.integers(-500, 4500), min_size=1, max_size=6)


@settings(max_examples=150, deadline=None)
@given(samples, starts, st.integers(1, 50), st.integers(1, 40), st.booleans())
def test_counts_are_a_naive_loops_whatever_the_float_error(spikes, begins, width, n_bins, known_rate):
    """Decimal times carry float error; both clocks must place every spike as integers do, in overlapping trials too."""
    train = np.sort(np.array(spikes, float)) * 0.001
    begin = np.array([k / 1000 for k in begins])
    clock = Clock.of([train], 1000.0 if known_rate else None)
    counts = count_bins([train], begin, width / 1000, n_bins, clock)
    expected = [naive(train, b, width / 1000, n_bins) for b in begin]
    np.testing.assert_array_equal(counts[0], expected)
    stops = begin + n_bins * (width / 1000)
    np.testing.assert_array_equal(count_windows([train], begin, stops, clock)[0], np.sum(expected, axis=1))


def test_a_spike_on_an_edge_belongs_to_the_bin_that_starts_there():
    """0.1 + 0.2 lies above 0.3 in float64 and 3 * 0.1 too, 0.7 lies below 7 * 0.1: all stand on their edges."""
    train = np.array([0.3, 0.1 + 0.2, 0.7, 0.7999])
    counts = count_bins([train], np.array([0.0]), 0.1, 10, Clock.of([train], None))
    np.testing.assert_array_equal(counts[0, 0], [0, 0, 0, 2, 0, 0, 0, 2, 0, 0])
    plain = np.histogram(train, np.arange(11) * 0.1)[0]
    assert plain[2] == 1, "numpy's own histogram puts 0.3 into the bin before"


def test_a_microsecond_before_an_edge_is_before_it():
    train = np.array([0.3 - 1e-6])
    counts = count_bins([train], np.array([0.0]), 0.1, 5, Clock.of([train], None))
    np.testing.assert_array_equal(counts[0, 0], [0, 0, 1, 0, 0])


def test_rounded_spike_times_are_whole_samples_where_the_rate_is_known():
    """Sample 1 of 30 kHz, stored as 0.000033: below the edge at 1 / 30000 s, and yet in the bin that starts there."""
    train = np.array([0.000033])
    start = np.array([1 / 30000])
    by_samples = count_bins([train], start, 1 / 30000, 1, Clock.of([train], 30000.0))
    by_seconds = count_bins([train], start, 1 / 30000, 1, Clock.of([train], None))
    assert by_samples.sum() == 1
    assert by_seconds.sum() == 0


def test_rounded_edges_are_whole_samples_where_the_rate_is_known():
    """A trial begins with sample 2 of 30 kHz, stored as 0.000067: a spike of that sample is in it."""
    train = np.array([2 / 30000])
    clock = Clock.of([train], 30000.0)
    assert count_bins([train], np.array([0.000067]), 1 / 30000, 1, clock).sum() == 1
    assert count_windows([train], np.array([0.000067]), np.array([0.0001]), clock).sum() == 1
    assert count_bins([train], np.array([2.5 / 30000]), 1 / 30000, 1, clock).sum() == 0


def test_times_of_the_year_keep_their_bins():
    """Seconds since 1970 have a float64 step of 2e-7 s; the slack grows with them."""
    train = 1.7e9 + np.arange(100) * 0.1
    counts = count_bins([train], np.array([1.7e9]), 0.1, 100, Clock.of([train], None))
    np.testing.assert_array_equal(counts[0, 0], np.ones(100))


def test_more_than_65535_spikes_in_a_bin_are_all_counted():
    many = np.linspace(0, 0.9, 70_000)
    few = np.array([0.5])
    counts = count_bins([few, many, few], np.array([0.0]), 1.0, 1, Clock.of([many], None))
    assert counts.dtype == np.uint32
    np.testing.assert_array_equal(counts[:, 0, 0], [1, 70_000, 1])


def test_small_counts_take_two_bytes():
    train = np.array([0.5])
    assert count_bins([train], np.array([0.0]), 1.0, 1, Clock.of([train], None)).dtype == np.uint16


def test_observed_is_containment_in_the_union():
    """Touching and overlapping intervals join; gaps, ends and no intervals at all do not hold a bin."""
    intervals = np.array([[3.0, 4.0], [0.0, 1.0], [1.0, 2.0], [0.5, 0.6]])
    starts = np.array([0.0, 0.5, 1.5, 3.0, -0.1, 3.5])
    stops = starts + 1.0
    np.testing.assert_array_equal(observed(intervals, starts, stops), [True, True, False, True, False, False])
    assert not observed(np.empty((0, 2)), starts, stops).any()


@pytest.mark.parametrize(("rate", "fits"), [(1000.0, True), (700.0, False)])
def test_a_rate_fits_if_spikes_are_whole_samples_of_it(rate, fits):
    train = np.arange(500) * 0.003
    assert fits_rate([train], rate) is fits
    assert fits_rate([], rate)
