"""The comparison: known relatives and strangers, and every way to ask wrongly."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pytest
import xarray as xr

from neurosparse import DictionaryLearning, population, surrogate_test
from neurosparse.comparison import Effort, compare, findings, near_duplicate_stimuli, rows, table
from neurosparse.errors import InputError

QUICK = Effort(n_permutations=39, n_bootstraps=50, n_surrogates=5, n_splits=10, n_score_bootstraps=50)
N_STIMULI, N_REPEATS, N_LATENTS = 120, 4, 6


def worlds(seed: int = 0) -> dict[str, xr.DataArray]:
    """A noisy recording of sparse latents, a linear relative of it, and a stranger; and the latents."""
    rng = np.random.default_rng(seed)
    latents = np.maximum(rng.standard_normal((N_STIMULI, N_LATENTS)), 0)
    signal = 3 + latents @ rng.standard_normal((N_LATENTS, 12))
    shown = np.repeat(np.arange(N_STIMULI), N_REPEATS)
    noisy = signal[shown] + 0.7 * rng.standard_normal((len(shown), 12))

    def stimuli_by_unit(values: np.ndarray) -> xr.DataArray:
        return population.from_arrays(values, dims=("stimulus", "unit"), stimulus=np.arange(N_STIMULI))

    return {
        "recording": population.from_arrays(noisy, dims=("trial", "unit"), stimulus=shown),
        "relative": stimuli_by_unit(latents @ rng.standard_normal((N_LATENTS, 20))),
        "stranger": stimuli_by_unit(rng.standard_normal((N_STIMULI, 14))),
        "latents": stimuli_by_unit(latents),
    }


@pytest.fixture(scope="module")
def compared() -> xr.Dataset:
    known = worlds()
    return compare(
        {name: known[name] for name in ("recording", "relative", "stranger")},
        stimulus_similarity=known["latents"],
        controls={"noise": {"noise": known["stranger"]}},
        n_atoms=4,
        effort=QUICK,
    )


def test_a_linear_relative_is_found_and_a_stranger_is_not(compared: xr.Dataset) -> None:
    relative, stranger = (compared.sel(representation=name) for name in ("relative", "stranger"))
    ceiling = float(compared["ceiling"].sel(representation="recording"))
    assert 0.75 < ceiling < 1
    assert abs(float(relative["r"]) - ceiling) < 0.05
    assert float(relative["r_back"]) > 0.8
    assert float(relative["p"]) == pytest.approx(1 / 40)
    assert abs(float(stranger["r"])) < 0.15
    assert float(stranger["p"]) > 0.05
    assert abs(float(relative["r_null"])) < 0.1


def test_every_representation_has_the_same_rows_and_scores_of_matched_size(compared: xr.Dataset) -> None:
    own = ["n_units", "dimension", "stability", "stability_surrogate", "gain", "units_mis", "atoms_mis", "n_atoms"]
    assert np.isfinite(compared[own].to_array()).all()
    assert compared["n_units"].values.tolist() == [12, 20, 14]
    assert compared["n_units_matched"].values.tolist() == [12, 12, 12]
    assert set(compared["verdict"].values) <= {"told from Gaussian", "not told from Gaussian"}
    assert np.isnan(compared["r"].sel(representation="recording")), "the reference is not mapped to itself"
    assert np.isnan(compared["ceiling"].sel(representation="relative")), "no repeats, no ceiling"
    assert float(compared["dimension"].sel(representation="relative")) < N_LATENTS + 0.1


def test_units_of_the_relative_are_interpretable_by_the_latents_and_those_of_the_stranger_are_not(
    compared: xr.Dataset,
) -> None:
    score = compared["units_mis"]
    assert float(score.sel(representation="relative")) > 0.75
    assert abs(float(score.sel(representation="stranger")) - 0.5) < 0.15


def test_the_best_layer_is_ahead_of_a_control_and_not_of_itself(compared: xr.Dataset) -> None:
    noise, model = (compared.sel(family=name) for name in ("noise", "model"))
    assert set(model["family_choice"].item().split(", ")) == {"relative"}
    assert float(noise["family_difference_low"]) > 0.5
    assert float(model["family_difference"]) == 0.0


def test_a_control_family_is_asked_for_once_and_in_its_turn() -> None:
    known = worlds(1)
    asked: list[str] = []

    class Lazy(Mapping[str, Mapping[str, xr.DataArray]]):
        def __getitem__(self, family: str) -> Mapping[str, xr.DataArray]:
            asked.append(family)
            return {family: known["stranger"]}

        def __iter__(self) -> Iterator[str]:
            return iter(["a", "b"])

        def __len__(self) -> int:
            return 2

    steps: list[str] = []
    compare(
        {"recording": known["recording"], "relative": known["relative"]},
        stimulus_similarity=known["latents"],
        controls=Lazy(),
        n_atoms=3,
        effort=QUICK,
        on_step=steps.append,
    )
    assert asked == ["a", "b"]
    assert steps[-2:] == ["control: a", "control: b"]
    assert steps[0].startswith("recording")


def test_the_reference_can_be_named_and_the_same_seed_gives_the_same_table() -> None:
    known = worlds(2)
    pair = {"relative": known["relative"], "recording": known["recording"]}
    asked = {"stimulus_similarity": known["latents"], "n_atoms": 3, "effort": QUICK}
    first, second = (compare(pair, reference="recording", **asked) for _ in range(2))
    assert first.attrs["reference"] == "recording"
    assert first["representation"].values.tolist() == ["recording", "relative"]
    xr.testing.assert_identical(first, second)


def test_maps_to_the_reference_take_all_its_units_and_maps_back_as_many() -> None:
    rng = np.random.default_rng(0)
    narrow, wide = (
        population.from_arrays(rng.standard_normal((60, n_units)), dims=("stimulus", "unit")) for n_units in (8, 20)
    )
    asked = rows.Question(None, None, None, 3, 8, Effort(n_permutations=1, n_bootstraps=1), 0)

    def n_predicted(x: xr.DataArray, y: xr.DataArray) -> list[int]:
        ways = rows.maps_between(x, y, asked)["target_direction"].values.tolist()
        return [ways.count("x->y"), ways.count("y->x")]

    assert n_predicted(narrow, wide) == [20, 8]
    assert n_predicted(wide, narrow) == [8, 8]


@pytest.mark.filterwarnings("ignore::neurosparse.errors.EvidenceWarning")  # few stimuli, which is not the subject
def test_the_dictionary_is_learned_at_the_penalty_that_was_tested(monkeypatch: pytest.MonkeyPatch) -> None:
    known = worlds(4)
    penalties: dict[str, float] = {}

    def tested(*arguments: object, **options: object) -> xr.Dataset:
        found = surrogate_test(*arguments, **options)
        penalties["tested"] = float(found.attrs["penalty"])
        return found

    def learner(*arguments: object, **options: object) -> DictionaryLearning:
        penalties["learned"] = float(options["penalty"])
        return DictionaryLearning(*arguments, **options)

    monkeypatch.setattr(rows, "surrogate_test", tested)
    monkeypatch.setattr(rows, "DictionaryLearning", learner)
    few = Effort(n_permutations=1, n_bootstraps=1, n_surrogates=5, n_splits=2, n_score_bootstraps=1)
    rows.own_row(known["stranger"], rows.Question(None, known["latents"], None, 2, 6, few, 0))
    assert penalties["learned"] == penalties["tested"] > 0


def test_findings_say_the_numbers_beside_null_ceiling_and_interval(compared: xr.Dataset) -> None:
    said = "\n".join(findings(compared))
    assert "r can reach 0." in said
    assert "(null " in said
    assert "noise: r" in said
    assert "stability" in said
    rows = table(compared)
    assert rows.index.tolist() == ["recording", "relative", "stranger"]
    assert rows.loc["relative", "r"] == pytest.approx(float(compared["r"].sel(representation="relative")))


def test_a_comparison_comes_back_from_netcdf(compared: xr.Dataset, tmp_path) -> None:
    compared.to_netcdf(tmp_path / "c.nc", engine="h5netcdf")
    with xr.open_dataset(tmp_path / "c.nc", engine="h5netcdf") as back:
        np.testing.assert_array_equal(back["r"].values, compared["r"].values)
        assert back["verdict"].values.tolist() == compared["verdict"].values.tolist()
        assert back.attrs == compared.attrs


def test_near_duplicate_images_share_a_label() -> None:
    images = np.random.default_rng(0).integers(0, 255, (5, 8, 8, 3)).astype(np.uint8)
    images[3] = np.clip(images[1].astype(int) + 2, 0, 255)
    labels = near_duplicate_stimuli(
        xr.DataArray(images, {"stimulus": list("abcde")}, ("stimulus", "row", "column", "channel"))
    )
    assert labels.sel(stimulus="b") == labels.sel(stimulus="d")
    assert len(np.unique(labels)) == 4


@pytest.mark.parametrize(("r", "together"), [(0.92, True), (0.88, False)])
def test_near_duplicates_correlate_above_nine_tenths(r: float, together: bool) -> None:
    drawn = np.random.default_rng(0).standard_normal((192, 2))
    one, other = np.linalg.qr(drawn - drawn.mean(0))[0].T
    images = np.stack([one, r * one + np.sqrt(1 - r**2) * other]).reshape(2, 8, 8, 3)
    labels = near_duplicate_stimuli(
        xr.DataArray(images, {"stimulus": [0, 1]}, ("stimulus", "row", "column", "channel"))
    )
    assert (len(np.unique(labels)) == 1) is together


def test_asking_wrongly_says_what_to_do() -> None:
    known = worlds(3)
    recording, relative = known["recording"], known["relative"]
    with pytest.raises(InputError, match="at least two representations"):
        compare({"recording": recording}, stimulus_similarity=known["latents"])
    with pytest.raises(InputError, match="reference='V1' is not among"):
        compare({"a": recording, "b": relative}, reference="V1", stimulus_similarity=known["latents"])
    with pytest.raises(InputError, match=r"compare needs stimuli= \(images\) or stimulus_similarity="):
        compare({"a": recording, "b": relative})
    with pytest.raises(InputError, match="trials without a coord 'stimulus'"):
        compare({"a": recording.drop_vars("stimulus"), "b": relative}, stimulus_similarity=known["latents"])
    with pytest.raises(InputError, match=r"5 of a's 120 are missing from b and 0 are new in it \(first 0\)"):
        compare({"a": recording, "b": relative.isel(stimulus=slice(5, None))}, stimulus_similarity=known["latents"])
    images = xr.DataArray(
        np.zeros((9, 2, 2, 1), np.uint8), {"stimulus": np.arange(9)}, ("stimulus", "row", "column", "channel")
    )
    with pytest.raises(InputError, match="stimuli lacks 111 of the 120 stimuli shown, first 9"):
        compare({"a": recording, "b": relative}, stimuli=images)


def test_near_duplicates_among_the_images_share_a_fold(monkeypatch: pytest.MonkeyPatch) -> None:
    # What is said of one representation has no folds to share, and is left out for speed.
    monkeypatch.setattr("neurosparse.comparison.asking.own_row", lambda x, asked: {"n_units": x.sizes["unit"]})
    known = worlds(4)
    images = np.random.default_rng(0).integers(0, 255, (N_STIMULI, 8, 8, 1)).astype(np.uint8)
    images[60:70] = images[:10]
    stimuli = xr.DataArray(images, {"stimulus": np.arange(N_STIMULI)}, ("stimulus", "row", "column", "channel"))
    pair = {name: known[name] for name in ("recording", "relative")}
    quick = Effort(n_permutations=5, n_bootstraps=5, n_surrogates=5, n_splits=2, n_score_bootstraps=5)
    result = compare(pair, stimuli=stimuli, stimulus_similarity=known["latents"], n_atoms=2, effort=quick)
    assert result.attrs["n_groups"] == N_STIMULI - 10


def test_each_row_holds_what_its_name_says(compared: xr.Dataset) -> None:
    relative = compared.sel(representation="relative")
    assert float(relative["R2"]) == pytest.approx(float(relative["r"]) ** 2, abs=0.1)
    assert float(relative["R2"]) < float(relative["r"]) - 0.02
    codes = compared.sel(representation="recording")
    assert 0 < float(codes["active_atoms"]) < float(codes["n_atoms"])


def test_dimension_counts_directions_about_the_mean() -> None:
    circle = np.stack([np.cos(np.arange(12) * np.pi / 6), np.sin(np.arange(12) * np.pi / 6), np.zeros(12)], 1)
    assert rows._participation_ratio(circle) == pytest.approx(2)
    assert rows._participation_ratio(circle + 100) == pytest.approx(2)
    assert rows._participation_ratio(circle * [1, 2, 1]) == pytest.approx((1 + 4) ** 2 / (1**2 + 4**2))
    assert rows._participation_ratio(circle * [1, 0, 0] + 5) == pytest.approx(1)
    assert np.isnan(rows._participation_ratio(np.ones((5, 2))))


@pytest.mark.parametrize("control", [False, True])
def test_maps_back_have_as_many_targets_as_maps_there(monkeypatch: pytest.MonkeyPatch, control: bool) -> None:
    asked: dict[str, object] = {}
    monkeypatch.setattr(rows, "linear_identifiability", lambda x, y, **named: asked.update(named))
    known = worlds(5)
    question = rows.Question(None, None, None, None, 12, QUICK, 0)
    rows.maps_between(known["relative"], known["recording"], question, control=control)
    assert asked["max_targets"] == 12
    assert asked["n_permutations"] == (0 if control else QUICK.n_permutations)
    assert asked["directions"] == (("x->y",) if control else ("x->y", "y->x"))


def test_halves_are_measured_in_the_noise_that_the_responses_are() -> None:
    trials = worlds(5)["recording"]
    responses = population.scale_by_noise(trials)
    asked = rows.Question(None, None, None, None, 12, QUICK, 3)
    halves = rows._half_averages(trials, responses, asked)
    first, second = next(population.split_halves(trials, n_splits=1, random_state=3))
    both = np.concatenate([first.values, second.values])
    np.testing.assert_allclose(halves, both / responses["noise_sd"].values)
    assert halves.attrs["units"] == responses.attrs["units"]


def test_each_number_of_the_findings_stands_where_its_words_say(compared: xr.Dataset) -> None:
    told = {"r": 0.71, "r_low": 0.61, "r_high": 0.81, "r_null": 0.02, "r_back": 0.72, "r_back_low": 0.62}
    told |= {"r_back_high": 0.82, "r_back_null": 0.03, "split_half_r": 0.44, "reliability": 0.55, "ceiling": 0.66}
    result = compared.copy()
    for name, value in told.items():
        result[name] = xr.full_like(compared[name], value)
    for name, value in {"family_r": 0.35, "family_difference": 0.36, "family_difference_low": 0.1}.items():
        result[name] = xr.full_like(compared[name], value)
    said = "\n".join(findings(result))
    assert "Split-half r 0.44, reliability of the averages 0.55, so r can reach 0.66" in said
    assert "relative predicts recording at r 0.71 [0.61, 0.81] (null 0.02, " in said
    assert "recording predicts relative at r 0.72 [0.62, 0.82] (null 0.03, " in said
    assert "the best layer is ahead by 0.36 [0.10, " in said
    assert "which is no difference" not in said
    result["family_difference_low"] = xr.full_like(compared["family_difference_low"], -0.1)
    assert "noise: r 0.35" in said
    assert "which is no difference that these stimuli can show" in "\n".join(findings(result))
