"""Matrices and the way back to labels, and folds over samples."""

from __future__ import annotations

import numpy as np
import pytest

from neurosparse import population
from neurosparse.errors import DataWarning, InputError


def cube(holes=False):
    values = np.arange(24.0).reshape(2, 4, 3)
    if holes:
        values[0, 1, 2] = values[1, 3, 0] = np.nan
    return population.from_arrays(
        values,
        dims=("trial", "time", "unit"),
        bin_width=0.5,
        stimulus=["a", "b"],
        unit=["p", "q", "r"],
        coords={"area": ("unit", ["V1", "V2", "V4"])},
    )


def test_matrix_and_back_is_the_identity():
    x = cube()
    matrix = population.as_matrix(x)
    assert matrix.shape == (8, 3)
    assert matrix.values.dtype == np.float64
    assert (matrix.values == x.values.reshape(8, 3)).all()
    assert matrix.kept.all()
    back = matrix.label(matrix.values)
    assert back.identical(x)


def test_codes_get_leading_labels_and_an_atom_dim():
    matrix = population.as_matrix(cube())
    codes = matrix.label(np.arange(16.0).reshape(8, 2), last_dim="atom", coords={"norm": ("atom", [1.0, 2.0])})
    assert codes.dims == ("trial", "time", "atom")
    assert codes["stimulus"].values.tolist() == ["a", "b"]
    assert codes["norm"].values.tolist() == [1.0, 2.0]
    assert codes["atom"].values.tolist() == [0, 1]
    assert "area" not in codes.coords
    population.check(codes)
    named = matrix.label(np.zeros((8, 2)), last_dim="atom", coords={"atom": ["x", "y"]})
    assert named["atom"].values.tolist() == ["x", "y"]
    population.check(named)


def test_one_value_a_sample_and_another_number_of_units():
    matrix = population.as_matrix(cube())
    assert matrix.label(np.arange(8.0), last_dim=None).dims == ("trial", "time")
    fewer = matrix.label(np.zeros((8, 2)))
    assert "area" not in fewer.coords
    assert fewer["unit"].values.tolist() == [0, 1]


def test_nan_raises_with_counts_and_the_first_label():
    with pytest.raises(
        InputError,
        match=r"brain has 2 NaN values in 2 of 8 samples, first at trial=0, time=0.75, unit='r'. Pass nan='drop'",
    ):
        population.as_matrix(cube(holes=True), name="brain")


def test_nan_drop_counts_and_leaves_holes_where_they_were():
    x = cube(holes=True)
    with pytest.warns(DataWarning, match="x has 2 NaN values in 2 of 8 samples, .* those samples are left out"):
        matrix = population.as_matrix(x, nan="drop")
    assert matrix.kept.tolist() == [True, False, True, True, True, True, True, False]
    assert matrix.values.shape == (6, 3)
    back = matrix.label(matrix.values)
    assert back.isnull().any("unit").values.ravel().tolist() == (~matrix.kept).tolist()
    assert (back.values[~np.isnan(back.values)] == matrix.values.ravel()).all()
    assert back.values[1, 2].tolist() == x.values[1, 2].tolist()


@pytest.mark.parametrize("chunk", [1, 3, 4, 5, 100])
@pytest.mark.parametrize("holes", [False, True])
@pytest.mark.filterwarnings("ignore::neurosparse.errors.DataWarning")
def test_batches_are_the_matrix_in_parts_and_can_be_read_again(chunk, holes):
    matrix = population.as_matrix(cube(holes), nan="drop", chunk=chunk)
    for _ in range(2):
        batches = list(matrix.batches())
        assert (np.concatenate([array for _, array in batches]) == matrix.values).all()
        assert np.concatenate([index for index, _ in batches]).tolist() == list(range(len(matrix.values)))
    assert len(batches) == (2 if chunk <= 4 else 1)  # whole trials of 4 samples


def test_integers_become_floats_and_dtype_is_a_choice():
    x = population.from_arrays(np.eye(3, dtype=np.uint8), dims=("stimulus", "unit"))
    assert population.as_matrix(x).values.dtype == np.float64
    assert population.as_matrix(x, dtype=np.float32).values.dtype == np.float32


def test_arrays_give_arrays_and_tensors_tensors():
    array = np.array([[1.0, 2.0], [np.nan, 3.0]])
    with pytest.warns(DataWarning, match="1 NaN values in 1 of 2 samples, first at row 1, column 0"):
        matrix = population.as_matrix(array, nan="drop")
    back = matrix.label(np.ones((1, 4)))
    assert isinstance(back, np.ndarray)
    assert np.isnan(back[1]).all()
    assert back.shape == (2, 4)
    torch = pytest.importorskip("torch")
    matrix = population.as_matrix(torch.eye(2, requires_grad=True))
    assert isinstance(matrix.values, np.ndarray)
    assert isinstance(matrix.label(np.ones((2, 3))), torch.Tensor)
    assert isinstance(matrix.label(torch.ones(2, 3)), torch.Tensor)


