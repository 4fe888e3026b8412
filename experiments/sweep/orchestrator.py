"""Keeps a runner busy with the jobs of a plan, and shows how it goes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple, Protocol, TypeVar

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from experiments.sweep.engines.interrupts import interrupts_wait
from experiments.sweep.engines.runner import Handle, Job, Runner

_BETWEEN_LOOKS = 0.3  # seconds


class Count(NamedTuple):
    """How far a plan is: jobs that are settled, of all; and epochs that are trained, of all."""

    settled: int
    jobs: int
    trained: int
    epochs: int


class Task(Protocol):
    """Something that a job makes."""

    @property
    def name(self) -> str:
        """For people."""

    @property
    def job(self) -> Job:
        """What makes it."""


_Task = TypeVar("_Task", bound=Task)


class Plan(Protocol[_Task]):
    """Which jobs there are, in which order, and what becomes of each."""

    def begin(self) -> _Task | None:
        """The next that can begin now; None where none can, for now or for good."""

    def look(self, task: _Task, code: int | None) -> str | None:
        """Look at a job that runs, or that ended with this code.

        Returns a line about how it ended; None while it is to go on. One that has not ended is
        stopped then.
        """

    def settle(self, task: _Task) -> None:
        """Note what became of a job that has ended, and that `look` had said so of."""

    def count(self) -> Count:
        """How far it all is."""

    def done(self) -> bool:
        """Whether nothing is left, here or with another process."""


def work(plan: Plan[_Task], runner: Runner, at_once: int, what: str) -> None:
    """Until the plan is done, with at most so many jobs at once.

    what: jobs are called that. On the way out, also of an error or Ctrl-C, every job that still
    runs is stopped.
    """
    console = Console()
    active: list[tuple[_Task, Handle]] = []
    bar = Progress(
        *(TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()),
        TextColumn("{task.fields[left]}"),
        console=console,
    )
    at = bar.add_task(what, total=None, left="")
    left = _TimeLeft(plan.count())

    def say(line: str) -> None:
        console.print(line, highlight=False, markup=False, soft_wrap=True)

    def show() -> RenderableType:
        count = plan.count()
        bar.update(at, completed=count.settled, total=count.jobs, left=left(count))
        lines = (f"  {task.name}  {handle.last_line()}" for task, handle in active)
        return Group(bar, *(Text(line, no_wrap=True) for line in lines))

    with (
        _stopping(active),
        Live(show(), console=console, refresh_per_second=2, transient=True) as live,
    ):
        while True:
            while len(active) < at_once and (task := plan.begin()) is not None:
                with interrupts_wait():
                    active.append((task, runner.submit(task.job)))
            for task, handle in list(active):
                # The code first: what a job noted last must not be missed.
                ended = plan.look(task, handle.poll())
                if ended is not None:
                    handle.stop()
                    handle.wait()
                    plan.settle(task)
                    active.remove((task, handle))
                    say(f"{ended}  {_how_far(plan.count(), left)}")
            live.update(show())
            if not active and plan.done():
                return
            time.sleep(_BETWEEN_LOOKS)


@contextmanager
def _stopping(active: list[tuple[_Task, Handle]]) -> Iterator[None]:
    """Leave no job behind: on the way out stop those that are still active, and wait for them."""
    try:
        yield
    finally:
        for _, handle in active:
            handle.stop()
        for _, handle in active:
            handle.wait()


def _how_far(count: Count, left: _TimeLeft) -> str:
    rest = left(count)
    return f"({count.settled} of {count.jobs}{', ' if rest else ''}{rest})"


class _TimeLeft:
    """How long the rest takes, at the rate of the epochs that were trained since the beginning."""

    def __init__(self, begun: Count) -> None:
        self._begun, self._at = begun, time.monotonic()

    def __call__(self, count: Count) -> str:
        trained = count.trained - self._begun.trained
        if trained <= 0 or count.trained >= count.epochs:
            return ""
        seconds = (time.monotonic() - self._at) / trained * (count.epochs - count.trained)
        return f"about {duration(seconds)} left"


def duration(seconds: float) -> str:
    """A time as people say it."""
    if seconds < 100:
        return f"{seconds:.0f} seconds"
    if seconds < 100 * 60:
        return f"{seconds / 60:.0f} minutes"
    return f"{seconds / 3600:.1f} hours"
