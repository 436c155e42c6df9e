"""Joining on ids and putting sessions side by side."""

from __future__ import annotations

import numpy as np
import pytest

from neurosparse import population
from neurosparse.errors import InputError


def stimuli(ids, n_units=2, scale=1.0, **more):
    ids = np.asarray(ids)
    values = scale * np.arange(len(ids) * n_units, dtype=float).reshape(len(ids), n_units)
    return population.from_arrays(values, dims=("stimulus", "unit"), stimulus=ids, **more)


def test_join_brings_y_into_the_order_of_x_row_by_row():
    x, y = stimuli(["a", "b", "c"]), stimuli(["c", "a", "b"], 3)
    left, right = population.join(x, y)
    assert left.identical(x)
    assert right["stimulus"].values.tolist() == ["a", "b", "c"]
    for name in "abc":
        assert (right.sel(stimulus=name).values == y.sel(stimulus=name).values).all()
    assert population.provenance(right)["steps"][-1] == {"step": "join", "on": "stimulus", "n_moved": 3}


def test_join_leaves_equal_orders_alone():
    x, y = stimuli([3, 1, 2]), stimuli([3, 1, 2])
    assert population.join(x, y, order="strict")[1].identical(y)


def test_join_on_another_coord():
    x = population.from_arrays([[1.0], [2.0]], dims=("trial", "unit"), coords={"name": ("trial", ["p", "q"])})
    y = population.from_arrays([[1.0], [2.0]], dims=("trial", "unit"), coords={"name": ("trial", ["q", "p"])})
    assert population.join(x, y, on="name")[1].values.tolist() == [[2.0], [1.0]]


@pytest.mark.parametrize(
    ("left", "right", "arguments", "message"),
    [
        ([1, 2, 3], [1, 2], {}, "x has 3 and y has 2 stimulus ids, which differ: 1 ids missing in y, such as 3"),
        ([1, 2], [1, 2, 7, 8], {}, "2 ids missing in x, such as 7, 8. Select the shared ones first"),
        ([1, 2], [2, 3], {}, "1 ids missing in y, such as 1; 1 ids missing in x, such as 3"),
        ([1, 2], ["1", "2"], {}, "In x they are int, in y str: make them one type"),
        ([1, 2, 3], [1, 3, 2], {"order": "strict"}, "in another order: 2 differ, first at 1, 2 in x and 3 in y"),
        ([1, 2], [1, 2], {"order": "sorted"}, "order must be 'align' or 'strict'; got 'sorted'"),
        ([1, 2], [1, 2], {"on": "image"}, r"x has no coord 'image' on its first dim 'stimulus', only \['stimulus'\]"),
    ],
)
def test_join_fails_loudly(left, right, arguments, message):
    with pytest.raises(InputError, match=message):
        population.join(stimuli(left), stimuli(right), **arguments)


def test_join_refuses_duplicates_and_missing_ids():
    x = population.from_arrays(np.zeros((3, 1)), dims=("trial", "unit"), stimulus=["a", "b", "a"])
    with pytest.raises(InputError, match="x has 1 stimulus ids more than once, first 'a'. Average the repeats first"):
        population.join(x, stimuli(["a", "b"]))
    x = x.assign_coords(stimulus=("trial", ["a", None, "b"]))
    with pytest.raises(InputError, match="y has 1 of 3 samples without stimulus, first at 1"):
        population.join(stimuli(["a", "b"]), x)


def test_concat_puts_units_side_by_side_on_the_same_stimuli():
    one = stimuli([1, 2], 2, session="s1", unit=[0, 1], coords={"area": ("unit", ["V1", "V2"])})
    two = stimuli([2, 1], 3, 10.0, session="s2", coords={"depth": ("unit", [1, 2, 3])})
    both = population.concat([one, two])
    assert both.shape == (2, 5)
    assert both["unit"].values.tolist() == ["s1:0", "s1:1", "s2:0", "s2:1", "s2:2"]
    assert both["session"].values.tolist() == ["s1", "s1", "s2", "s2", "s2"]
    assert both["unit_id"].values.tolist() == [0, 1, 0, 1, 2]
    assert both["area"].isnull().values.tolist() == [False, False, True, True, True]
    assert np.array_equal(both["depth"].values, [np.nan, np.nan, 1, 2, 3], equal_nan=True)
    assert (both.values[0] == np.concatenate([one.values[0], two.values[1]])).all()  # stimulus 1 of both
    assert both.attrs["session"] == "s1+s2"
    population.check(both)
    step = population.provenance(both)["steps"][-1]
    assert step["sessions"] == ["s1", "s2"]
    assert len(step["provenance"]) == 2


def test_concat_drops_sample_coords_that_differ():
    one = stimuli([1, 2], session="s1", coords={"n_repeats": ("stimulus", [3, 3]), "size": ("stimulus", [8, 9])})
    two = stimuli([1, 2], session="s2", coords={"n_repeats": ("stimulus", [3, 4]), "size": ("stimulus", [8, 9])})
    two = two.assign_coords(block=("stimulus", [0, 1]))
    both = population.concat([one, two])
    assert "size" in both.coords
    assert "n_repeats" not in both.coords
    assert population.provenance(both)["steps"][-1]["dropped_coords"] == ["n_repeats", "block"]


def test_concat_of_one_and_of_an_empty_session():
    one = stimuli([1, 2], session="s1")
    assert population.concat([one]).shape == one.shape
    assert population.concat([one, stimuli([1, 2], 0, session="s2")]).shape == (2, 2)


@pytest.mark.parametrize(
    ("second", "message"),
    [
        (stimuli([1, 2]), r"needs a session name of its own .* got \['s1', ''\]"),
        (stimuli([1, 2], session="s1"), r"got \['s1', 's1'\]"),
        (
            stimuli([1, 3], session="s2"),
            "population 1 has other samples than population 0.*1 ids missing in y, such as 2",
        ),
        (stimuli([1, 2], session="s2", units="Hz"), r"differ in attrs\['units'\]: '1' and 'Hz'"),
        (stimuli([1, 2], session="s2", bin_width=0.1), r"differ in attrs\['bin_width'\]: None and 0.1"),
        (
            population.from_arrays(np.zeros((2, 2)), dims=("trial", "unit"), session="s2"),
            r"have dims \('stimulus', 'unit'\) and \('trial', 'unit'\); they must be the same",
        ),
        (
            stimuli([1, 2], session="s2", coords={"area": ("unit", [1, 2])}),
            "coord 'area' is text in one session and numbers in another",
        ),
    ],
)
def test_concat_refusals(second, message):
    first = stimuli([1, 2], session="s1", coords={"area": ("unit", ["V1", "V2"])})
    with pytest.raises(InputError, match=message):
        population.concat([first, second])


def test_concat_of_nothing_and_of_other_times():
    with pytest.raises(InputError, match="at least one population; got none"):
        population.concat([])
    cubes = [
        population.from_arrays(
            np.zeros((2, 3, 1)), dims=("stimulus", "time", "unit"), time=np.arange(3) + shift, session=f"s{shift}"
        )
        for shift in (0.0, 0.5)
    ]
    with pytest.raises(InputError, match="populations 0 and 1 have different time labels"):
        population.concat(cubes)
