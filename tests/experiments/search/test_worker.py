"""The trials of a search, whatever becomes of the processes that make them.

The trials here are small programs that tell their progress as real ones do, and learn nothing.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from experiments.files import lock
from experiments.records.tracker import Tracker
from experiments.search.range_test import RangeTest
from experiments.search.samplers import STARTUP
from experiments.search.storages.storage import Storage, open_storage
from experiments.search.study import Study
from experiments.search.trial import identity
from experiments.search.worker import Tuned, Worker
from experiments.settings.config import run_config
from experiments.settings.search_space import Space
from experiments.sweep.engines.process import last_line
from experiments.sweep.engines.runner import Job

EPOCHS = 4
ARM = run_config({"epochs": EPOCHS, "optimizer": {"name": "sgd_cyclic"}}, {})
PARAMETERS = Space(loss=False, cycle_epochs=(1, 2)).parameters(ARM)

# What a trial does with the curve that it is to have: note it epoch by epoch.
TELL = """
import hashlib, json, os, sys, time
from pathlib import Path
folder, curve = Path(sys.argv[1]), json.loads(sys.argv[2])
drawn = (folder / "settings.json").read_text()
name = f"trial/{'/'.join(folder.parts[-3:])}/{drawn}"
owner = hashlib.sha256(name.encode()).hexdigest()[:16]
for n in range(1, len(curve) + 1):
    history = [{"val.exact_match": value, "val.loss": 2 - value} for value in curve[:n]]
    progress = {"history": history, "best": curve[:n].index(max(curve[:n])), "seconds": n}
    content = {"progress": progress, "done": n == len(curve), "owner": owner}
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    (folder / "p.making").write_text(json.dumps({"digest": digest, "content": content}))
    os.replace(folder / "p.making", folder / "progress.json")
    time.sleep(0.02)
