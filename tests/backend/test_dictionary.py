"""The learner's objective never rises, it finds planted atoms without being told their sparsity, and repeats itself."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.sparse import issparse

from neurosparse.backend.baselines import random_dictionary
from neurosparse.backend.dictionary import Learner, Search, Settings, choose_penalty, fit, reference_penalty
from neurosparse.backend.dictionary import learner as learning
from neurosparse.backend.dictionary import penalty as choosing
from neurosparse.backend.dictionary.annealing import RATE, Block, block_size, still_pays
from neurosparse.backend.dictionary.residuals import directions
from neurosparse.backend.inference import objective
from neurosparse.backend.matching import recovery
from neurosparse.errors import InputError


def planted(n_units=12, n_atoms=16, n_active=2, n_samples=600, noise=0.05, seed=0):
    """Samples, and the atoms they are made of."""
    rng = np.random.default_rng(seed)
    atoms = random_dictionary(n_atoms, n_units, random_state=seed)
    active = rng.permuted(np.tile(np.arange(n_atoms), (n_samples, 1)), axis=1)[:, :n_active]
    codes = np.zeros((n_samples, n_atoms))
    np.put_along_axis(codes, active, rng.uniform(0.5, 1.5, active.shape), axis=1)
    x = codes @ atoms + noise * rng.standard_normal((n_samples, n_units)) + 0.3
    return torch.from_numpy(x), atoms


def half_normal_world(seed):
    """The law of arXiv 2411.13117: 16 atoms, 8 units, 3 active with |N(0, 1)| amplitudes, 1,024 samples, no noise."""
    rng = np.random.default_rng(seed)
    atoms = random_dictionary(16, 8, random_state=seed)
    codes = np.zeros((1024, 16))
    for row in codes:
        row[rng.choice(16, 3, replace=False)] = np.abs(rng.standard_normal(3))
    return torch.from_numpy(codes @ atoms), atoms


@pytest.mark.parametrize("codes", ["nonnegative", "signed"])
@pytest.mark.parametrize("atoms", ["signed", "nonnegative"])
@pytest.mark.parametrize("solver", ["auto", "fista"])
def test_objective_never_rises_at_one_penalty_and_atoms_keep_unit_norm(codes, atoms, solver):
    x, _ = planted(n_samples=200)
    start = torch.from_numpy(np.abs(random_dictionary(16, 12, random_state=1)))
    learner = Learner(x, start, Settings(codes=codes, atoms=atoms, solver=solver))
    values = [learner.step(0.2, code_tol=1e-8) for _ in range(25)]
    assert (np.diff(values) <= 1e-12).all()
    assert values[-1] < 0.9 * values[1]
    torch.testing.assert_close(learner.dictionary.norm(dim=1), torch.ones(16, dtype=x.dtype))
    if codes == "nonnegative":
        assert bool((learner.codes >= 0).all())
    else:
        assert bool((learner.codes < 0).any())
    assert bool((learner.dictionary >= 0).all()) == (atoms == "nonnegative")


def test_each_atom_moves_to_the_best_place_on_the_sphere():
    x, _ = planted(n_samples=100)
    learner = Learner(x, torch.from_numpy(random_dictionary(3, 12, random_state=0)), Settings(offset=False))
    learner.infer(0.1)
    codes, before = learner.codes.clone(), learner.dictionary.clone()
    learner.step(0.1)
    # The last atom was updated after all others, so no other direction is better for it.
    best = objective(x, learner.dictionary, codes, 0.1).sum()
    assert best < objective(x, before, codes, 0.1).sum()
    for other in random_dictionary(200, 12, random_state=2):
        trial = learner.dictionary.clone()
        trial[2] = 0.9 * trial[2] + 0.1 * torch.from_numpy(other)
        trial[2] /= trial[2].norm()
        assert objective(x, trial, codes, 0.1).sum() >= best


def test_compiled_and_torch_loops_agree():
    x, _ = planted(n_samples=150)
    start = torch.from_numpy(random_dictionary(16, 12, random_state=1))
    found = []
    for solver in ("auto", "fista"):
        learner = Learner(x, start, Settings(solver=solver))
        for _ in range(5):
            learner.step(0.2, code_tol=1e-11)
        found.append(learner)
    torch.testing.assert_close(found[0].dictionary, found[1].dictionary, atol=1e-4, rtol=0)
    torch.testing.assert_close(found[0].offset, found[1].offset, atol=1e-4, rtol=0)


def test_planted_atoms_come_back_without_truth_and_a_rotated_truth_does_not_match():
    x, atoms = planted()
    path = choose_penalty(x, 16, Settings(), random_state=0)
    found = fit(x, 16, path.penalty, Settings(), n_restarts=4, random_state=0)
    assert found.converged
    learned = found.learner.dictionary.numpy()
    assert recovery(learned, atoms).min() > 0.95
    assert recovery(learned, atoms[:, ::-1]).mean() < 0.75
    np.testing.assert_allclose(found.learner.offset.numpy(), 0.3, atol=0.25)


def test_a_penalty_is_held_while_blocks_of_steps_gain():
    x, _ = planted()
    learner = Learner.at_random(x.float(), 16, Settings(hold=4), np.random.RandomState(0))
    assert block_size(learner) == 12

    def pays(*objectives):
        return still_pays([Block(objective, moved=0.0) for objective in objectives], learner)

    assert pays()
    assert pays(1.0)
    assert pays(2.0, 1.5, 1.5 * (1 - 12.1 * RATE))
    assert not pays(2.0, 1.5, 1.5 * (1 - 11.9 * RATE))
    assert not pays(4.0, 3.0, 2.0, 1.0)  # as many blocks as are allowed
    large = torch.zeros((40_000, 2))
    assert block_size(Learner.at_random(large, 4000, Settings(), np.random.RandomState(0))) == 4


def test_holding_penalties_finds_atoms_that_a_short_stay_misses():
    rng = np.random.default_rng(0)
    atoms, codes = random_dictionary(200, 47, random_state=0), np.zeros((2500, 200))
    active = rng.random(codes.shape).argpartition(9, axis=1)[:, :10]
    np.put_along_axis(codes, active, rng.random(active.shape), axis=1)
    x, found = torch.from_numpy(codes @ atoms), {}
    for most in (1, 40):
        history: list = []
        best = fit(x, 200, 0.15, Settings(hold=most, patience=0, max_iter=2), random_state=0, on_step=history.append)
        found[most] = (recovery(best.learner.dictionary.numpy(), atoms) > 0.9).mean()
        penalties = [step["penalty"] for step in history if step["stage"] == "anneal"]
        assert len(set(penalties)) == Settings().levels
        assert (np.diff(penalties) <= 0).all()
    assert found[40] > 0.95
    assert found[1] < 0.5


def test_a_start_is_no_truth_that_was_drawn_from_the_same_seed():
    x, atoms = planted()
    learner = Learner.at_random(x, 16, Settings(), np.random.RandomState(0))
    assert recovery(learner.dictionary.numpy(), atoms).mean() < 0.75
    assert recovery(random_dictionary(16, 12, random_state=0), atoms).mean() > 0.99  # what it must not be


def test_the_dictionary_annealed_for_the_choice_of_a_penalty_is_a_start():
    x, _ = planted()
    path = choose_penalty(x, 16, Settings(), random_state=0)
    assert path.dictionary.shape == (20, 12)  # a surplus of a quarter
    history: list = []
    fit(x, 16, path.penalty, Settings(), random_state=0, start=path.dictionary, on_step=history.append)
    working = [step["penalty"] for step in history if step["stage"] == "anneal"]
    assert len(set(working)) == 1
    assert working[0] >= path.penalty
    search = Search(x, 16, path.penalty, Settings(), random_state=0, start=path.dictionary)
    torch.testing.assert_close(search.runs[0].learner.dictionary, path.dictionary)


def test_the_largest_penalty_within_one_standard_error_of_the_best_is_taken(monkeypatch):
    x, _ = planted()
    spread = np.where(np.arange(100) % 2, 0.2, -0.2)  # a standard error of .02 over the 100 samples held out
    error = np.full((len(choosing.LEVELS), 100), np.nan)
    for level, mean in {9: 0.96, 10: 0.951, 11: 0.935, 12: 0.93, 13: 0.94}.items():
        error[level] = mean + spread
    atoms = {level: torch.full((1, 1), float(level)) for level in range(9, 14)}
    monkeypatch.setattr(choosing, "descend", lambda *_, **__: choosing.Descent(error, np.ones(100), atoms))
    path = choose_penalty(x, 16, Settings(), random_state=0)
    assert path.penalty == pytest.approx(choosing.LEVELS[11] * reference_penalty(x, 16))
    assert path.dictionary.item() == 11
    np.testing.assert_allclose(path.error, [0.96, 0.951, 0.935, 0.93, 0.94])
    np.testing.assert_allclose(path.standard_error, 0.02)
    few = choose_penalty(x, 120, Settings(), random_state=0)  # where samples are few: the best
    assert few.penalty == pytest.approx(choosing.LEVELS[12] * reference_penalty(x, 120))
    error[9:12] += 1  # where the best is below what annealing goes to, the start stays there
    assert choose_penalty(x, 16, Settings(), random_state=0).dictionary.item() == 12
    error[12] += 1
    assert choose_penalty(x, 16, Settings(), random_state=0).dictionary.item() == 12


@pytest.mark.parametrize(("best", "taken"), [(4, 4), (7, 6), (8, 6)])
def test_no_penalty_above_the_top_is_taken_for_being_within_one_standard_error(monkeypatch, best, taken):
    x, _ = planted()
    error = np.full((len(choosing.LEVELS), 100), np.nan)
    for level in range(2, 10):
        error[level] = 0.93 + 0.002 * abs(level - best) + np.where(np.arange(100) % 2, 0.2, -0.2)
    atoms = {level: torch.full((1, 1), float(level)) for level in range(2, 10)}
    monkeypatch.setattr(choosing, "descend", lambda *_, **__: choosing.Descent(error, np.ones(100), atoms))
    path = choose_penalty(x, 16, Settings(), random_state=0)
    assert path.penalty == pytest.approx(choosing.LEVELS[taken] * reference_penalty(x, 16))
    assert choosing.LEVELS[6] == choosing.LEVELS[choosing.TOP] == 0.7


@pytest.mark.parametrize(
    ("first", "others", "many", "n_folds", "taken"),
    [
        (6, 4, 512, 5, 4),  # all test sets together tell that the best is above the top
        (5, 8, 512, 5, 6),  # or that it is not: then the first one among the others
        (7, 4, 512, 1, 7),  # below the top one test set tells
        (6, 4, 8, 1, 6),  # and of many atoms
    ],
)
def test_at_the_top_and_above_more_test_sets_tell(monkeypatch, first, others, many, n_folds, taken):
    x, _ = planted()
    seen = []

    def made(train, test, *_, beyond, **__):
        assert (len(train), len(test)) == (len(x) - 100, 100)
        assert beyond == bool(seen)
        seen.append(test)
        best = first if len(seen) == 1 else others
        error = np.full((len(choosing.LEVELS), 100), np.nan)
        for level in range(2, 13):
            error[level] = 0.9 + 0.002 * abs(level - best) + np.where(np.arange(100) % 2, 0.01, -0.01)
        return choosing.Descent(error, np.ones(100), {level: torch.full((1, 1), float(level)) for level in range(13)})

    monkeypatch.setattr(choosing, "descend", made)
    monkeypatch.setattr(choosing, "MANY", many)
    path = choose_penalty(x, 16, Settings(), random_state=0)
    assert len(seen) == n_folds
    assert len(torch.unique(torch.cat(seen), dim=0)) == 100 * n_folds  # each sample is held out once
    assert path.penalty == pytest.approx(choosing.LEVELS[taken] * reference_penalty(x, 16))
    assert path.dictionary.item() == taken


def noisy(n_samples, noise, seed=0):
    """Sparse samples of 24 atoms under noise of so many times their standard deviation, and the atoms."""
    rng, atoms = np.random.default_rng(seed), random_dictionary(24, 16, random_state=seed + 50)
    x = np.abs(rng.standard_normal((n_samples, 24))) * (rng.random((n_samples, 24)) < 0.06) @ atoms
    return torch.from_numpy(x + noise * x.std() * rng.standard_normal(x.shape)), atoms


def test_where_noise_is_most_of_the_data_the_penalty_is_above_the_usual_ones():
    x, atoms = noisy(6000, 2.0)
    top = choosing.LEVELS[choosing.TOP] * reference_penalty(x, 24)
    seen: list = []
    path = choose_penalty(x, 24, Settings(), random_state=0, on_step=seen.append)
    assert path.penalty > 1.2 * top
    assert path.penalty == path.penalties[path.error.argmin()]
    tried = sorted({step["penalty"] / top * choosing.LEVELS[choosing.TOP] for step in seen}, reverse=True)
    assert tried[:7] == pytest.approx(choosing.LEVELS[:7])  # all of those above; what foretells nothing is left out
    assert path.penalties[0] < choosing.LEVELS[0] / choosing.LEVELS[choosing.TOP] * top
    found, usual = (
        fit(x, 24, penalty, Settings(), random_state=0, start=start).learner.dictionary.numpy()
        for penalty, start in ((path.penalty, path.dictionary), (top, None))
    )
    assert recovery(found, atoms).mean() > recovery(usual, atoms).mean() + 0.015


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_from_noise_alone_no_penalty_is_taken_at_which_codes_vanish(seed):
    x = torch.from_numpy(np.random.default_rng(seed).standard_normal((1500, 12)))
    path = choose_penalty(x, 16, Settings(), random_state=seed)
    assert path.penalty == pytest.approx(0.7 * reference_penalty(x, 16))
    assert path.penalties.max() == path.penalty


@pytest.mark.parametrize(("n_samples", "n_test"), [(60, 12), (300, 60), (600, 100), (3000, 300), (8000, 500)])
def test_samples_held_out_are_enough_to_foretell_and_few_of_few(monkeypatch, n_samples, n_test):
    seen = []

    def looked_at(train, test, *_, **__):
        seen.append((len(train), len(test)))
        error = np.full((len(choosing.LEVELS), len(test)), np.nan)
        error[12] = 0.5
        return choosing.Descent(error, np.ones(len(test)), {12: torch.ones((1, 1))})

    monkeypatch.setattr(choosing, "descend", looked_at)
    choose_penalty(planted(n_samples=n_samples)[0], 16, Settings(), random_state=0)
    assert seen == [(n_samples - n_test, n_test)]


@pytest.mark.parametrize("solver", ["auto", "fista"])
def test_codes_kept_without_their_zeros_change_nothing(monkeypatch, solver):
    x, _ = planted(n_samples=100)
    monkeypatch.setattr(learning, "CHUNK", 30)
    states = []
    for limit in (10**9, 0):
        monkeypatch.setattr(learning, "DENSE_ENTRIES", limit)
        one = Learner.at_random(x, 16, Settings(solver=solver), np.random.RandomState(0))
        for _ in range(3):
            one.step(0.3)
        again = Learner.from_state(one.state(), x, Settings(solver=solver))
        for each in (one, again):
            assert each.kept is not None
            assert {issparse(part) or part.is_sparse for part in each.kept} == {limit == 0}
            each.step(0.3)
        states.append((one.dictionary, one.codes, again.dictionary, again.codes))
    for other in (*states[0], *states[1])[2:]:
        assert torch.equal(other, states[0][0 if other.shape == (16, 12) else 1])


def test_replacement_frees_starts_that_are_stuck():
    x, atoms = half_normal_world(1)  # two of its four starts are
    missing = {0: 0, 3: 0}
    for seed in range(4):
        learners = {
            patience: fit(x, 16, 0.1, Settings(patience=patience, surplus=0), random_state=seed).learner
            for patience in missing
        }
        assert learners[3].objective <= learners[0].objective * (1 + 1e-6)
        for patience, learner in learners.items():
            missing[patience] += int((recovery(learner.dictionary.numpy(), atoms) < 0.9).sum())
    assert missing[3] < missing[0]


def test_a_surplus_of_atoms_that_is_let_go_leaves_none_missing():
    x, atoms = half_normal_world(0)
    missing = {}
    for surplus in (0.0, 1.0):
        settings = Settings(patience=0, surplus=surplus)
        found = [fit(x, 16, 0.1, settings, random_state=seed).learner.dictionary for seed in (1, 3)]
        assert {tuple(dictionary.shape) for dictionary in found} == {(16, 8)}
        missing[surplus] = sum(int((recovery(dictionary.numpy(), atoms) < 0.9).sum()) for dictionary in found)
    assert missing[0.0] > 0
    assert missing[1.0] == 0


@pytest.mark.parametrize("codes", ["nonnegative", "signed"])
def test_thinning_lets_go_of_doubles_and_of_what_one_sample_made_but_not_of_rare_atoms(codes):
    rng = np.random.default_rng(0)
    atoms = np.eye(8)
    z = rng.uniform(0.5, 1.0, (400, 8)) * (rng.random((400, 8)) < 0.3)
    z[:, 0] *= np.arange(400) % 10 == 0  # rare, but as large as any
    x = z @ atoms
    x[7] += 0.6  # of no atom
    twin, single = atoms[1] + 0.02 * atoms[2], np.ones(8)
    start = torch.from_numpy(np.vstack([twin, single, atoms]))
    learner = Learner(torch.from_numpy(x), start, Settings(codes=codes, offset=False))
    learner.infer(0.1)
    before = learner.statistics.copy()
    learner.thin(8)
    assert recovery(learner.dictionary.numpy(), atoms).min() > 0.999
    came_from = (learner.dictionary @ (start / start.norm(dim=1, keepdim=True)).T).argmax(1)
    after = learner.statistics
    assert torch.equal(after.gram, before.gram[came_from][:, came_from])
    for name in ("cross", "use", "events"):
        assert torch.equal(getattr(after, name), getattr(before, name)[came_from])
    assert np.isfinite(learner.step(0.1))


@pytest.mark.parametrize("codes", ["nonnegative", "signed"])
def test_residual_directions_are_those_left_out(codes):
    rng = np.random.default_rng(0)
    hidden = np.kron(np.eye(2), np.ones(6) / np.sqrt(6))  # two atoms that share no unit
    use = rng.exponential(size=(300, 2)) * (rng.random((300, 2)) < 0.1)
    residual = torch.from_numpy(use @ hidden + 0.1 * rng.standard_normal((300, 12)))
    for atoms in ("signed", "nonnegative"):
        found = directions(residual, 0.2, 2, Settings(codes=codes, atoms=atoms), np.random.RandomState(0))
        assert recovery(found.numpy(), hidden).min() > 0.95
        torch.testing.assert_close(found.norm(dim=1), torch.ones(2, dtype=found.dtype))
    nothing = directions(torch.zeros_like(residual), 0.2, 2, Settings(), np.random.RandomState(0))
    assert bool(nothing.isfinite().all())


def test_replacement_that_does_not_pay_leaves_everything_as_it_was():
    x, atoms = planted()
    learner = Learner(x, torch.from_numpy(atoms.copy()), Settings())
    for _ in range(30):
        learner.step(0.15)
    before = learner.state()
    assert not learner.replace(0.15, 2, np.random.RandomState(0))
    for name, value in learner.state().items():
        np.testing.assert_array_equal(value, before[name])


def test_restarts_keep_the_lowest_objective_and_history_falls():
    x, _ = half_normal_world(0)
    steps = []
    settings = Settings(patience=0, surplus=0)  # so that starts end at different places
    best = fit(x, 16, 0.1, settings, n_restarts=4, random_state=1, on_step=steps.append)
    last = {}
    for step in steps:
        if step["stage"] == "compare":
            last.setdefault(step["restart"], []).append(step["objective"])
    assert len(last) > 1
    for values in last.values():  # rounds at one penalty too, but in single precision
        assert (np.diff(values) <= 1e-4 * values[0]).all()
    # Other stages change the penalty or see a batch: theirs is no one objective.
    ends = [values[-1] for values in last.values()]
    assert max(ends) > 1.003 * min(ends)
    assert best.learner.objective <= min(values[-1] for values in last.values()) + 1e-6
    settled = [step["objective"] for step in best.history if step["stage"] == "settle"]
    assert (np.diff(settled) <= 1e-9).all()
    assert {step["restart"] for step in best.history} == {best.history[0]["restart"]}


def test_the_published_setting_is_solved():
    x, atoms = half_normal_world(0)
    path = choose_penalty(x, 16, Settings(), random_state=0)
    found = fit(x, 16, path.penalty, Settings(), n_restarts=10, random_state=0)
    cosine = recovery(found.learner.dictionary.numpy(), atoms)
    chance = recovery(random_dictionary(16, 8, random_state=5), atoms)
    assert cosine.mean() > 0.99
    assert chance.mean() < 0.72


def test_scale_changes_nothing_but_the_scale():
    x, _ = planted(n_samples=200)
    small, large = (
        fit(scale * x, 8, scale * 0.2, Settings(), n_restarts=2, random_state=0).learner for scale in (1, 1024)
    )
    torch.testing.assert_close(small.dictionary, large.dictionary)
    torch.testing.assert_close(1024 * small.codes, large.codes)
    assert reference_penalty(1024 * x, 8) == pytest.approx(1024 * reference_penalty(x, 8))
    paths = [choose_penalty(scale * x, 8, Settings(), random_state=0) for scale in (1, 1024)]
    assert paths[1].penalty == pytest.approx(1024 * paths[0].penalty)


def test_noisier_data_get_a_higher_penalty():
    quiet, loud = (choose_penalty(planted(noise=noise)[0], 16, Settings(), random_state=0) for noise in (0.02, 0.4))
    assert loud.penalty > 2 * quiet.penalty
    # The way starts at .4 of the reference; where that is best, what lies above is tried as well.
    reference = reference_penalty(planted(noise=0.4)[0], 16)
    assert loud.penalties[0] == pytest.approx(0.7 * reference)
    assert loud.penalty == loud.penalties[0]
    assert quiet.penalties[0] < 0.5 * reference
    assert len(loud.penalties) < len(quiet.penalties)  # it ends where the error has clearly risen
    assert (np.diff(loud.penalties) < 0).all()
    best = loud.error.argmin()
    chosen = int(np.flatnonzero(loud.penalties == loud.penalty)[0])
    assert loud.error[chosen] <= loud.error[best] + loud.standard_error[best]
    assert chosen == 0 or loud.error[chosen - 1] > loud.error[best] + loud.standard_error[best]


def test_same_random_state_same_result_and_state_round_trip():
    x, _ = planted(n_samples=200)
    one, two = (fit(x, 8, 0.2, Settings(), n_restarts=2, random_state=3).learner for _ in range(2))
    assert torch.equal(one.dictionary, two.dictionary)
    state = one.state()
    again = Learner.from_state(state, x, Settings())
    assert again.step(0.2) == one.step(0.2)
    assert torch.equal(again.dictionary, one.dictionary)
    assert not np.array_equal(state["dictionary"], one.dictionary.numpy())  # a copy, not a view


def test_samples_that_cannot_be_learned_from_are_refused():
    with pytest.raises(InputError, match="all alike: nothing varies"):
        reference_penalty(torch.ones((20, 3), dtype=torch.float64), 2)
    with pytest.raises(InputError, match=r"needs at least 10; x has 9 samples\. Give a penalty"):
        choose_penalty(planted(n_samples=9)[0], 2, Settings())


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_the_larger_published_law_is_solved(seed):
    """arXiv 2603.28744: 100 atoms, 47 units, 10 active, 2,500 samples; latent 0 in every other sample."""
    rng = np.random.default_rng(seed)
    atoms = random_dictionary(100, 47, random_state=seed)
    codes = np.zeros((2500, 100))
    for i, row in enumerate(codes):
        half = i % 2 == 0
        others = 1 + rng.choice(49 if half else 99, 9 if half else 10, replace=False)
        row[others] = rng.random(len(others))
        row[0] = rng.random() if half else 0
    x = torch.from_numpy(codes @ atoms)
    path = choose_penalty(x, 100, Settings(), random_state=0)
    found = fit(x, 100, path.penalty, Settings(), n_restarts=2, random_state=0)
    cosine = recovery(found.learner.dictionary.numpy(), atoms)
    assert cosine.mean() > 0.97
    assert recovery(random_dictionary(100, 47, random_state=9), atoms).mean() < 0.42


@pytest.mark.gpu
def test_cuda_finds_what_the_cpu_finds():
    x, atoms = planted()
    learner = fit(x.float().cuda(), 16, 0.15, Settings(), n_restarts=2, random_state=0).learner
    assert learner.dictionary.is_cuda
    assert recovery(learner.dictionary.cpu().numpy(), atoms).min() > 0.95
