"""A run ends with the process that asked for it, however that one dies."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from experiments.sweep.engines import parent

ROOT = Path(__file__).parents[4]

# A run that listens, says so, and then does what it is given.
CHILD = """
import sys, time
from experiments.sweep.engines.parent import follow_parent
follow_parent()
print("listens", flush=True)
"""
SLEEPS = "time.sleep(600)"
STOPS = """
import signal
def stop(*_): raise KeyboardInterrupt
signal.signal(signal.SIGTERM, stop)
try:
    time.sleep(600)
except KeyboardInterrupt:
    print("stopped", flush=True)
"""
# A parent that starts one with the pipe, says its id, and waits.
PARENT = """
import os, subprocess, sys, time
from experiments.sweep.engines.parent import VARIABLE
child = subprocess.Popen(
    [sys.executable, "-c", sys.argv[1]], stdin=subprocess.PIPE, stdout=open(sys.argv[2], "wb"),
    start_new_session=True, env=os.environ | {VARIABLE: "stdin"},
)
print(child.pid, flush=True)
time.sleep(600)
"""


def gone(pid, seconds=20.0):
    """Whether the process ends within this time."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            os.kill(pid, 0)
            state = Path(f"/proc/{pid}/stat")
            if state.exists() and state.read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (ProcessLookupError, FileNotFoundError):
            return True
        time.sleep(0.05)
    return False


def child_of_one_killed(by, does, said):
    """The id of a child that does this, whose parent is killed once it listens.

    said: the file that gets what the child says.
    """
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, does, str(said)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    ) as process:
        child = int(process.stdout.readline())
        while said.read_bytes() != b"listens\n":
            assert process.poll() is None
            time.sleep(0.02)
        time.sleep(0.3)
        process.send_signal(by)
    return child


@pytest.mark.parametrize("killed_by", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize(
    ("does", "says"),
    [
        pytest.param(SLEEPS, "listens\n", id="imports"),
        pytest.param(STOPS, "listens\nstopped\n", id="trains"),
    ],
)
def test_a_child_ends_when_its_parent_is_killed(tmp_path, killed_by, does, says):
    said = tmp_path / "said"
    child = child_of_one_killed(killed_by, CHILD + does, said)
    assert gone(child)
    assert said.read_text() == says


def test_one_that_cannot_stop_is_ended_after_a_while(tmp_path):
    deaf = CHILD.replace(
        "follow_parent()\nprint",
        "import experiments.sweep.engines.parent as p, signal; p.GRACE = 0.3;"
        " signal.signal(signal.SIGTERM, signal.SIG_IGN)\nfollow_parent()\nprint",
    )
    child = child_of_one_killed(signal.SIGKILL, deaf + SLEEPS, tmp_path / "said")
    assert gone(child)


def test_a_process_that_nobody_started_as_a_run_listens_to_nothing(monkeypatch):
    monkeypatch.delenv(parent.VARIABLE, raising=False)
    monkeypatch.setattr(parent.threading, "Thread", None)
    parent.follow_parent()
