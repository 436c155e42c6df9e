"""What goes over to other packages comes back, and says there what it said here."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy.io import savemat
from sklearn.model_selection import GroupKFold

from neurosparse import population
from neurosparse.errors import DataWarning, DependencyError, InputError
from neurosparse.interchange import from_pynapple, to_pynapple, to_rsatoolbox, to_sklearn


def frame(n_times: int = 8) -> xr.DataArray:
    """A (time, unit) population of counts with unit coords."""
    return population.from_arrays(
        np.arange(n_times * 3).reshape(n_times, 3).astype(np.uint16),
        dims=("time", "unit"),
        unit=["u0", "u1", "u2"],
        bin_width=0.1,
        coords={"area": ("unit", ["V1", "V4", "V4"]), "depth": ("unit", [10.0, 20.0, 30.0])},
        kind="spikes",
        quantity="spike count",
    )


def trials(with_time: bool = False) -> xr.DataArray:
    """Four trials of two stimuli."""
    values = np.arange(24.0).reshape(4, 2, 3)
    return population.from_arrays(
        values if with_time else values[:, 0],
        dims=("trial", "time", "unit") if with_time else ("trial", "unit"),
        stimulus=["a", "b", "b", "a"],
        coords={"correct": ("trial", [True, True, False, True]), "area": ("unit", ["V1", "V4", "V4"])},
        session="s1",
        **({"bin_width": 0.5} if with_time else {}),
    )


class TestPynapple:
    """Against pynapple itself."""

    @pytest.fixture(autouse=True)
    def nap(self) -> Any:
        self.nap = pytest.importorskip("pynapple", reason="pynapple is not installed")
        return self.nap

    def test_a_frame_has_the_times_values_columns_and_metadata(self) -> None:
        x = frame()
        given = to_pynapple(x)
        assert isinstance(given, self.nap.TsdFrame)
        np.testing.assert_array_equal(given.times(), x["time"].values)
        np.testing.assert_array_equal(given.values, x.values)
        assert list(given.columns) == ["u0", "u1", "u2"]
        assert list(given.metadata["area"]) == ["V1", "V4", "V4"]
        np.testing.assert_allclose(given.time_support.values, [[0, 0.8]])

    def test_a_gap_in_time_is_a_gap_in_the_support(self) -> None:
        given = to_pynapple(frame(10).isel(time=[0, 1, 2, 6, 7]))
        np.testing.assert_allclose(given.time_support.values, [[0, 0.3], [0.6, 0.8]])
        assert len(given) == 5

    def test_it_comes_back_as_it_was(self) -> None:
        x = frame()
        back = from_pynapple(to_pynapple(x), kind="spikes", quantity="spike count")
        xr.testing.assert_identical(back.assign_attrs(provenance=""), x.assign_attrs(provenance=""))
        assert back.dtype == x.dtype
        assert population.provenance(back)["steps"][-1]["step"] == "from_pynapple"

    def test_spike_times_are_counted(self) -> None:
        session = self.nap.IntervalSet(0, 0.4)
        group = self.nap.TsGroup(
            {3: self.nap.Ts([0.05, 0.06, 0.25], time_support=session), 7: self.nap.Ts([0.15], time_support=session)},
            time_support=session,
            metadata={"area": ["V1", "V4"], "trial": [1, 2]},
        )
        x = from_pynapple(group, bin_width=0.1, session="s1")
        assert x.values.tolist() == [[2, 0], [0, 1], [1, 0], [0, 0]]
        np.testing.assert_allclose(x["time"], [0.05, 0.15, 0.25, 0.35])
        assert x["unit"].values.tolist() == [3, 7]
        assert x["area"].values.tolist() == ["V1", "V4"]
        assert x["metadata_trial"].values.tolist() == [1, 2], "trial is a dim of ours"
        assert (x.attrs["kind"], x.attrs["quantity"], x.attrs["session"]) == ("spikes", "spike count", "s1")
        assert x.attrs["bin_width"] == 0.1
        with pytest.raises(InputError, match=r"give bin_width= \(seconds\)"):
            from_pynapple(group)

    def test_one_series_is_one_unit(self) -> None:
        x = from_pynapple(self.nap.Tsd(t=[0.0, 0.5, 1.5], d=[1.0, 2.0, 3.0]), kind="calcium")
        assert x.shape == (3, 1)
        assert "bin_width" not in x.attrs, "its steps differ"

    def test_a_tensor_is_refused(self) -> None:
        tensor = self.nap.TsdTensor(t=np.arange(3.0), d=np.zeros((3, 2, 2)))
        with pytest.raises(InputError, match="takes a TsGroup, TsdFrame or Tsd; got TsdTensor"):
            from_pynapple(tensor, kind="calcium")


class TestRsatoolbox:
    """Against rsatoolbox itself."""

    @pytest.fixture(autouse=True)
    def data(self) -> Any:
        self.data = pytest.importorskip("rsatoolbox.data", reason="rsatoolbox is not installed")
        return self.data

    def test_trials_are_observations_and_units_channels(self) -> None:
        x = trials()
        given = to_rsatoolbox(x)
        assert type(given) is self.data.Dataset
        np.testing.assert_array_equal(given.measurements, x.values)
        assert list(given.obs_descriptors["stimulus"]) == ["a", "b", "b", "a"]
        assert list(given.obs_descriptors["correct"]) == [True, True, False, True]
        assert list(given.channel_descriptors["area"]) == ["V1", "V4", "V4"]
        assert given.descriptors["session"] == "s1"
        np.testing.assert_array_equal(given.subset_obs("stimulus", "b").measurements, x.values[1:3])

    @pytest.mark.filterwarnings("ignore:invalid value encountered in cast:RuntimeWarning")  # NaN into its flags
    def test_its_distances_are_those_of_the_averages(self) -> None:
        from rsatoolbox.rdm import calc_rdm

        x = trials()
        a, b = population.average(x).values
        found = calc_rdm(to_rsatoolbox(x), descriptor="stimulus", method="euclidean").dissimilarities
        np.testing.assert_allclose(found, [[((a - b) ** 2).mean()]])

    def test_time_becomes_the_last_axis(self) -> None:
        x = trials(with_time=True)
        given = to_rsatoolbox(x)
        assert type(given) is self.data.TemporalDataset
        np.testing.assert_array_equal(given.measurements, x.transpose("trial", "unit", "time").values)
        np.testing.assert_array_equal(given.time_descriptors["time"], [0.25, 0.75])


def test_pynapple_is_asked_for_a_frame_of_the_right_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    made: dict[str, Any] = {}
    stand_in = SimpleNamespace(TsdFrame=made.update, IntervalSet=lambda start, end: np.stack([start, end], 1))
    monkeypatch.setitem(sys.modules, "pynapple", stand_in)
    x = frame(10).isel(time=[0, 1, 2, 6, 7])
    to_pynapple(x)
    assert made["t"].tolist() == x["time"].values.tolist()
    assert made["columns"].tolist() == ["u0", "u1", "u2"]
    assert set(made["metadata"]) == {"area", "depth"}
    np.testing.assert_allclose(made["time_support"], [[0, 0.3], [0.6, 0.8]])
    to_pynapple(x.drop_attrs())
    np.testing.assert_allclose(made["time_support"], [[0.05, 0.75]])


def test_what_looks_like_a_frame_is_taken_for_one() -> None:
    series = SimpleNamespace(
        times=lambda: np.arange(3) * 0.2,
        values=np.ones((3, 2)),
        columns=["x", "y"],
        metadata=pd.DataFrame({"unit": ["p", "q"]}, index=["x", "y"]),
        time_support=SimpleNamespace(values=[[0.0, 0.4]]),
    )
    x = from_pynapple(series, kind="calcium")
    assert x["metadata_unit"].values.tolist() == ["p", "q"]
    assert x.attrs["bin_width"] == pytest.approx(0.2)
    with pytest.raises(InputError, match="a TsdFrame does not say what it holds: give kind="):
        from_pynapple(series)
    with pytest.raises(InputError, match="takes a TsGroup, TsdFrame or Tsd; got list"):
        from_pynapple([1, 2])


def test_rsatoolbox_is_asked_for_the_right_axes(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in = SimpleNamespace(
        Dataset=lambda values, **facts: ("flat", values.shape, facts),
        TemporalDataset=lambda values, **facts: ("temporal", values.shape, facts),
    )
    monkeypatch.setitem(sys.modules, "rsatoolbox.data", stand_in)
    assert to_rsatoolbox(trials())[:2] == ("flat", (4, 3))
    what, shape, facts = to_rsatoolbox(trials(with_time=True))
    assert (what, shape) == ("temporal", (4, 3, 2))
    assert set(facts["obs_descriptors"]) == {"trial", "stimulus", "correct"}


def test_other_dims_are_refused() -> None:
    with pytest.raises(InputError, match=r"x needs dims \(time, unit\)"):
        to_pynapple(trials())
    with pytest.raises(InputError, match=r"x needs dims \(trial, unit\)"):
        to_rsatoolbox(frame())


@pytest.mark.parametrize(("convert", "package"), [(to_pynapple, "pynapple"), (to_rsatoolbox, "rsatoolbox")])
def test_a_missing_package_is_named(convert: Any, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.setitem(sys.modules, f"{package}.data", None)
    with pytest.raises(DependencyError, match=f"this needs {package}, which is not installed. Install it"):
        convert(frame() if package == "pynapple" else trials())


class TestSklearn:
    """Against scikit-learn's splitters."""

    def test_all_trials_of_a_stimulus_are_one_group(self) -> None:
        matrix, groups = to_sklearn(trials())
        np.testing.assert_array_equal(matrix, trials().values)
        assert matrix.dtype == np.float64
        assert groups.tolist() == ["a", "b", "b", "a"]
        for train, test in GroupKFold(2).split(matrix, groups=groups):
            assert not set(groups[train]) & set(groups[test])

    def test_a_coord_can_be_named(self) -> None:
        assert to_sklearn(trials(), by="correct")[1].tolist() == [True, True, False, True]
        assert to_sklearn(trials().drop_vars("stimulus"))[1].tolist() == [0, 1, 2, 3]
        with pytest.raises(
            InputError, match=r"by='area' is no coord on dim 'trial'; there are \['correct', 'stimulus'"
        ):
            to_sklearn(trials(), by="area")

    def test_time_is_stacked_within_its_trial(self) -> None:
        matrix, groups = to_sklearn(trials(with_time=True))
        np.testing.assert_array_equal(matrix, np.arange(24.0).reshape(8, 3))
        assert groups.tolist() == ["a", "a", "b", "b", "b", "b", "a", "a"]

    def test_time_alone_is_cut_into_blocks(self) -> None:
        matrix, groups = to_sklearn(frame(10), n_blocks=4)
        assert matrix.shape == (10, 3)
        assert groups.tolist() == [0, 0, 0, 1, 1, 2, 2, 2, 3, 3]
        with pytest.raises(InputError, match="n_blocks must be from 1 to the 8 times; got 9"):
            to_sklearn(frame(), n_blocks=9)

    def test_samples_with_nan_leave_both(self) -> None:
        x = trials().copy()
        x[1, 0] = np.nan
        with pytest.raises(InputError, match="x has 1 NaN values"):
            to_sklearn(x)
        with pytest.warns(DataWarning, match="left out"):
            matrix, groups = to_sklearn(x, nan="drop")
        assert matrix.shape == (3, 3)
        assert groups.tolist() == ["a", "b", "a"]


