"""Runs as processes of their own, side by side: one that dies takes no other with it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch

CODE = Path(__file__).parents[2]

Process = subprocess.Popen[bytes]


def side_by_side() -> int:
    """How many runs at once, where nobody says: one a CPU core, or one on a GPU."""
    return 1 if torch.cuda.is_available() else _cores()


def threads_each(jobs: int) -> int:
    """The CPU threads that each of so many runs gets."""
    return max(1, _cores() // jobs)


def start(command: Sequence[str], log: Path) -> Process:
    """Begin a command of the suite, with this copy of its code; its output goes into the log."""
    log.parent.mkdir(parents=True, exist_ok=True)
    paths = [str(CODE), *filter(None, [os.environ.get("PYTHONPATH")])]
    with log.open("wb") as handle:
        # A session of its own: Ctrl-C reaches this process alone, which then stops each run once.
        return subprocess.Popen(
            # -P: a folder named `experiments` where the user stands is not this package.
            [sys.executable, "-P", "-m", "experiments", *command],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
            stdout=handle,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def last_line(log: Path) -> str:
    """What a run said last."""
    try:
        return log.read_text(encoding="utf-8", errors="replace").strip().rpartition("\n")[2]
    except FileNotFoundError:
        return ""


@contextmanager
def stopping(active: Callable[[], Sequence[Process | None]]) -> Iterator[None]:
    """Leave no run behind: on the way out stop those that are still active, and wait for them."""
    try:
        yield
    finally:
        running = [process for process in active() if process is not None]
        for process in running:
            if process.poll() is None:
                process.terminate()
        for process in running:
            process.wait()


def _cores() -> int:
    """The CPU cores that this process may use: in a container fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
