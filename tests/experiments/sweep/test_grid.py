"""Which run waits for which, worked off by a runner that starts no process."""

import pytest

from experiments.settings.config import run_config
from experiments.sweep import orchestrator
from experiments.sweep.engines.runner import Job
from experiments.sweep.grid import Grid, Run
from experiments.training.standing import Standing, write_standing
from experiments.training.state import Progress

PAIRS = [("a", ""), ("b", "a"), ("c", "b"), ("d", ""), ("e", "long ago")]


class Ends:
    """A handle of a job that ends when it is asked for the third time."""

    def __init__(self, code):
        self.asked, self.code = 0, code

    def poll(self):
        self.asked += 1
        return self.code if self.asked > 2 else None

    def stop(self):
        pass

    def wait(self):
        pass

    def last_line(self):
        return ""


def run(name, start, folder, epochs=20):
    config = run_config({"start": start, "epochs": epochs}, {})
    return Run(config, name, Job([name], folder / f"{name}.log"), folder / name)


@pytest.fixture
def work_off(monkeypatch, tmp_path):
    """Work runs off: (name, start) pairs, how many at once, which fail.

    Returns the runs in the order in which they ended, and for each that was started which runs had
    ended by then.
    """

    def make(pairs, at_once, failing=()):
        started = {}

        class Runner:
            def submit(self, job):
                (name,) = job.command
                started[name] = [done.run_hash for done in grid.ended]
                return Ends(1 if name in failing else 0)

        monkeypatch.setattr(orchestrator.time, "sleep", lambda _: None)
        grid = Grid([run(name, before, tmp_path) for name, before in pairs])
        orchestrator.work(grid, Runner(), at_once, "runs")
        return grid.ended, started

    return make


@pytest.mark.parametrize("at_once", [1, 2, 9])
def test_a_run_waits_for_its_start_and_others_go_past_it(work_off, at_once):
    ended, started = work_off(PAIRS, at_once)
    assert all(run.ok for run in ended)
    assert sorted(run.run_hash for run in ended) == list("abcde")
    assert "a" in started["b"]
    assert "b" in started["c"]
    if at_once == 2:
        assert list(started) == list("adbec")


@pytest.mark.parametrize("at_once", [1, 2, 9])
def test_runs_fail_by_name_with_the_one_that_they_start_from(work_off, at_once):
    ended, started = work_off(PAIRS, at_once, failing={"a"})
    assert sorted(started) == list("ade")  # the others never began
    runs = {run.run_hash: run for run in ended}
    assert sorted(runs) == list("abcde")
    assert [name for name, run in sorted(runs.items()) if run.ok] == ["d", "e"]
    for name, before in (("b", "a"), ("c", "b")):
        said = f"it starts from {runs[before].name}, which failed"
        assert runs[name].last_line() == said
        assert runs[name].log == runs["a"].log


def test_epochs_are_counted_while_runs_are_made(tmp_path):
    grid = Grid([run("a", "", tmp_path, epochs=4), run("b", "", tmp_path, epochs=6)])
    assert grid.count() == (0, 2, 0, 10)
    begun = grid.begin()
    begun.folder.mkdir()
    history = [{"val.exact_match": 0.5}] * 3
    write_standing(begun.folder, Standing(Progress(history, 0, 1.0)), begun.run_hash)
    assert grid.count() == (0, 2, 3, 10)
    assert grid.look(begun, None) is None
    assert begun.name in grid.look(begun, 0)
    grid.settle(begun)
    assert grid.count() == (1, 2, 4, 10)
    assert not grid.done()


def test_epochs_that_a_stopped_run_had_finished_count_from_the_beginning(tmp_path):
    stopped = run("a", "", tmp_path, epochs=4)
    write_standing(
        stopped.folder, Standing(Progress([{"val.exact_match": 0.5}] * 3, 0, 1.0)), stopped.run_hash
    )
    # Without a checkpoint it begins anew, whatever it had come to.
    assert Grid([run("b", "", tmp_path, epochs=6), stopped]).count() == (0, 2, 0, 10)
    (stopped.folder / "checkpoint.safetensors").touch()
    grid = Grid([run("b", "", tmp_path, epochs=6), stopped])
    assert grid.count() == (0, 2, 3, 10)
    grid.begin()
    grid.begin()
    assert grid.count() == (0, 2, 3, 10)


def test_runs_that_other_machines_make_come_last(tmp_path):
    pairs = [("a", ""), ("b", "a"), ("c", ""), ("d", ""), ("e", "")]
    made_there = {"a", "d"}
    runs = [run(name, start, tmp_path) for name, start in pairs]
    grid = Grid(runs, lambda: made_there)

    def begin():
        return (grid.begin() or runs[1]).run_hash

    assert begin() == "c"
    made_there.remove("a")  # that machine has died, or is done
    assert begin() == "a"
    # b waits for a; d is made elsewhere, and left when there is nothing else.
    assert [begin(), begin()] == ["e", "d"]
    assert grid.begin() is None
