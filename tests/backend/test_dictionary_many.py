"""Many atoms and samples, where steps are dear: fewer of them, and the same atoms found."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array, issparse

from neurosparse.backend.baselines import random_dictionary
from neurosparse.backend.dictionary import Learner, Settings, annealing, choose_penalty, first_level, fit, search
from neurosparse.backend.dictionary import learner as learning
from neurosparse.backend.dictionary import penalty as choosing
from neurosparse.backend.dictionary import settings as setting
from neurosparse.backend.dictionary.annealing import STILL, Block, dear, moved, still_pays
from neurosparse.backend.dictionary.statistics import Statistics
from neurosparse.backend.inference import encode
from neurosparse.backend.matching import recovery


def world(n_samples=6000, n_atoms=60, n_units=30, n_active=3, seed=0):
    """Samples without noise, and the atoms they are made of."""
    rng = np.random.default_rng(seed)
    atoms, codes = random_dictionary(n_atoms, n_units, random_state=seed), np.zeros((n_samples, n_atoms))
    active = rng.random(codes.shape).argpartition(n_active, axis=1)[:, :n_active]
    np.put_along_axis(codes, active, np.abs(rng.standard_normal(active.shape)), axis=1)
    return torch.from_numpy(codes @ atoms), atoms


@pytest.fixture
def few_are_many(monkeypatch):
    """Takes sixty atoms for many."""
    for room in (setting, annealing, choosing):
        monkeypatch.setattr(room, "MANY", 40)


def test_steps_are_dear_for_many_atoms_whose_blocks_see_a_part_of_the_samples():
    random, x = np.random.RandomState(0), torch.zeros((20_000, 2))
    assert dear(Learner.at_random(x, 600, Settings(), random))
    assert not dear(Learner.at_random(x, 500, Settings(), random))
    assert not dear(Learner.at_random(x[:8000], 600, Settings(), random))
    assert first_level(Settings(), 20_000, 600) > first_level(Settings(), 20_000, 500)
    assert first_level(Settings(), 3000, 600) == first_level(Settings(), 20_000, 500)
    assert first_level(Settings(first_level=0.3), 20_000, 600) == 0.3


def test_atoms_at_rest_end_the_stay_where_steps_are_dear_and_nowhere_else():
    x = torch.zeros((20_000, 2))
    for n_atoms, ends in ((600, True), (500, False)):
        learner = Learner.at_random(x, n_atoms, Settings(), np.random.RandomState(0))
        assert still_pays([Block(1.0, 0.9 * STILL)], learner) != ends
        assert still_pays([Block(1.0, 1.1 * STILL)], learner)
        assert not still_pays([Block(1.0, 1.0), Block(1.0, 1.0)], learner)


def test_movement_is_one_less_cosine_weighted_by_utility_whatever_the_sign():
    x, atoms = world(200)
    learner = Learner(x, torch.from_numpy(atoms.copy()), Settings())
    assert moved(learner, learner.dictionary) == 1.0  # nothing is known of their use
    learner.infer(0.2)
    assert moved(learner, -learner.dictionary) == pytest.approx(0, abs=1e-12)
    before, weight = learner.dictionary.clone(), learner.utility() / learner.utility().sum()
    before[3] = before[4]
    expected = float(weight[3] * (1 - abs(atoms[3] @ atoms[4])))
    assert moved(learner, before) == pytest.approx(expected, rel=1e-9)


def test_what_is_lacking_is_a_direction_that_gives_more_than_the_least_useful_atoms():
    x, atoms = world()
    random = np.random.RandomState(0)
    whole = Learner(x, torch.from_numpy(atoms.copy()), Settings())
    whole.infer(0.3)
    assert not whole.lacks(0.3, 8, random)
    torch.testing.assert_close(whole.dictionary, torch.from_numpy(atoms))
    wrong = atoms.copy()
    wrong[7] = random_dictionary(1, 30, random_state=5)[0]
    one_off = Learner(x, torch.from_numpy(wrong), Settings())
    one_off.infer(0.3)
    assert one_off.lacks(0.3, 8, random)


@pytest.mark.parametrize(("more", "lacking"), [(1.4, False), (1.6, True)])
def test_one_direction_that_promises_half_as_much_again_is_lacking(monkeypatch, more, lacking):
    x, atoms = world(500)
    learner = Learner(x, torch.from_numpy(atoms), Settings())
    learner.infer(0.3)
    given = torch.tensor([3.0, 1.0, 2.0])
    answers = iter([torch.tensor([1.0, 2.0, 3.0 * more]), given])
    monkeypatch.setattr(learning, "gains", lambda *_: next(answers))
    assert learner.lacks(0.3, 3, np.random.RandomState(0)) == lacking


@pytest.mark.parametrize("missing", [False, True])
def test_trials_are_made_where_something_is_lacking_and_after_steps_without_one(few_are_many, monkeypatch, missing):
    monkeypatch.setattr(Learner, "lacks", lambda *_: missing)
    done = []
    monkeypatch.setattr(Learner, "replace", lambda *_, **__: bool(done.append("trial")))
    monkeypatch.setattr(search, "hold", lambda *_: done.append("steps"))
    fit(world()[0], 60, 0.3, Settings(max_iter=1, levels=2, block=4), random_state=0, n_restarts=1)
    assert done == (["steps", *["trial"] * Settings().patience] if missing else [])


def test_many_atoms_are_found_in_fewer_steps(few_are_many, monkeypatch):
    x, atoms = world()
    n_steps, skip = [0], Learner.skip
    counted = []

    def counting(self, *arguments):
        n_steps[0] += 1
        return skip(self, *arguments)

    monkeypatch.setattr(Learner, "skip", counting)
    for many in (40, 10**6):
        for room in (setting, annealing, choosing):
            monkeypatch.setattr(room, "MANY", many)
        n_steps[0] = 0
        settings = Settings(batch=256, block=8)
        path = choose_penalty(x, 60, settings, random_state=0)
        found = fit(x, 60, path.penalty, settings, random_state=0, start=path.dictionary)
        assert recovery(found.learner.dictionary.numpy(), atoms).min() > 0.99
        counted.append(n_steps[0])
    assert counted[0] < 0.6 * counted[1]


def levels_tried(x):
    """Which of `LEVELS` a choice of penalty tried, and their errors."""
    path = choose_penalty(x, 60, Settings(), random_state=0)
    reference = setting.reference_penalty(x.float(), 60)
    nearest = [np.abs(np.log(choosing.LEVELS) - np.log(penalty / reference)).argmin() for penalty in path.penalties]
    return np.array(nearest), path.error


def test_levels_are_passed_over_while_each_lowers_the_error_but_not_the_last_nor_where_replacement_works(few_are_many):
    tried, error = levels_tried(world()[0])
    assert np.abs(np.log(choosing.LEVELS) - np.log(setting.WORKING_LEVEL)).argmin() in tried
    assert tried[-1] == len(choosing.LEVELS) - 1
    steps = np.diff(tried)
    assert steps[0] == 1
    assert set(steps) == {1, 2}
    for i in np.flatnonzero(steps == 2):
        assert error[i] < 0.8 ** steps[i - 1] * error[i - 1]


def test_no_level_is_passed_over_where_noise_keeps_the_error_up(few_are_many):
    x = world()[0]
    tried, error = levels_tried(x + 0.3 * torch.from_numpy(np.random.default_rng(1).standard_normal(x.shape)))
    assert (error[1:] > 0.8 * error[:-1]).all()
    assert (np.diff(tried) == 1).all()


def test_codes_count_the_same_with_their_zeros_and_without(monkeypatch):
    x, _ = world(300)
    rng = np.random.default_rng(0)
    codes = rng.standard_normal((300, 60)) * (rng.random((300, 60)) < 0.1)
    sums = []
    for kind in (torch.from_numpy, csr_array):
        one = Statistics(60, 30, x, compiled=True)
        one.add(kind(codes), x)
        sums.append(one)
    for name in Statistics.NAMES:
        torch.testing.assert_close(getattr(sums[0], name), getattr(sums[1], name), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(sums[0].gram, torch.from_numpy(codes.T @ codes))
    torch.testing.assert_close(sums[0].cross, torch.from_numpy(codes.T) @ x)
    np.testing.assert_allclose(sums[0].use.numpy(), codes.sum(0), rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(sums[0].events.numpy(), (codes != 0).sum(0))
    dictionaries, kinds, add = [], [], Statistics.add
    monkeypatch.setattr(Statistics, "add", lambda self, z, x: kinds.append(issparse(z)) or add(self, z, x))
    for limit in (10**9, 0):
        monkeypatch.setattr(learning, "COMPRESSED", limit)
        learner = Learner.at_random(x, 60, Settings(), np.random.RandomState(0))
        for _ in range(4):
            learner.skip(0.3, np.random.RandomState(1))
        dictionaries.append(learner.dictionary)
    assert kinds == [False] * 4 + [True] * 4
    torch.testing.assert_close(*dictionaries)


@pytest.mark.parametrize("n_atoms", [60, 700])
@pytest.mark.parametrize("codes", ["nonnegative", "signed"])
def test_sparse_codes_to_start_from_serve_as_dense_ones_do(n_atoms, codes):
    x = world(400)[0].numpy()
    atoms = 2 * random_dictionary(n_atoms, 30, random_state=3)
    near = random_dictionary(n_atoms, 30, random_state=4) * 0.02 + atoms
    first = np.asarray(encode(x, near, 0.3, codes=codes, tol=1e-6).codes)
    first[:, 5] *= -1
    options = {"codes": codes, "tol": 1e-6, "sparse": True}
    cold, dense, sparse = (
        encode(x, atoms, 0.3, initial=initial, **options) for initial in (None, first, csr_array(first))
    )
    assert issparse(sparse.codes)
    np.testing.assert_array_equal(sparse.iterations, dense.iterations)
    np.testing.assert_array_equal(sparse.codes.toarray(), dense.codes.toarray())
    assert sparse.converged.all()
    assert sparse.iterations.mean() < 0.9 * cold.iterations.mean()
