"""What makes jobs: processes of this machine, or another engine behind the same interface."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class Job:
    """A command of `python -m experiments`, and what it needs.

    command: its arguments. log: the file that gets what it says.
    cpus: how many cores it computes on. gpu: whether it takes a GPU where there is one.
    """

    command: Sequence[str]
    log: Path
    cpus: int = 1
    gpu: bool = True


class Handle(Protocol):
    """A job that was begun."""

    def poll(self) -> int | None:
        """None while it runs; then its exit code, -N where signal N ended it."""

    def stop(self) -> None:
        """Ask it to stop, as for Ctrl-C; returns at once."""

    def wait(self) -> None:
        """Until it has ended; one that does not stop when asked to is ended."""

    def last_line(self) -> str:
        """What it said last; empty where it said nothing yet."""


class Runner(Protocol):
    """Begins jobs. A job never outlives the process that has its handle."""

    def side_by_side(self) -> int:
        """How many at once, where nobody says: one a GPU, or without any one a CPU core."""

    def threads_each(self, jobs: int) -> int:
        """The CPU threads that each of so many at once gets."""

    def on_this_cpu(self) -> bool:
        """Whether jobs compute on this machine's CPU, so that a time taken here holds for them."""

    def submit(self, job: Job) -> Handle:
        """Begin it."""
