"""Jobs as processes: which GPU each gets, and how they stop."""

import json
import signal
import subprocess
import sys

import pytest

from experiments.sweep import processes
from experiments.sweep.processes import LocalProcesses, side_by_side, threads_each
from experiments.sweep.runner import Job

FOLLOWS = """
import time
from experiments.sweep.parent import follow_parent
follow_parent()
time.sleep(600)
"""


@pytest.fixture
def spawned(monkeypatch):
    """What each process is started with; in its place runs one that only follows its parent."""
    started = []

    def popen(command, **given):
        started.append((command, given["env"]))
        return real([sys.executable, "-P", "-c", FOLLOWS], **given)

    real = subprocess.Popen
    monkeypatch.setattr(processes.subprocess, "Popen", popen)
    return started


def machine(monkeypatch, gpus, visible=None):
    monkeypatch.setattr(processes.torch.cuda, "device_count", lambda: gpus)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)


@pytest.mark.parametrize(
    ("gpus", "visible", "expected"),
    [
        (0, None, ["", "", ""]),
        (1, None, ["0", "0", "0"]),
        (2, None, ["0", "1", "0"]),
        (2, "3,5", ["3", "5", "3"]),
        (1, "GPU-8f", ["GPU-8f", "GPU-8f", "GPU-8f"]),
    ],
)
def test_each_gpu_gets_a_run_before_one_gets_two(
    monkeypatch, spawned, tmp_path, gpus, visible, expected
):
    machine(monkeypatch, gpus, visible)
    runner = LocalProcesses()
    handles = [runner.submit(Job(["x"], tmp_path / f"{n}.log")) for n in range(3)]
    assert [handle.gpu for handle in handles] == expected
    for (_, environment), gpu in zip(spawned, expected, strict=True):
        if gpu:
            assert environment["CUDA_VISIBLE_DEVICES"] == gpu
    # One that has ended leaves its GPU to the next.
    handles[-2].stop()
    handles[-2].wait()
    if gpus == 2:
        assert runner.submit(Job(["x"], tmp_path / "next.log")).gpu == expected[1]
    assert runner.submit(Job(["x"], tmp_path / "cpu.log", gpu=False)).gpu == ""
    assert spawned[-1][1]["CUDA_VISIBLE_DEVICES"] == ""
    for handle in [*handles, *runner._begun]:
        handle.stop()
        handle.wait()


@pytest.mark.parametrize(("gpus", "cores", "jobs"), [(0, 4, 4), (1, 4, 1), (3, 4, 3)])
def test_side_by_side_is_one_a_gpu_or_a_core(monkeypatch, gpus, cores, jobs):
    machine(monkeypatch, gpus)
    monkeypatch.setattr(processes, "cores", lambda: cores)
    assert side_by_side() == jobs
    assert threads_each(jobs) == max(1, cores // jobs)
    assert threads_each(99) == 1


def test_a_job_is_a_command_of_this_program_whose_log_keeps_what_it_says(tmp_path):
    job = Job(["--help"], tmp_path / "logs" / "help.log")
    handle = LocalProcesses().submit(job)
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
        processes.subprocess,
        "Popen",
        lambda _, **given: real([sys.executable, "-c", deaf], **given),
    )
    monkeypatch.setattr(processes, "GRACE", -9.5)
    handle = LocalProcesses().submit(Job(["x"], tmp_path / "deaf.log"))
    while handle.last_line() != "ready":
        assert handle.poll() is None
    handle.stop()
    handle.wait()
    assert handle.poll() == -9


def test_a_run_is_given_a_pipe_that_says_that_this_process_lives(spawned, tmp_path):
    handle = LocalProcesses().submit(Job(["a", "b"], tmp_path / "x.log"))
    (command, environment) = spawned[0]
    assert command[1:] == ["-P", "-m", "experiments", "a", "b"]
    assert json.dumps(environment)  # whole, with what this process has
    assert handle.poll() is None
    # As the system does, however this process ends.
    handle._process.stdin.close()
    handle._process.wait(30)
    assert handle.poll() == -signal.SIGTERM
