"""A job on a node: where it is made, what it reads of the environment, and how it is stopped."""

import _thread
import os
import signal
import threading
import time
from pathlib import Path

import psutil
import pytest

from experiments.errors import UserError
from experiments.sweep.engines import node, process
from experiments.sweep.engines.parent import VARIABLE
from experiments.sweep.engines.runner import Job


@pytest.fixture(autouse=True)
def put_back(monkeypatch, tmp_path):
    """A job changes the folder and the environment of the process that makes it."""
    monkeypatch.chdir(tmp_path)
    before = dict(os.environ)
    interrupt = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, interrupt)
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def interrupted(monkeypatch):
    """The first look at the job is the moment at which it is asked to stop."""
    looks = []

    def sleep(_):
        looks.append(1)
        if len(looks) == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(node.time, "sleep", sleep)


def test_a_job_is_made_in_the_folder_of_whoever_asks_for_it(tmp_path):
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    assert node.make(Job(["data", "--help"], Path("logs/x.log")), theirs, {}) == 0
    assert "--out" in (theirs / "logs/x.log").read_text(encoding="utf-8")
    assert not (tmp_path / "logs").exists()
    assert node.make(Job(["data", "--wrong"], Path("logs/x.log")), theirs, {}) == 2


def test_a_node_without_that_folder_says_so(tmp_path):
    gone = tmp_path / "gone"
    with pytest.raises(UserError, match=rf"{gone}: the node .* does not have this folder"):
        node.make(Job(["--help"], Path("x.log")), gone, {})


def test_the_environment_is_that_of_whoever_asks_for_it(spawned, interrupted, tmp_path):  # noqa: ARG001
    os.environ |= {"MLFLOW_TRACKING_URI": "of the node", "HEAD_TO_HEAD_X": "of the node"}
    node.make(Job(["x"], Path("x.log")), tmp_path, {"MLFLOW_RUN_NAME": "theirs"})
    ((_, environment),) = spawned
    assert {k: v for k, v in environment.items() if k.startswith(("MLFLOW_", "HEAD_"))} == {
        "MLFLOW_RUN_NAME": "theirs",
        VARIABLE: "stdin",
    }
    assert environment["PATH"] == os.environ["PATH"]


def test_what_is_sent_is_what_jobs_read_and_no_parent(monkeypatch):
    monkeypatch.setattr(os, "environ", {"MLFLOW_A": "1", "HEAD_TO_HEAD_B": "2", VARIABLE: "x"})
    assert node.read_by_jobs() == {"MLFLOW_A": "1", "HEAD_TO_HEAD_B": "2"}


def test_asked_to_stop_it_stops_its_job_and_says_how_that_ended(spawned, interrupted, tmp_path):  # noqa: ARG001
    assert node.make(Job(["x"], Path("x.log")), tmp_path, {}) == -signal.SIGTERM
    assert len(spawned) == 1


def test_asked_to_stop_as_its_job_begins_it_stops_that_job(monkeypatch, spawned, tmp_path):  # noqa: ARG001
    begun = []
    begin = process.subprocess.Popen

    def interrupted(*of, **given):
        begun.append(begin(*of, **given))
        _thread.interrupt_main()
        return begun[0]

    monkeypatch.setattr(process.subprocess, "Popen", interrupted)
    assert node.make(Job(["x"], Path("x.log")), tmp_path, {}) == -signal.SIGTERM
    assert begun[0].returncode == -signal.SIGTERM


def test_a_node_that_was_started_in_the_background_can_be_asked_to_stop(spawned, tmp_path):
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def ask():
        while not spawned:
            time.sleep(0.01)
        _thread.interrupt_main()  # as Ray does

    asking = threading.Thread(target=ask)
    asking.start()
    # Else it would never end.
    at_last = threading.Timer(20, lambda: [child.kill() for child in psutil.Process().children()])
    at_last.start()
    try:
        assert node.make(Job(["x"], Path("x.log")), tmp_path, {}) == -signal.SIGTERM
    finally:
        at_last.cancel()
        asking.join()


def test_asked_to_stop_before_it_began_it_begins_nothing(monkeypatch, tmp_path):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(node, "LocalProcess", interrupt)
    assert node.make(Job(["x"], Path("x.log")), tmp_path, {}) == -signal.SIGTERM