def test_dask_is_read_in_batches():
    dask_array = pytest.importorskip("dask.array")
    whole = np.arange(12.0).reshape(6, 2)
    read = []
    lazy = dask_array.from_array(whole, chunks=(2, 2)).map_blocks(lambda b: read.append(len(b)) or b, meta=whole[:0])
    matrix = population.as_matrix(population.from_arrays(lazy, dims=("trial", "unit")), chunk=2)
    assert (np.concatenate([array for _, array in matrix.batches()]) == whole).all()
    assert set(read) == {2}


@pytest.mark.parametrize(
    ("x", "arguments", "message"),
    [
        (np.zeros((0, 3)), {}, r"x is empty: its shape is \(0, 3\)"),
        (cube().isel(unit=[]), {}, r"x is empty: its shape is \(2, 4, 0\)"),
        (np.zeros(3), {}, r"population or a \(sample, unit\) matrix of numbers; got shape \(3,\)"),
        (np.array([["a", "b"]]), {}, "matrix of numbers; got shape"),
        (np.array([[np.inf, 1.0]]), {}, "x has infinite values"),
        (np.full((2, 2), np.nan), {"nan": "drop"}, "no sample is left. Leave out the units"),
        (np.zeros((2, 2)), {"nan": "mask"}, "nan must be 'raise' or 'drop'; got 'mask'"),
        (np.zeros((2, 2)), {"chunk": 0}, "chunk must be a positive number of samples; got 0"),
        (cube().rename(unit="neuron"), {"name": "model"}, r"model needs dims"),
    ],
)
def test_as_matrix_refusals(x, arguments, message):
    with pytest.raises(InputError, match=message):
        population.as_matrix(x, **arguments)


def test_label_needs_a_row_a_sample():
    matrix = population.as_matrix(cube())
    with pytest.raises(
        InputError, match=r"values to label need shape \(8, atom\), one row a sample kept; got \(7, 2\)"
    ):
        matrix.label(np.zeros((7, 2)), last_dim="atom")
    with pytest.raises(InputError, match=r"need shape \(8,\), one row a sample kept; got \(8, 2\)"):
        matrix.label(np.zeros((8, 2)), last_dim=None)


@pytest.fixture
def trials():
    return population.from_arrays(
        np.zeros((24, 2)),
        dims=("trial", "unit"),
        stimulus=np.tile(np.arange(8), 3),
        coords={"pair": ("trial", np.tile(np.arange(8) // 2, 3)), "block": ("trial", np.repeat([0, 1, 2], 8))},
    )


def test_folds_keep_stimuli_whole(trials):
    stimulus = trials["stimulus"].values
    for train, test in population.folds(trials, n_folds=4):
        assert not set(stimulus[train]) & set(stimulus[test])
    mixed = population.folds(trials, by="trial", n_folds=4)
    assert any(set(stimulus[train]) & set(stimulus[test]) for train, test in mixed)


def test_folds_keep_groups_whole(trials):
    pair = trials["pair"].values
    for groups in ("pair", pair, trials["pair"]):
        for train, test in population.folds(trials, n_folds=2, groups=groups):
            assert not set(pair[train]) & set(pair[test])
    tested = [
        set(trials["block"].values[test]) for _, test in population.folds(trials, by="trial", n_folds=3, groups="block")
    ]
    assert all(len(blocks) == 1 for blocks in tested)


def test_folds_of_stimuli_and_of_time():
    mean = population.from_arrays(np.zeros((10, 2)), dims=("stimulus", "unit"))
    assert [len(test) for _, test in population.folds(mean)] == [2] * 5
    series = population.from_arrays(np.zeros((50, 2)), dims=("time", "unit"), bin_width=0.1)
    for train, test in population.folds(series, by="time", gap=3):
        assert np.abs(train[:, None] - test).min() == 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"by": "unit"}, "by must be 'stimulus', 'trial' or 'time'; got 'unit'"),
        ({"by": "time"}, r"need a time dim first and no groups; got dims \('trial', 'unit'\)"),
        ({"gap": 2}, "gap goes with by='time' only"),
        ({"groups": "session"}, "groups names 'session', which is no coord on dim 'trial'"),
        ({"groups": [1, 2]}, r"one entry for each of the 24 trials; got shape \(2,\)"),
        ({"groups": "block"}, "groups cut 8 of 8 entries of stimulus in two, first 0"),
        ({"n_folds": 9}, "9 folds need at least 9 groups; got 8"),
    ],
)
def test_folds_refusals(trials, arguments, message):
    with pytest.raises(InputError, match=message):
        population.folds(trials, **arguments)


def test_folds_by_stimulus_need_stimuli():
    series = population.from_arrays(np.zeros((50, 2)), dims=("time", "unit"), bin_width=0.1)
    with pytest.raises(
        InputError, match=r"folds by stimulus need a stimulus coord on the first dim; got first dim 'time'"
    ):
        population.folds(series)