"""
GOOD = f"{TELL}\nprint('well')"
RAISES = "print('Traceback'); print('RuntimeError: gradients are not finite'); raise SystemExit(1)"
KILLED = "import os; os.kill(os.getpid(), 9)"
HANGS = f"{TELL}\ntime.sleep(600)"


class Program:
    """A handle of a small program."""

    def __init__(self, arguments: list[str], log: Path) -> None:
        self._log = log
        with log.open("wb") as handle:
            self.process = subprocess.Popen(
                [sys.executable, "-c", *arguments], stdout=handle, stderr=subprocess.STDOUT
            )

    def poll(self):
        return self.process.poll()

    def stop(self):
        if self.poll() is None:
            self.process.terminate()

    def wait(self):
        self.process.wait()

    def last_line(self):
        return last_line(self._log)


class Programs:
    """A runner that begins, in place of a trial, the program that is its due.

    script: by trial number; GOOD without. curve: by trial number; rising without.
    """

    def __init__(self) -> None:
        self.script: dict[int, str] = {}
        self.curve: dict[int, list[float]] = {}
        self.started: list[str] = []
        self.processes: list[subprocess.Popen[bytes]] = []

    def threads_each(self, jobs):  # noqa: ARG002
        return 1

    def submit(self, job: Job) -> Program:
        folder = Path(job.command[1])
        number = int(folder.name)
        self.started.append("/".join(folder.parts[-2:]))
        curve = self.curve.get(number, [0.1, 0.2, 0.3, 0.4])
        arguments = [self.script.get(number, GOOD), str(folder), json.dumps(curve)]
        begun = Program(arguments, job.log)
        self.processes.append(begun.process)
        return begun


@pytest.fixture
def programs():
    return Programs()


class Home:
    """A search with two studies below a folder, or in the database of an address."""

    def __init__(
        self, out: Path, name: str, samplers=("tpe", "random"), address: str | None = None
    ) -> None:
        self.out, self.home, self.address = out, out / "search" / name, address
        self.parent = Tracker(out).start_parent("search", "k", "search")
        self.parent.end()
        self.samplers = samplers

    def studies(self, storage: Storage | None = None) -> list[Study]:
        storage = storage or open_storage(self.address, self.home)
        return [Study(storage, sampler, sampler, 0, PARAMETERS) for sampler in self.samplers]

    def worker(self, trials: int, jobs: int = 2) -> Worker:
        tested = RangeTest([], [], 0.001, 0.1)
        storage = open_storage(self.address, self.home)
        tuned = [
            Tuned("arm", ARM, study, self.home / study.name, None, tested)
            for study in self.studies(storage)
        ]
        return Worker(tuned, storage, trials, jobs, Path("data"), self.out, self.parent)

    def states(self) -> list[list[str]]:
        return [[trial.state for trial in study.tried()] for study in self.studies()]


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    return tmp_path_factory.mktemp("out")


@pytest.fixture
def home(out, tmp_path):
    return Home(out, tmp_path.name)


@pytest.mark.slow
@pytest.mark.parametrize("jobs", [1, 2, 3])
def test_every_study_gets_the_trials_that_it_was_promised(home, programs, jobs):
    home.worker(trials=3, jobs=jobs).work(programs)
    assert home.states() == [["complete"] * 3] * 2
    assert Counter(programs.started) == Counter(
        f"{study}/{number}" for study in ("tpe", "random") for number in range(3)
    )
    # Made already: nothing to do. More are wanted: only these are made.
    home.worker(trials=3, jobs=jobs).work(programs)
    assert len(programs.started) == 6
    home.worker(trials=4, jobs=jobs).work(programs)
    assert home.states() == [["complete"] * 4] * 2
    assert len(programs.started) == 8


def test_the_score_of_a_trial_is_that_of_the_epoch_that_is_kept(home, programs):
    programs.curve[0] = [0.1, 0.6, 0.5, 0.4]
    home.worker(trials=1).work(programs)
    trial = home.studies()[0].tried()[0]
    assert trial.value == 0.6
    assert trial.about["val"] == [0.1, 0.6, 0.5, 0.4]
    assert trial.about["loss"] == 1.4
    settings = json.loads((home.home / "tpe" / "0" / "settings.json").read_text())
    length = trial.drawn["cycle_epochs"]
    assert settings["optimizer"]["cycles"] == EPOCHS // length
    # Only the ends of cycles are compared.
    assert set(trial.reported) == set(range(length, EPOCHS + 1, length))


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (RAISES, "RuntimeError: gradients are not finite"),
        (KILLED, "killed by signal 9: out of memory, or by hand"),
        ("import os; os.kill(os.getpid(), 11)", "killed by signal 11"),
        ("raise SystemExit(3)", "exit code 3"),
        # It ends well, and has not said that it is done.
        ("pass", "exit code 0"),
    ],
)
def test_a_trial_that_fails_is_one_with_its_reason_and_the_others_go_on(
    home, programs, script, reason
):
    programs.script[1] = script
    home.worker(trials=3).work(programs)
    assert home.states() == [["complete", "failed", "complete"]] * 2
    for study in home.studies():
        assert study.tried()[1].about["reason"] == reason
    assert Counter(programs.started).most_common(1)[0][1] == 1


@pytest.mark.slow
def test_a_trial_below_the_median_is_stopped_at_the_end_of_a_cycle(home, programs):
    programs.curve[STARTUP] = [0.01] * EPOCHS
    programs.script[STARTUP] = HANGS
    learnt, random = home.studies()
    done = threading.Thread(
        target=home.worker(trials=STARTUP + 1).work, args=(programs,), daemon=True
    )
    done.start()
    while len(programs.started) < 2 * (STARTUP + 1):
        time.sleep(0.05)
    # Random search prunes nothing: its trial hangs until it is killed.
    while learnt.tried()[-1].state == "running":
        time.sleep(0.05)
    hanging = [p for p in programs.processes if p.poll() is None]
    for process in hanging:
        process.kill()
    done.join(timeout=30)
    pruned = learnt.tried()[STARTUP]
    assert (pruned.state, pruned.value) == ("pruned", None)
    assert pruned.about["reason"] in {f"below the median after {n} epochs" for n in (1, 2)}
    assert [p.returncode for p in programs.processes].count(-15) == 1
    assert random.tried()[STARTUP].state == "failed"


@pytest.mark.slow
def test_the_trials_of_a_dead_search_are_made_by_the_next_one_under_their_numbers(home, programs):
    learnt, _ = home.studies()
    with lock(home.home / "owners" / "alive.lock"):
        dead, alive = learnt.ask("dead"), learnt.ask("alive")
        drawn = dead.drawn
        done = threading.Thread(target=home.worker(trials=3).work, args=(programs,), daemon=True)
        done.start()
        while sum(state == "complete" for study in home.states() for state in study) < 5:
            time.sleep(0.05)
        # It waits for the one that somebody else makes.
        done.join(timeout=2)
        assert done.is_alive()
        assert home.states()[0] == ["complete", "running", "complete"]
        assert learnt.tried()[0].drawn == drawn
        learnt.end(alive.number, "alive", "complete", {"value": 0.5, "val": [0.5]})
        done.join(timeout=20)
        assert not done.is_alive()
    assert home.states() == [["complete"] * 3] * 2
    assert len(programs.started) == 5


def test_a_search_that_stops_leaves_its_trials_to_the_next_one(home, programs, monkeypatch):
    programs.script[0] = HANGS
    seen = []

    def stop_on_second_look(_, one, code):  # noqa: ARG001
        seen.append(one)
        if len(seen) > 3:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Worker, "look", stop_on_second_look)
        with pytest.raises(KeyboardInterrupt):
            home.worker(trials=2).work(programs)
    assert all(process.returncode is not None for process in programs.processes)
    assert home.states() == [["running"], ["running"]]
    programs.script.clear()
    home.worker(trials=2).work(programs)
    assert home.states() == [["complete"] * 2] * 2


def test_two_searches_at_once_make_each_trial_once(home, programs):
    workers = [
        threading.Thread(target=home.worker(trials=5, jobs=2).work, args=(programs,))
        for _ in range(2)
    ]
    for one in workers:
        one.start()
    for one in workers:
        one.join(timeout=60)
    assert home.states() == [["complete"] * 5] * 2
    assert sorted(programs.started) == sorted(
        f"{study}/{number}" for study in ("tpe", "random") for number in range(5)
    )


def test_mlflow_is_told_what_became_of_each_trial(tmp_path, programs, monkeypatch):
    home = Home(tmp_path / "out", "mine")
    tracker = Tracker(home.out)
    submit = programs.submit

    def recorded(job):
        """Trials record themselves; one that was killed leaves a run that is still open."""
        folder = Path(job.command[1])
        tracker.start_run("t", identity(folder), {"kind": "trial"}).end("RUNNING")
        return submit(job)

    monkeypatch.setattr(programs, "submit", recorded)
    programs.script[1] = KILLED
    home.worker(trials=2).work(programs)
    told = {}
    for number in range(2):
        run_hash = identity(home.home / "tpe" / str(number))
        (found,) = tracker._search(f"tags.run_hash = '{run_hash}'")
        told[number] = (found.info.status, found.data.tags["state"], found.data.tags["sampler"])
    assert told == {0: ("FINISHED", "complete", "tpe"), 1: ("FAILED", "failed", "tpe")}
