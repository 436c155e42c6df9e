"""Few samples an atom: what annealing and replacement leave unfound is found by relearning; strides settle sooner."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from neurosparse.backend.baselines import random_dictionary
from neurosparse.backend.dictionary import Learner, Search, Settings, choose_penalty, fit, reference_penalty, relearning
from neurosparse.backend.dictionary import learner as learning
from neurosparse.backend.dictionary.settings import few_samples, n_at_first
from neurosparse.backend.inference import encode
from neurosparse.backend.matching import recovery


def few(n_atoms=200, n_units=47, n_active=8, n_samples=500, seed=0):
    """Samples of which every other holds atoms of the first half alone, so that the other half is rare; their atoms."""
    rng = np.random.default_rng(seed)
    atoms, codes = random_dictionary(n_atoms, n_units, random_state=1000 + seed), np.zeros((n_samples, n_atoms))
    for i, row in enumerate(codes):
        row[rng.choice(n_atoms // 2 if i % 2 else n_atoms, n_active, replace=False)] = rng.random(n_active)
    return torch.from_numpy(codes @ atoms), atoms


def test_stages_hold_more_and_more_where_samples_are_few():
    coarse, fine = relearning.coarse_stages(Settings(), 500, 200), relearning.fine_stages(Settings(), 500, 200)
    assert (len(coarse), len(fine)) == (10, 20)
    for todo in (coarse, fine):
        assert (np.diff([stage.share for stage in todo]) > 0).all()
        assert (np.diff([stage.level for stage in todo]) < 0).all()
    assert fine[-1].level < coarse[-1].level
    assert all(stage.held_blocks < stage.free_blocks for stage in fine)  # many short ones, with time to be free
    for settings, n_samples, n_atoms in (
        (Settings(), 1200, 200),
        (Settings(relearnings=0), 500, 200),
        (Settings(), 5, 1),
    ):
        assert not few_samples(settings, n_samples, n_atoms)
        assert relearning.coarse_stages(settings, n_samples, n_atoms) == []
        assert relearning.fine_stages(settings, n_samples, n_atoms) == []
    assert n_at_first(Settings(), 500, 200) == 200  # no surplus: there is little to learn it from
    assert n_at_first(Settings(), 1200, 200) == 250


def test_atoms_that_are_held_stay_explain_first_and_leave_the_rest_to_the_others():
    x, _ = few()
    x = x - x.mean(0)
    start = torch.from_numpy(random_dictionary(20, 47, random_state=5))
    learner = Learner(x, start, Settings(offset=False))
    learner.n_fixed, learner.eager = 12, 0.5
    weights = torch.ones(20, dtype=x.dtype)
    weights[:12] = 0.5
    known = encode(x, learner.dictionary, 0.3, weights=weights, tol=5e-3)
    before = learner.dictionary.clone()
    assert learner.learn_from(x, 0.3, len(x)) == pytest.approx(float(known.objective.mean()))
    assert torch.equal(learner.dictionary[:12], before[:12])
    assert not torch.equal(learner.dictionary[12:], before[12:])
    # Least squares for the others, of what the held ones leave, pulled a little to where they were.
    z, rest = known.codes[:, 12:], x - known.codes[:, :12] @ before[:12]
    pull = 0.02 * torch.median((z.square().sum(0))[z.square().sum(0) > 0])
    best = torch.linalg.solve(z.T @ z + pull * torch.eye(8, dtype=x.dtype), z.T @ rest + pull * before[12:])
    torch.testing.assert_close(learner.dictionary[12:], best / best.norm(dim=1, keepdim=True))


def test_a_stage_keeps_the_atoms_that_would_be_missed_most_and_frees_them_in_the_end(monkeypatch):
    x, atoms = few(n_atoms=40, n_units=24, n_active=3, n_samples=200)
    wrong = random_dictionary(20, 24, random_state=9)
    learner = Learner(x.float(), torch.from_numpy(np.concatenate([wrong, atoms[:20]])).float(), Settings())
    held = []

    def watched(learner, penalty, _, blocks):
        held.append((learner.n_fixed, penalty, learner.dictionary.clone()))
        assert blocks == (5 if learner.n_fixed else 4)
        assert learner.recent.shape == (200, 40)  # either starts from the codes of its last pass
        return 0.0

    monkeypatch.setattr(relearning, "hold", watched)
    reference, stage = reference_penalty(x, 40), relearning.Stage(0.25, 0.3, 5, 4)
    relearning.relearn(learner, stage, reference, np.random.RandomState(0))
    assert [(number, round(penalty / reference, 6)) for number, penalty, _ in held] == [(10, 0.3), (0, 0.1)]
    kept = recovery(held[0][2][:10].numpy(), atoms[:20])
    assert (kept > 0.999).sum() == 10
    assert recovery(held[0][2][10:].numpy(), np.concatenate([wrong, atoms[:20]])).max() < 0.9  # they start anew
    assert learner.recent is None
    relearning.relearn(learner, stage, reference, np.random.RandomState(0), 0.2 * reference)  # the final penalty
    assert [round(penalty / reference, 6) for _, penalty, _ in held[2:]] == [0.3, 0.2]


def test_codes_that_batches_start_from_follow_their_samples():
    x, _ = few(n_atoms=40, n_units=24, n_active=3, n_samples=200)
    start = torch.from_numpy(random_dictionary(40, 24, random_state=2))
    for batch in (64, 200):  # a part of the samples, and all
        learner = Learner(x, start, Settings(batch=batch))
        learner.recent = x.new_zeros((200, 40))
        learner.skip(0.2, np.random.RandomState(0))
        seen = np.flatnonzero(learner.recent.any(1))
        assert len(seen) > 0.9 * batch
        codes = encode(x - x.mean(0), start, 0.2, tol=5e-3).codes
        torch.testing.assert_close(learner.recent[seen], codes[seen], atol=0.02, rtol=0.1)


def test_relearning_finds_atoms_that_annealing_and_replacement_do_not():
    x, atoms = few(n_units=60, n_active=9, n_samples=480)
    found = {}
    for n in (0, 10):
        found[n] = fit(x, 200, 0.1 * reference_penalty(x, 200), Settings(relearnings=n), random_state=0).learner
    cosine = {n: recovery(learner.dictionary.numpy(), atoms) for n, learner in found.items()}
    assert cosine[10].mean() > cosine[0].mean() + 0.03
    assert (cosine[10] > 0.9).mean() > (cosine[0] > 0.9).mean() + 0.03
    assert found[10].objective < found[0].objective


def test_what_relearning_found_twice_or_not_at_all_is_replaced(monkeypatch):
    x, atoms = few(n_atoms=60, n_units=30, n_active=3, n_samples=300)
    assert few_samples(Settings(), 300, 60)
    monkeypatch.setattr(relearning, "relearn", lambda *_: 0.0)
    start = atoms.copy()
    start[20:23] = 0.98 * atoms[:3] + 0.2 * atoms[10:13]  # the first three twice
    found = fit(x, 60, 0.05 * reference_penalty(x, 60), Settings(), random_state=0, start=torch.from_numpy(start))
    assert recovery(found.learner.dictionary.numpy(), atoms).min() > 0.95  # without a trial one is lost: .14


def test_the_choice_of_a_penalty_relearns_and_the_fit_goes_on_from_there():
    x, _ = few(n_atoms=60, n_units=30, n_active=4, n_samples=240)
    path = choose_penalty(x, 60, Settings(), random_state=0)
    assert path.dictionary.shape == (60, 30)
    assert (np.diff(path.penalties) < 0).all()
    assert path.penalties[0] > 0.15 * reference_penalty(x, 60) > path.penalties[-1]  # tried up and down from there
    history: list = []
    fit(x, 60, path.penalty, Settings(), random_state=0, start=path.dictionary, on_step=history.append)
    stages = [step["stage"] for step in history]
    assert not {"anneal", "thin"} & set(stages)
    assert stages.count("relearn") == 20
    replaced = [step["replaced"] for step in history if step["stage"] == "relearn"]
    assert replaced == [round((1 - stage.share) * 60) for stage in relearning.fine_stages(Settings(), 240, 60)]


@pytest.mark.parametrize(("at", "stage"), [(1, "relearn"), (3, "relearn"), (12, "settle")])
def test_a_search_stopped_while_it_relearns_or_settles_goes_on_to_the_same_end(at, stage):
    x, _ = few(n_atoms=30, n_units=16, n_active=2, n_samples=100)
    start = torch.from_numpy(random_dictionary(30, 16, random_state=4))
    whole = Search(x, 30, 0.1, Settings(relearnings=4), random_state=0, start=start)
    count, state = 0, None
    while whole.advance():
        count += whole.stage in ("relearn", "settle")
        if count == at and state is None:
            state = whole.state()
            assert json.loads(bytes(state["search"]))["stage"] == stage
    again = Search(x, 30, 0.1, Settings(relearnings=4), random_state=1)
    again.restore(state)
    while again.advance():
        pass
    assert torch.equal(again.runs[0].learner.dictionary, whole.runs[0].learner.dictionary)
    assert whole.runs[0].learner.strides == 0  # at rest


@pytest.mark.parametrize("atoms", ["signed", "nonnegative"])
def test_strides_settle_in_fewer_rounds_at_no_higher_an_objective(atoms):
    x, _ = few(n_atoms=60, n_units=30, n_active=4, n_samples=400)
    start = torch.from_numpy(np.abs(random_dictionary(60, 30, random_state=7)))
    values = {}
    for move in ("step", "stride"):
        learner = Learner(x, start, Settings(atoms=atoms))
        values[move] = np.array([getattr(learner, move)(0.2) for _ in range(120)])
        learner.rest()
        assert torch.equal(learner.dictionary, learner.swept) or move == "step"
        torch.testing.assert_close(learner.dictionary.norm(dim=1), torch.ones(60, dtype=x.dtype))
        assert bool((learner.dictionary >= 0).all()) == (atoms == "nonnegative")
        learner.infer(0.2)
        assert learner.objective <= values[move][-1] * (1 + 1e-6)
        assert (np.diff(values[move]) <= 1e-4 * values[move][0]).all()
    level = values["step"][-1]
    assert np.flatnonzero(values["stride"] <= level)[0] < 80


def test_a_stride_too_far_is_taken_back():
    x, _ = few(n_atoms=60, n_units=30, n_active=4, n_samples=400)
    learner = Learner(x, torch.from_numpy(random_dictionary(60, 30, random_state=7)), Settings())
    values = [learner.stride(0.2) for _ in range(6)]
    reached = learner.swept
    learner.dictionary = torch.from_numpy(random_dictionary(60, 30, random_state=8))
    assert learner.stride(0.2) == values[-1] == learner.objective
    assert learner.strides == 0
    assert torch.equal(learner.dictionary, reached)
    assert learner.stride(0.2) < values[-1]
    assert learning.FURTHEST < 1