def test_the_arrays_of_other_formats_go_in_as_the_readme_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    readme = (Path(__file__).resolve().parent.parent / "README.md").read_text(encoding="utf-8")
    code = readme.split("<!-- arrays of other formats -->\n```python\n")[1].split("```")[0]
    monkeypatch.chdir(tmp_path)
    np.save("F.npy", np.arange(12.0).reshape(3, 4))
    np.save("iscell.npy", np.array([[1, 0.9], [0, 0.1], [1, 0.8]]))
    np.save("spike_times.npy", np.array([[0], [299], [300], [301], [950]], dtype=np.uint64))
    np.save("spike_clusters.npy", np.array([5, 5, 5, 9, 9], dtype=np.int32))
    savemat("responses.mat", {"rates": np.arange(6.0).reshape(3, 2), "image": [7, 8, 7]})
    made: dict[str, Any] = {}
    exec(code, made)
    assert made["calcium"].values.tolist() == [[0, 8], [1, 9], [2, 10], [3, 11]]
    assert made["spikes"].values.tolist() == [[2, 0], [1, 1], [0, 0], [0, 1]]
    assert made["spikes"]["unit"].values.tolist() == [5, 9]
    np.testing.assert_allclose(made["spikes"]["time"], [0.005, 0.015, 0.025, 0.035])
    assert made["trials"]["stimulus"].values.tolist() == [7, 8, 7]
