"""A job as a process: what it is started with, what it says, and how it stops."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from experiments.sweep.engines import process
from experiments.sweep.engines.process import LocalProcess
from experiments.sweep.engines.runner import Job


def test_a_job_is_a_command_of_this_program_whose_log_keeps_what_it_says(tmp_path):
    job = Job(["--help"], tmp_path / "logs" / "help.log")
    handle = LocalProcess(job)
    handle.wait()
    assert handle.poll() == 0
    assert "ablation" in job.log.read_text(encoding="utf-8")
    assert handle.last_line()


def test_one_that_does_not_stop_when_asked_to_is_ended(monkeypatch, tmp_path):
    deaf = (
        "import signal, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        " print('ready', flush=True); time.sleep(600)"
    )
    real = subprocess.Popen
    monkeypatch.setattr(
        process.subprocess,
        "Popen",
        lambda _, **given: real([sys.executable, "-c", deaf], **given),
    )
    monkeypatch.setattr(process, "GRACE", -9.5)
    handle = LocalProcess(Job(["x"], tmp_path / "deaf.log"))
    while handle.last_line() != "ready":
        assert handle.poll() is None
    handle.stop()
    handle.wait()
    assert handle.poll() == -9


def test_a_run_is_given_a_pipe_that_says_that_this_process_lives(spawned, tmp_path):
    handle = LocalProcess(Job(["a", "b"], tmp_path / "x.log"))
    (command, environment) = spawned[0]
    assert command[1:] == ["-P", "-m", "experiments", "a", "b"]
    # The code that this process runs, not what is installed beside it.
    first, *_ = environment["PYTHONPATH"].split(os.pathsep)
    assert Path(first) == Path(__file__).parents[4]
    assert json.dumps(environment)  # whole, with what this process has
    assert handle.poll() is None
    # As the system does, however this process ends.
    handle._process.stdin.close()
    handle._process.wait(30)
    assert handle.poll() == -signal.SIGTERM


def test_what_a_process_before_it_still_writes_is_not_in_its_log(spawned, tmp_path):  # noqa: ARG001
    log = tmp_path / "x.log"
    with log.open("wb") as before:
        handle = LocalProcess(Job(["a"], log))
        before.write(b"of before")
    handle.stop()
    handle.wait()
    assert handle.poll() == -signal.SIGTERM
    assert b"before" not in log.read_bytes()
