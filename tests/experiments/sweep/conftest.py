"""Processes that are begun as jobs, and make nothing."""

import subprocess
import sys

import pytest

from experiments.sweep.engines import process

FOLLOWS = """
import time
from experiments.sweep.engines.parent import follow_parent
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
    monkeypatch.setattr(process.subprocess, "Popen", popen)
    return started
