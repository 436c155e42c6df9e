"""A simulated world obeys the law it states, its file holds it exactly, and its network has the answer it claims."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import nwbinspector
import pynwb
import pytest
import torch
import xarray as xr
from scipy import stats
from sklearn.linear_model import Ridge

from neurosparse import networks, population
from neurosparse.errors import DataWarning, FileError, InputError
from neurosparse.simulation import Firing, World, gaussian_like, sparse_world, world_network, write_world
from neurosparse.simulation.firing import CLOCK

SMALL = {"n_units": 8, "n_atoms": 16, "n_stimuli": 60}


@pytest.fixture(scope="module")
def world() -> World:
    return sparse_world()


@pytest.fixture(scope="module")
def layers(world: World) -> dict[str, xr.DataArray]:
    module, names = world_network(world)
    shown = [*names, "modulus"]
    return networks.activations(module, world.images, shown, preprocess=module.preprocess, progress=False)


def held_out_r2(x: Any, y: Any) -> float:
    """Median over columns of y of the R2 of a ridge map from x, on the last third of the stimuli."""
    x, y = (np.asarray(a, dtype=float) for a in (x, y))
    x = (x - x.mean(0)) / (x.std(0) + 1e-9)
    cut = 2 * len(x) // 3
    predicted = Ridge(alpha=10.0).fit(x[:cut], y[:cut]).predict(x[cut:])
    return float(np.median(1 - ((y[cut:] - predicted) ** 2).sum(0) / ((y[cut:] - y[:cut].mean(0)) ** 2).sum(0)))


class TestTruth:
    def test_latents_are_sparse_non_negative_and_evenly_used(self, world: World) -> None:
        z = world.latents
        assert z.dims == ("stimulus", "atom")
        assert ((z > 0).sum("atom") == 3).all()
        active = z.values[z.values > 0]
        assert active.min() >= 0.5
        assert active.max() <= 1.5
        assert stats.kstest(active, "uniform", (0.5, 1.0)).pvalue > 0.001
        uses = (z > 0).sum("stimulus").values
        assert stats.chisquare(uses).pvalue > 0.001
        assert stats.chisquare(uses + np.arange(64)).pvalue < 0.001  # the test sees an uneven use of this size

    def test_atoms_have_unit_norm_and_the_coherence_asked_for(self, world: World) -> None:
        d = world.dictionary
        assert d.dims == ("atom", "unit")
        assert d.shape == (64, 32)
        np.testing.assert_allclose((d**2).sum("unit"), 1.0)
        cosines = np.abs(d.values @ d.values.T)[~np.eye(64, dtype=bool)]
        assert cosines.max() == pytest.approx(world.facts["coherence"])
        assert cosines.max() <= 0.5
        # Without the bound atoms come closer than that, and nothing else about their angles changes.
        free = sparse_world(n_stimuli=1, max_coherence=1.0)
        assert free.facts["coherence"] > 0.5
        assert np.median(cosines) == pytest.approx(stats.beta(0.5, 15.5).median() ** 0.5, abs=0.02)

    def test_rates_are_linear_in_the_latents_but_for_the_clipped_share(self, world: World) -> None:
        drive = 26 + world.facts["gain"] * world.latents.values @ world.dictionary.values
        np.testing.assert_allclose(world.rates, np.maximum(drive, 0), atol=1e-9)
        assert world.facts["clipped_share"] == (drive < 0).mean()
        assert 0 < world.facts["clipped_share"] < 0.01
        assert float(world.rates.std("stimulus").mean()) == pytest.approx(0.36 * 26, rel=0.03)

    @pytest.mark.parametrize("sizes", [(8, 16, 3), (64, 96, 8)])
    def test_the_depth_of_modulation_does_not_depend_on_the_size(self, sizes: tuple[int, int, int]) -> None:
        n_units, n_atoms, n_active = sizes
        other = sparse_world(n_units, n_atoms, 1000, n_active=n_active, firing=Firing(depth=0.3))
        assert float(other.rates.std("stimulus").mean()) == pytest.approx(0.3 * 26, rel=0.1)


class TestSpikes:
    def test_times_are_ascending_distinct_on_the_clock_and_inside_the_session(self, world: World) -> None:
        for times in world.spike_times:
            assert (np.diff(times) >= 1 / CLOCK).all()
            np.testing.assert_array_equal(times * CLOCK, np.rint(times * CLOCK))
            assert times[0] >= 0
            assert times[-1] < world.facts["duration"]

    def test_every_stimulus_is_shown_once_a_repeat_in_a_new_random_order(self, world: World) -> None:
        shown = world.trials["stimulus"].to_numpy().reshape(2, -1)
        for order in shown:
            np.testing.assert_array_equal(np.sort(order), np.arange(2400))
        assert abs(stats.spearmanr(*shown).statistic) < 0.1
        assert abs(stats.spearmanr(shown[0], np.arange(2400)).statistic) < 0.1
        np.testing.assert_array_equal(world.trials["repeat"], np.repeat([0, 1], 2400))
        begin, end = world.trials["start_time"].to_numpy(), world.trials["stop_time"].to_numpy()
        np.testing.assert_array_equal(end - begin, 1.0)
        np.testing.assert_array_equal(begin[1:] - end[:-1], 0.25)

    def test_counts_are_poisson_about_the_rates_and_independent(self, world: World) -> None:
        counts = world.counts()
        rates = world.rates.values[world.trials["stimulus"]]  # (trial, unit)
        safe = np.maximum(rates, 1.0)
        z = (counts.values - rates) / np.sqrt(safe)
        assert np.abs(z.mean(0)).max() < 4 / np.sqrt(len(z))
        dispersion = (z**2 * (rates > 1)).sum(0) / (rates > 1).sum(0)
        # The variance of (count - rate)^2 / rate is 2 + 1 / rate: near 2 here.
        assert np.abs(dispersion - 1).max() < 4.5 * np.sqrt(2.1 / len(z))
        between = np.corrcoef(z.T)[~np.eye(32, dtype=bool)]
        assert np.abs(between).max() < 5 / np.sqrt(len(z))
        by_stimulus = z[np.argsort(world.trials["stimulus"], kind="stable")].reshape(2400, 2, 32)
        assert abs(np.mean(by_stimulus[:, 0] * by_stimulus[:, 1])) < 4 / np.sqrt(2400 * 32)
        # About the unit's own mean rate, as if stimuli did nothing, the counts are far from Poisson.
        assert (counts.var("trial") / counts.mean("trial")).min() > 2

    def test_spikes_fill_trials_evenly_and_go_on_at_the_baseline_between_them(self, world: World) -> None:
        begin, end = world.trials["start_time"].to_numpy(), world.trials["stop_time"].to_numpy()
        for times in world.spike_times[:4]:
            trial = np.searchsorted(begin, times, side="right") - 1
            inside = (trial >= 0) & (times < end[trial])
            assert stats.kstest((times - begin[trial])[inside], "uniform").pvalue > 1e-4
            idle = (world.facts["duration"] - (end - begin).sum()) * 26
            assert abs((~inside).sum() - idle) < 4 * np.sqrt(idle)

    def test_averages_are_as_reliable_as_stated(self, world: World) -> None:
        counts = world.counts()
        halves = [counts[counts["repeat"] == repeat].sortby("stimulus").values for repeat in (0, 1)]
        r = np.array([np.corrcoef(*pair)[0, 1] for pair in zip(halves[0].T, halves[1].T, strict=True)])
        reliability = 2 * r / (1 + r)
        assert 0.85 < np.median(reliability) < 0.95
        assert reliability.min() > 0.75

    def test_without_a_gap_trials_touch_and_few_ticks_suffice(self) -> None:
        fast = sparse_world(**SMALL, firing=Firing(baseline=500.0, window=0.001, gap=0.0))
        np.testing.assert_array_equal(fast.trials["start_time"][1:], fast.trials["stop_time"][:-1])
        assert all((np.diff(times) > 0).all() for times in fast.spike_times)
        assert int(fast.counts().sum()) == sum(map(len, fast.spike_times))


class TestImages:
    def test_pixels_hide_the_latents_from_a_line_and_the_modulus_shows_them(
        self, world: World, layers: dict[str, xr.DataArray]
    ) -> None:
        z = world.latents
        assert held_out_r2(layers["modulus"], z) > 0.999
        assert held_out_r2(networks.pixels(world.images, size=24), z) < 0.5
        # Images of other stimuli say nothing about these.
        assert held_out_r2(layers["modulus"].values[::-1], z) < 0.01

    def test_a_latent_is_seen_at_one_place_and_nothing_else_is_there(self, world: World) -> None:
        grey = sparse_world(n_units=4, n_atoms=64, n_stimuli=64, n_active=1, max_coherence=1, firing=Firing(depth=0.1))
        cells = grey.images.values.astype(int).reshape(64, 4, 12, 4, 12, 3)
        coloured = (np.abs(cells - 128).max(axis=(2, 4, 5)) > 10).reshape(64, 16)  # (stimulus, place)
        np.testing.assert_array_equal(coloured.sum(axis=1), 1)
        np.testing.assert_array_equal(coloured.argmax(axis=1), grey.latents.values.argmax(axis=1) // 4)

    def test_the_contrast_fills_the_range_and_nothing_clips(self, world: World) -> None:
        assert world.images.dtype == np.uint8
        assert world.images.dims == ("stimulus", "row", "column", "channel")
        low, high = int(world.images.min()), int(world.images.max())
        assert low >= 1
        assert max(high - 128, 128 - low) == 127


class TestNetwork:
    def test_superposed_is_linear_in_the_latents_by_construction(
        self, world: World, layers: dict[str, xr.DataArray]
    ) -> None:
        module, names = world_network(world)
        assert names == ["early", "superposed", "scrambled"]
        truth = world.latents.values @ module.dictionary.numpy()
        error = ((layers["superposed"].values - truth) ** 2).sum() / ((truth - truth.mean(0)) ** 2).sum()
        assert 1 - error > 0.999
        assert np.allclose(np.linalg.norm(module.dictionary, axis=1), 1)
        # Another network has another dictionary, so the agreement above is no accident.
        other, _ = world_network(world, random_state=1)
        wrong = world.latents.values @ other.dictionary.numpy()
        assert ((layers["superposed"].values - wrong) ** 2).sum() > ((truth - truth.mean(0)) ** 2).sum()

    def test_a_linear_map_to_the_rates_finds_the_layers_in_the_stated_order(
        self, world: World, layers: dict[str, xr.DataArray]
    ) -> None:
        r2 = {name: held_out_r2(layer, world.rates) for name, layer in layers.items()}
        assert r2["modulus"] > 0.99
        assert r2["superposed"] == pytest.approx(48 / 64, abs=0.05)
        assert r2["early"] == pytest.approx(0.43, abs=0.05)
        assert r2["scrambled"] < 0.05

    def test_scrambled_is_a_function_of_superposed_that_keeps_stimuli_apart(
        self, world: World, layers: dict[str, xr.DataArray]
    ) -> None:
        scrambled = layers["scrambled"].values
        assert held_out_r2(layers["superposed"], scrambled) < 0.05
        distances = np.linalg.norm(scrambled[:200, None] - scrambled[None, :200], axis=-1)
        assert distances[~np.eye(200, dtype=bool)].min() > 0.5

    @pytest.mark.parametrize("n_atoms", [1, 10, 33])
    def test_any_number_of_latents_fits_on_the_grid(self, n_atoms: int) -> None:
        odd = sparse_world(8, n_atoms, 40, n_active=1, max_coherence=1, firing=Firing(depth=0.1))
        module, _ = world_network(odd, n_units=5)
        seen = torch.nn.Sequential(*list(module)[:4])(module.preprocess(odd.images.values)).numpy()
        np.testing.assert_allclose(seen, odd.latents.values @ module.dictionary.numpy(), atol=0.03)

    def test_the_network_never_shares_the_worlds_dictionary(self, world: World) -> None:
        twin, _ = world_network(world, n_units=32, random_state=0)
        cosines = (twin.dictionary.numpy() * world.dictionary.values).sum(axis=1)
        assert abs(cosines.mean()) < 0.1

    def test_it_is_ready_to_use_and_draws_from_no_global_generator(self, world: World) -> None:
        before = torch.random.get_rng_state()
        module, _ = world_network(world)
        assert not module.training
        assert not any(weight.requires_grad for weight in module.parameters())
        again, _ = world_network(world)
        assert all(torch.equal(a, b) for a, b in zip(module.parameters(), again.parameters(), strict=True))
        assert torch.equal(before, torch.random.get_rng_state())

    def test_it_needs_a_unit(self, world: World) -> None:
        with pytest.raises(InputError, match="n_units needs at least 1; got 0"):
            world_network(world, n_units=0)


class TestFile:
    def test_the_file_holds_exactly_what_was_simulated_and_not_the_truth(self, world: World, tmp_path: Path) -> None:
        path = write_world(world, tmp_path / "world.nwb")
        assert path.stat().st_size < 20e6
        counts = world.counts().values
        with pynwb.NWBHDF5IO(path, "r") as io:
            file = io.read()
            trials = file.trials.to_dataframe()
            for unit, times in enumerate(world.spike_times):
                read = file.units["spike_times"][unit]
                np.testing.assert_array_equal(read, times)
                inside = (read >= trials["start_time"].iloc[17]) & (read < trials["stop_time"].iloc[17])
                assert inside.sum() == counts[17, unit]
            for name in world.trials:
                np.testing.assert_array_equal(trials[name], world.trials[name])
            np.testing.assert_array_equal(file.stimulus_template["images"].data[:], world.images)
            np.testing.assert_array_equal(file.units["obs_intervals"][3], [[0, world.facts["duration"]]])
            assert set(file.units.colnames) == {"spike_times", "obs_intervals", "location"}
            assert list(file.processing) == []
            assert file.session_id == "sparse_world_0"
        found = nwbinspector.inspect_nwbfile(nwbfile_path=path)
        assert all(one.importance.value < nwbinspector.Importance.CRITICAL.value for one in found)

    def test_counts_are_the_spikes_of_each_trial(self, world: World) -> None:
        counts = world.counts()
        population.check(counts, dims=("trial", "unit"))
        trial, unit = 4321, 5
        begin, end = world.trials.loc[trial, ["start_time", "stop_time"]]
        times = world.spike_times[unit]
        assert counts[trial, unit] == ((times >= begin) & (times < end)).sum()
        np.testing.assert_array_equal(counts["stimulus"], world.trials["stimulus"])
        assert population.provenance(counts)["random_state"] == 0

    def test_an_existing_file_is_kept(self, tmp_path: Path) -> None:
        small = sparse_world(**SMALL)
        path = write_world(small, tmp_path / "world.nwb")
        with pytest.raises(FileError, match="it exists"):
            write_world(small, path)
        write_world(small, path, overwrite=True)


class TestSeeds:
    def test_the_same_seed_gives_the_same_world_and_another_seed_another(self) -> None:
        def everything(world: World) -> list[Any]:
            truth = [world.latents, world.dictionary, world.rates, world.images, world.trials]
            return [*map(np.asarray, truth), np.concatenate(world.spike_times)]

        first, again, other = (everything(sparse_world(**SMALL, random_state=seed)) for seed in (3, 3, 4))
        assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
        assert not any(np.array_equal(a, b) for a, b in zip(first, other, strict=True))

    def test_more_repeats_or_other_rates_leave_truth_and_images_alone(self) -> None:
        first = sparse_world(**SMALL)
        for other in (sparse_world(**SMALL, n_repeats=3), sparse_world(**SMALL, firing=Firing(baseline=10, depth=0.2))):
            for name in ("latents", "dictionary", "images"):
                xr.testing.assert_identical(getattr(first, name), getattr(other, name))
            assert not np.array_equal(first.spike_times[0], other.spike_times[0])

    def test_a_generator_is_a_seed_too(self) -> None:
        worlds = [sparse_world(**SMALL, random_state=np.random.default_rng(5)) for _ in range(2)]
        xr.testing.assert_identical(worlds[0].rates, worlds[1].rates)
        assert "Generator" in worlds[0].facts["random_state"]


class TestGaussian:
    def test_mean_and_covariance_are_those_of_the_population_and_sparseness_is_gone(self, world: World) -> None:
        x = population.average(world.counts())
        y = gaussian_like(x)
        xr.testing.assert_identical(y.coords.to_dataset(), x.coords.to_dataset())
        n = x.sizes["stimulus"]
        error = (y.mean("stimulus") - x.mean("stimulus")) / x.std("stimulus")
        assert np.abs(error).max() < 4 / np.sqrt(n)
        want, got = np.cov(x.values.T), np.cov(y.values.T)
        scale = np.sqrt(np.outer(np.diag(want), np.diag(want)))
        assert np.abs((got - want) / scale).max() < 4.5 * np.sqrt(2 / n)
        # Along a true atom the world is heavy-tailed, its Gaussian twin is not.
        atom = world.dictionary.values.T
        assert np.median(stats.kurtosis(x.values @ atom)) > 10 * np.median(np.abs(stats.kurtosis(y.values @ atom)))

    def test_more_units_than_samples_and_time_are_no_trouble(self) -> None:
        values = np.random.default_rng(0).standard_normal((4, 3, 40)) * np.arange(40)
        x = population.from_arrays(values, dims=("trial", "time", "unit"), bin_width=0.1, kind="spikes", session="s")
        y = np.concatenate([gaussian_like(x, random_state=seed).values.reshape(12, 40) for seed in range(200)])
        want = np.cov(values.reshape(12, 40).T)
        scale = np.sqrt(np.outer(np.diag(want), np.diag(want)))[1:, 1:]
        assert np.abs((np.cov(y.T) - want)[1:, 1:] / scale).max() < 5 * np.sqrt(2 / len(y))
        np.testing.assert_allclose(y[:, 0], 0, atol=1e-12)
        assert gaussian_like(x).attrs["kind"] == "simulated"
        assert gaussian_like(x).attrs["session"] == "s"
        assert not np.array_equal(gaussian_like(x, random_state=1), gaussian_like(x, random_state=2))
        assert population.provenance(gaussian_like(x))["steps"][-1]["step"] == "gaussian_like"

    @pytest.mark.parametrize(
        ("values", "message"),
        [([[1.0, np.nan], [1.0, 2.0]], "without NaN; got 1"), ([[1.0, 2.0]], "at least 2 samples .* shape")],
    )
    def test_it_says_what_it_needs(self, values: list[list[float]], message: str) -> None:
        with pytest.raises(InputError, match=message):
            gaussian_like(population.from_arrays(values, dims=("trial", "unit")))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_units": 0}, "n_units needs at least 1; got 0"),
        ({"n_repeats": 0}, "n_repeats needs at least 1; got 0"),
        ({"n_active": 17}, r"n_active needs at most n_atoms \(16\); got 17"),
        ({"max_coherence": 0.0}, r"needs to lie in \(0, 1\]; got 0.0"),
        (
            {"n_atoms": 200, "max_coherence": 0.2},
            r"no 200 atoms over 8 units with \|cos\| <= 0.2 .*Raise max_coherence",
        ),
    ],
)
def test_impossible_worlds_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        sparse_world(**SMALL | settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"baseline": 0}, r"Firing needs baseline in \(0, 500\] Hz.* got Firing\(baseline=0,"),
        ({"baseline": 501}, r"baseline in \(0, 500\] Hz"),
        ({"baseline": float("nan")}, "baseline=nan"),
        ({"depth": 0}, "depth > 0"),
        ({"window": 1e-5}, "window >= 0.001 s"),
        ({"gap": 1e-5}, "gap 0 or >= 0.001 s"),
    ],
)
def test_impossible_firing_is_refused(settings: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Firing(**settings)


def test_rates_that_clip_too_often_are_reported() -> None:
    with pytest.warns(DataWarning, match=r"of the rates would be negative .*Lower firing.depth \(0.9\)"):
        sparse_world(**SMALL, firing=Firing(depth=0.9))


def test_the_room_loads_neither_torch_nor_pynwb_before_they_are_needed() -> None:
    code = (
        "import sys; from neurosparse import simulation; simulation.sparse_world(4, 6, 5, max_coherence=1);"
        "print([name for name in ('torch', 'pynwb', 'h5py') if name in sys.modules], 'gabor' in dir(simulation))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[] False"
    from neurosparse import simulation

    with pytest.raises(AttributeError, match="no attribute 'dense_world'"):
        simulation.dense_world  # noqa: B018
