"""How far a run is: a bar on a terminal, a line an epoch in a log file."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import (
    Progress as Bars,
)

from experiments.training.state import Progress


@contextmanager
def counting(what: str) -> Iterator[Callable[[int], Callable[[], None]]]:
    """A bar for so many of something: give it the number, and call what it returns after each."""
    bars = Bars(
        TextColumn(what),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    )

    def start(total: int) -> Callable[[], None]:
        task = bars.add_task(what, total=total)
        return lambda: bars.advance(task)

    with bars:
        yield start


class EpochLog:
    """Shows the training of one run; give its two methods to `fit`."""

    def __init__(self, epochs: int) -> None:
        self._epochs = epochs
        self._console = Console()
        self._bars = Bars(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("batches"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=self._console,
            disable=not sys.stdout.isatty(),
        )
        self._task: TaskID | None = None

    def __enter__(self) -> EpochLog:
        self._started = time.monotonic()
        self._first: int | None = None
        self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bars.stop()

    def on_batch(self, epoch: int, done: int, batches: int) -> None:
        """Move the bar."""
        if self._task is None:
            self._task = self._bars.add_task("training", total=self._epochs * batches)
        self._bars.update(self._task, completed=epoch * batches + done)

    def on_epoch(self, epoch: int, progress: Progress) -> None:
        """Say what the epoch reached, and how long the rest will take at this rate."""
        if self._first is None:
            self._first = epoch
        metrics = progress.history[-1]
        rate = (time.monotonic() - self._started) / (epoch - self._first + 1)
        left = rate * (self._epochs - epoch - 1)
        self._bars.console.print(
            f"epoch {epoch + 1}/{self._epochs}  loss {metrics['train.loss']:.3f}  "
            f"val exact {metrics['val.exact_match']:.1%}  "
            f"kept {progress.kept.exact_match:.1%}  "
            f"{rate:.1f} s an epoch, {left // 60:.0f}:{left % 60:02.0f} left",
            highlight=False,
            soft_wrap=True,
        )
