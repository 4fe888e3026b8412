"""A study remembers everything, and what it draws depends on nothing else."""

from __future__ import annotations

import statistics

import pytest

from experiments.search.samplers import STARTUP
from experiments.search.storages.journal import Journal
from experiments.search.study import Study
from losses import Range

PARAMETERS = {"x": Range(0.001, 1, log=True), "y": Range(0, 1), "mode": ("a", "b")}


def open_study(folder, sampler="tpe", seed=0, name="s"):
    return Study(Journal(folder), name, sampler, seed, PARAMETERS)


def score(drawn):
    return 1 - abs(drawn["y"] - 0.3)


def draws(folder, count, *, anew, **kind):
    """So many trials, each settled before the next; anew: the study is opened for every one."""
    study = open_study(folder, **kind)
    for _ in range(count):
        if anew:
            study = open_study(folder, **kind)
        trial = study.ask("me")
        study.end(trial.number, "me", "complete", {"value": score(trial.drawn)})
    return [trial.drawn for trial in study.tried()]


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_what_is_drawn_does_not_depend_on_the_process(tmp_path, sampler):
    whole = draws(tmp_path / "whole", STARTUP + 4, anew=False, sampler=sampler)
    broken = draws(tmp_path / "broken", STARTUP + 4, anew=True, sampler=sampler)
    assert whole == broken
    assert whole != draws(tmp_path / "other", STARTUP + 4, anew=False, sampler=sampler, seed=1)
    for drawn in whole:
        assert 0.001 <= drawn["x"] <= 1
        assert 0 <= drawn["y"] <= 1


def test_two_samplers_do_not_draw_the_same(tmp_path):
    tpe = draws(tmp_path / "tpe", 3, anew=False, sampler="tpe")
    random = draws(tmp_path / "random", 3, anew=False, sampler="random")
    assert not [drawn for drawn in tpe if drawn in random]


def test_the_first_trial_may_be_given_and_is_given_once(tmp_path):
    study, first = open_study(tmp_path), {"x": 0.5, "y": 0.25, "mode": "b"}
    assert study.ask("me", first).drawn == first
    assert study.ask("me", first).drawn != first
    assert [trial.number for trial in study.tried()] == [0, 1]


def test_a_line_that_a_process_was_killed_in_was_never_said(tmp_path):
    draws(tmp_path, 3, anew=False)
    journal = tmp_path / "journal.log"
    whole = journal.read_bytes()
    cut = whole[: -len(whole.splitlines()[-1]) // 2]
    assert not cut.endswith(b"\n")
    journal.write_bytes(cut)
    study = open_study(tmp_path)
    # The last thing said was that the third trial is complete: it is running again.
    assert [trial.state for trial in study.tried()] == ["complete", "complete", "running"]
    study.end(2, "me", "complete", {"value": 0.5})
    assert [trial.state for trial in open_study(tmp_path).tried()] == ["complete"] * 3


def test_a_trial_is_pruned_below_the_median_of_the_complete_ones_at_the_same_epoch(tmp_path):
    study = open_study(tmp_path)
    at_four = [0.1, 0.5, 0.3, 0.4, 0.2, 0.6]
    assert len(at_four) == STARTUP
    for value in at_four:
        trial = study.ask("me")
        # Nothing is pruned before enough have ended, however bad it is.
        assert not study.report(trial.number, 4, value)
        study.end(trial.number, "me", "complete", {"value": value})
    median = statistics.median(at_four)
    for value, pruned in ((median - 0.01, True), (median + 0.01, False)):
        trial = study.ask("me")
        # At an epoch at which no other cycle ended there is nothing to compare with.
        assert not study.report(trial.number, 3, 0.0)
        assert study.report(trial.number, 4, value) == pruned
        # The same score again changes nothing: a search that goes on looks at it anew.
        assert study.report(trial.number, 4, value) == pruned
        study.end(trial.number, "me", "pruned" if pruned else "complete", {"value": value})
    assert [t.state for t in study.tried()][-2:] == ["pruned", "complete"]
    assert study.tried()[-1].reported == {3: 0.0, 4: median + 0.01}


def test_random_search_prunes_nothing(tmp_path):
    study = open_study(tmp_path, sampler="random")
    for value in [0.9] * 10:
        trial = study.ask("me")
        study.end(trial.number, "me", "complete", {"value": value})
    assert not study.report(study.ask("me").number, 4, 0.0)


def test_a_trial_is_settled_once(tmp_path):
    study = open_study(tmp_path)
    number = study.ask("me").number
    study.end(number, "me", "failed", {"reason": "no memory", "val": [0.1]})
    study.end(number, "me", "complete", {"value": 1.0})
    (trial,) = study.tried()
    assert (trial.state, trial.value, trial.about["reason"]) == ("failed", None, "no memory")
    assert study.best() is None


def test_of_trials_that_read_as_much_the_one_with_the_least_loss_is_best(tmp_path):
    study = open_study(tmp_path)
    for value, loss in ((0.5, 0.1), (0.7, 2.0), (0.7, 1.5), (0.7, 1.5)):
        study.end(study.ask("me").number, "me", "complete", {"value": value, "loss": loss})
    best = study.best()
    assert best is not None
    assert (best.number, best.value) == (2, 0.7)


def test_the_best_is_complete_and_the_first_of_equals(tmp_path):
    study = open_study(tmp_path)
    for state, value in (("complete", 0.5), ("complete", 0.7), ("complete", 0.7), ("pruned", 0.9)):
        study.end(
            study.ask("me").number, "me", state, {"value": value, "val": [value], "loss": 1.0}
        )
    best = study.best()
    assert best is not None
    assert (best.number, best.value) == (1, 0.7)


def test_a_running_trial_changes_hands(tmp_path):
    study = open_study(tmp_path)
    study.ask("dead")
    other = open_study(tmp_path)
    other.adopt(0, "alive")
    assert study.tried()[0].owner == "alive"
    assert open_study(tmp_path, name="another").tried() == []


@pytest.mark.slow
def test_importance_finds_what_the_score_depends_on(tmp_path):
    study = open_study(tmp_path, sampler="random")
    assert study.importance() == {}
    for _ in range(30):
        trial = study.ask("me")
        study.end(trial.number, "me", "complete", {"value": score(trial.drawn)})
    shares = study.importance()
    assert max(shares, key=lambda key: shares[key]) == "y"
    assert shares["y"] > 0.7
    assert sum(shares.values()) == pytest.approx(1)


@pytest.mark.slow
def test_optunas_plots_are_drawn_as_soon_as_there_is_something_to_draw(tmp_path):
    study = open_study(tmp_path, sampler="random")
    assert study.figures(tmp_path, "a") == []
    for _ in range(8):
        trial = study.ask("me")
        study.end(trial.number, "me", "complete", {"value": score(trial.drawn)})
    files = study.figures(tmp_path, "a")
    assert {f.name for f in files} == {
        "a-history.png", "a-slice.png", "a-importance.png", "a-parallel.png",
    }  # fmt: skip
    assert all(f.read_bytes().startswith(b"\x89PNG") for f in files)
