"""One process's part in a search: trials as processes of their own, looked at while they run.

Two searches of one name may run at once. What is decided together (which trial comes next, whose
it is) is decided under `ask.lock`; a search holds a lock of its own for as long as it lives, so
that others find the trials of a dead one, and go on with them.
"""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from experiments.files import is_held, lock, write_whole
from experiments.search.range_test import RangeTest
from experiments.search.study import Study, Tried
from experiments.search.trial import HowFar, how_far, identity
from experiments.settings.config import RunConfig, run_config
from experiments.settings.search_space import cycle_ends, settings
from experiments.sweep.processes import Process, last_line, start, stopping, threads_each
from experiments.tracking import RunRecord, Tracker


@dataclass(frozen=True)
class Tuned:
    """An arm under a sampler: its study, and the folder of its trials."""

    name: str
    arm: RunConfig
    study: Study
    folder: Path
    first: dict[str, Any] | None
    range_test: RangeTest

    def trial_config(self, tried: Tried) -> RunConfig:
        """The settings of a trial."""
        return run_config(self.arm.model_dump(), settings(tried.drawn, self.arm))


@dataclass
class Active:
    """A trial that this process makes. seen: the epochs of it that were looked at."""

    tuned: Tuned
    tried: Tried
    config: RunConfig
    process: Process
    seen: int = 0
    pruned: bool = False

    @property
    def folder(self) -> Path:
        """Where it reports how far it is."""
        return self.tuned.folder / str(self.tried.number)

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.tuned.name} {self.tuned.study.sampler} trial {self.tried.number}"


class Worker:
    """One process's part in a search."""

    def __init__(
        self,
        tuned: list[Tuned],
        trials: int,
        jobs: int,
        data: Path,
        out: Path,
        home: Path,
        parent: RunRecord,
    ) -> None:
        self._tuned, self._trials, self._jobs = tuned, trials, jobs
        self._data, self._out, self._home, self._parent = data, out, home, parent
        self._tracker = Tracker(out)
        self._token = uuid.uuid4().hex
        self._active: list[Active] = []
        self._console = Console()

    def work(self) -> None:
        """Until every study has all of its trials, those of other processes as well."""
        bar = Progress(
            *(TextColumn("trials"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()),
            console=self._console,
        )
        task = bar.add_task("trials", total=self._trials * len(self._tuned))

        def view() -> RenderableType:
            logs = [(a, last_line(a.folder / "log.txt")) for a in self._active]
            return Group(bar, *(Text(f"  {a.name}  {said}", no_wrap=True) for a, said in logs))

        with (
            lock(self._owner_file(self._token)),
            stopping(lambda: [a.process for a in self._active]),
            Live(view(), console=self._console, refresh_per_second=2, transient=True) as live,
        ):
            while True:
                while len(self._active) < self._jobs and (begun := self._next()):
                    self._active.append(begun)
                for one in list(self._active):
                    self._look_at(one)
                settled = [
                    sum(trial.state != "running" for trial in tuned.study.tried())
                    for tuned in self._tuned
                ]
                bar.update(task, completed=sum(settled))
                live.update(view())
                if not self._active and min(settled) >= self._trials:
                    return
                time.sleep(0.3)
        # The lock's file stays: that of a process that is gone is held by nobody.

    def _owner_file(self, token: str) -> Path:
        return self._home / "owners" / f"{token}.lock"

    def _next(self) -> Active | None:
        """A trial of a dead process, or else a new one of the study that has the fewest."""
        with lock(self._home / "ask.lock"):
            for tuned in self._tuned:
                for tried in tuned.study.tried():
                    if tried.state == "running" and not is_held(self._owner_file(tried.owner)):
                        tuned.study.adopt(tried.number, self._token)
                        return self._start(tuned, tried)
            tuned = min(self._tuned, key=lambda one: len(one.study.tried()))
            if len(tuned.study.tried()) >= self._trials:
                return None
            return self._start(tuned, tuned.study.ask(self._token, tuned.first))

    def _start(self, tuned: Tuned, tried: Tried) -> Active:
        folder = tuned.folder / str(tried.number)
        folder.mkdir(parents=True, exist_ok=True)
        config = tuned.trial_config(tried)
        write_whole(folder / "settings.json", config.model_dump_json(indent=1))
        command = [
            *("trial", str(folder), "--data", str(self._data), "--out", str(self._out)),
            *("--threads", str(threads_each(self._jobs)), "--parent", self._parent.run_id),
        ]
        return Active(tuned, tried, config, start(command, folder / "log.txt"))

    def _look_at(self, one: Active) -> None:
        """Report the cycles that have ended; prune; settle it when it is over."""
        # Before its progress: what it reported last must not be missed.
        code = one.process.poll()
        far = how_far(one.folder)
        for epochs in cycle_ends(one.config):
            if one.seen < epochs <= len(far.val):
                one.seen = epochs
                below = one.tuned.study.report(one.tried.number, epochs, far.val[epochs - 1])
                if below and epochs < one.config.epochs:
                    self._settle(one, "pruned", f"below the median after {epochs} epochs", far)
                    return
        if code is None:
            return
        if code == 0 and far.done:
            self._settle(one, "complete", "", far)
        else:
            self._settle(one, "failed", _reason(code, one.folder / "log.txt"), far)

    def _settle(self, one: Active, state: Any, reason: str, far: HowFar) -> None:
        one.process.terminate()
        one.process.wait()
        about: dict[str, Any] = {"val": far.val, "seconds": far.seconds, "reason": reason}
        score = max(far.val, default=0.0)
        if state == "complete":
            about["value"] = score
        status = {"complete": "FINISHED", "pruned": "KILLED", "failed": "FAILED"}[state]
        # The study last: what is settled there is not looked at again.
        tags = {"state": state, "reason": reason, "sampler": one.tuned.study.sampler}
        self._tracker.settle(identity(one.folder), status, tags)
        (one.folder / "checkpoint.safetensors").unlink(missing_ok=True)
        one.tuned.study.end(one.tried.number, state, about)
        self._active.remove(one)
        end = f"{score:.1%}" if state == "complete" else reason
        self._console.print(f"{state:8}", one.name, end, highlight=False, soft_wrap=True)


def _reason(code: int, log: Path) -> str:
    """Why a trial ended badly, in a line."""
    if code == -9:
        return "killed by signal 9: out of memory, or by hand"
    if code < 0:
        return f"killed by signal {-code}"
    return last_line(log) or f"exit code {code}"
