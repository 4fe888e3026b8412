"""The runs of a grid as a plan: one that starts from another waits for it, and fails with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path

from experiments.settings.config import RunConfig
from experiments.sweep.engines.process import last_line
from experiments.sweep.engines.runner import Job
from experiments.sweep.orchestrator import Count
from experiments.training.run import run_name
from experiments.training.standing import epochs_kept, read_standing


@dataclass
class Run:
    """A run of the grid or of a stage.

    job: makes it. folder: where it keeps how far it is.
    code: how its process ended, None before.
    without: the run that it would have started from, where that failed.
    """

    config: RunConfig
    run_hash: str
    job: Job
    folder: Path
    code: int | None = None
    without: Run | None = None

    @property
    def name(self) -> str:
        """For people, with the begin of the hash, as arms may share the rest."""
        return f"{run_name(self.config)} {self.run_hash[:6]}"

    @property
    def ok(self) -> bool:
        """It has ended, and well."""
        return self.code == 0

    @property
    def log(self) -> Path:
        """The file that says what became of it."""
        return self.job.log if self.without is None else self.without.log

    def last_line(self) -> str:
        """What the run said last, or why it could not begin."""
        if self.without is not None:
            return f"it starts from {self.without.name}, which failed"
        return last_line(self.log)


class Grid:
    """The plan. ended: the runs that have, well or not, in that order."""

    def __init__(
        self, runs: Sequence[Run], elsewhere: Callable[[], AbstractSet[str]] = frozenset
    ) -> None:
        """elsewhere: the hashes of the runs that other machines make now; they come last."""
        self._elsewhere = elsewhere
        self._waiting, self._active = list(runs), list[Run]()
        self._epochs = sum(run.config.epochs for run in runs)
        # Of runs that were stopped: no time of this process went into these.
        self._before = {run.run_hash: epochs_kept(run.folder, run.run_hash) for run in runs}
        self.ended: list[Run] = []

    def begin(self) -> Run | None:
        """See Plan."""
        missing = {run.run_hash for run in (*self._waiting, *self._active)}
        ready = [run for run in self._waiting if run.config.start not in missing]
        if not ready:
            return None
        # Of one alone nothing has to be asked.
        taken = self._elsewhere() if len(ready) > 1 else frozenset()
        run = next((run for run in ready if run.run_hash not in taken), ready[0])
        self._waiting.remove(run)
        self._active.append(run)
        return run

    def look(self, run: Run, code: int | None) -> str | None:
        """See Plan."""
        run.code = code
        return None if code is None else f"{'done  ' if run.ok else 'FAILED'} {run.name}"

    def settle(self, run: Run) -> None:
        """See Plan."""
        self._active.remove(run)
        self.ended.append(run)
        if not run.ok:
            self._fail_with(run)

    def _fail_with(self, failed: Run) -> None:
        for run in [run for run in self._waiting if run.config.start == failed.run_hash]:
            self._waiting.remove(run)
            run.without = failed
            print(f"FAILED {run.name}: {run.last_line()}")
            self.ended.append(run)
            self._fail_with(run)

    def count(self) -> Count:
        """See Plan."""
        jobs = len(self.ended) + len(self._active) + len(self._waiting)
        trained = sum(run.config.epochs for run in self.ended)
        trained += sum(_trained(run) for run in self._active)
        trained += sum(self._before[run.run_hash] for run in self._waiting)
        return Count(len(self.ended), jobs, trained, self._epochs)

    def done(self) -> bool:
        """See Plan."""
        return not self._waiting and not self._active


def _trained(run: Run) -> int:
    """How many epochs it has finished."""
    return len(read_standing(run.folder, run.run_hash).progress.history)
