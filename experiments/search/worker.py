"""One process's part in a search: trials as processes of their own, looked at while they run.

Several may work on one search. What is decided together (which trial comes next, whose it is) is
decided by one of them at a time; each lets the others know that it lives, so that they find the
trials of a dead one, and go on with them. How, the storage knows.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from experiments.files import write_whole
from experiments.records.run_record import RunRecord
from experiments.records.tracker import Tracker
from experiments.search.range_test import RangeTest
from experiments.search.storages.owners import new_owner
from experiments.search.storages.storage import Storage
from experiments.search.study import Study, Tried
from experiments.search.trial import SETTINGS, identity
from experiments.settings.config import RunConfig, run_config
from experiments.settings.search_space import cycle_ends, settings
from experiments.sweep.engines.process import last_line
from experiments.sweep.engines.runner import Job, Runner
from experiments.sweep.orchestrator import Count, work
from experiments.training.standing import CHECKPOINT, Standing, read_standing


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
class Trial:
    """A trial that this process makes.

    seen: the epochs of it that were looked at. state, reason: what became of it, and why; "lost"
    where another worker took it for dead, and makes it now.
    """

    tuned: Tuned
    tried: Tried
    config: RunConfig
    job: Job
    seen: int = 0
    state: Literal["complete", "pruned", "failed", "lost"] = "complete"
    reason: str = ""

    @property
    def folder(self) -> Path:
        """Where it keeps how far it is."""
        return self.job.log.parent

    def standing(self) -> Standing:
        """How far it is."""
        return read_standing(self.folder, identity(self.folder))

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.tuned.name} {self.tuned.study.sampler} trial {self.tried.number}"


class Worker:
    """One process's part in a search, as a plan of trials."""

    def __init__(
        self,
        tuned: Sequence[Tuned],
        storage: Storage,
        trials: int,
        jobs: int,
        data: Path,
        out: Path,
        parent: RunRecord,
    ) -> None:
        """storage: has the studies. trials: wanted of each. jobs: made at once by this process."""
        self._tuned, self._storage, self._trials, self._jobs = tuned, storage, trials, jobs
        self._data, self._out, self._parent = data, out, parent
        self._tracker = Tracker(out)
        self._me = new_owner()
        self._active: list[Trial] = []
        self._threads = 1
        # What other workers do is looked at again from these moments on.
        self._next_begin = self._next_count = 0.0
        self._counted = Count(0, 0, 0, 0)

    def work(self, runner: Runner) -> None:
        """Until every study has all of its trials, those of other processes as well."""
        self._threads = runner.threads_each(self._jobs)
        with self._storage.working(self._me, self._beat):
            work(self, runner, self._jobs, "trials")

    def begin(self) -> Trial | None:
        """A trial of a dead process, or else a new one of the study that has the fewest."""
        if time.monotonic() < self._next_begin:
            return None
        found = self._storage.together(self._decide)
        if found is None:
            self._next_begin = time.monotonic() + self._storage.look
            return None
        return self._prepare(*found)

    def _decide(self) -> tuple[Tuned, Tried] | None:
        """Which trial is this worker's from now on. Done anew, it decides the same."""
        mine = {(one.tuned.study.name, one.tried.number) for one in self._active}
        for tuned in self._tuned:
            for tried in tuned.study.tried():
                if tried.state != "running" or (tuned.study.name, tried.number) in mine:
                    continue
                # One that it does not know of was given to it as the database went away.
                if tried.owner == self._me:
                    return tuned, tried
                if tuned.study.is_dead(tried):
                    tuned.study.adopt(tried.number, self._me)
                    return tuned, tried
        tuned = min(self._tuned, key=lambda one: len(one.study.tried()))
        if len(tuned.study.tried()) >= self._trials:
            return None
        return tuned, tuned.study.ask(self._me, tuned.first)

    def _beat(self) -> None:
        """Say of each trial that its owner lives; note those that have another owner by now."""
        for trial in list(self._active):
            if not trial.tuned.study.beat(trial.tried.number, self._me):
                trial.state = "lost"

    def _prepare(self, tuned: Tuned, tried: Tried) -> Trial:
        folder = tuned.folder / str(tried.number)
        folder.mkdir(parents=True, exist_ok=True)
        config = tuned.trial_config(tried)
        write_whole(folder / SETTINGS, config.model_dump_json(indent=1))
        command = [
            *("trial", str(folder), "--data", str(self._data), "--out", str(self._out)),
            *("--threads", str(self._threads), "--parent", self._parent.run_id),
        ]
        trial = Trial(tuned, tried, config, Job(command, folder / "log.txt", cpus=self._threads))
        self._active.append(trial)
        return trial

    def look(self, trial: Trial, code: int | None) -> str | None:
        """Report the cycles that have ended; a trial that is pruned there is over."""
        if trial.state == "lost":
            return f"left     {trial.name} another worker has taken it over"
        standing = trial.standing()
        for epochs in cycle_ends(trial.config):
            if trial.seen < epochs <= len(standing.val):
                trial.seen = epochs
                score = standing.val[epochs - 1]
                below = trial.tuned.study.report(trial.tried.number, epochs, score)
                if below and epochs < trial.config.epochs:
                    trial.state = "pruned"
                    trial.reason = f"below the median after {epochs} epochs"
                    return f"pruned   {trial.name} {trial.reason}"
        if code is None:
            return None
        if code == 0 and standing.done:
            return f"complete {trial.name} {standing.progress.kept.exact_match:.1%}"
        trial.state, trial.reason = "failed", _reason(code, trial.job.log)
        return f"failed   {trial.name} {trial.reason}"

    def settle(self, trial: Trial) -> None:
        """Note what became of it in MLflow and in its study."""
        self._next_count = 0.0
        state = trial.state
        if state == "lost":
            self._active.remove(trial)
            return
        standing = trial.standing()
        about: dict[str, Any] = {
            "val": standing.val,
            "seconds": standing.progress.seconds,
            "reason": trial.reason,
        }
        if state == "complete":
            kept = standing.progress.kept
            about |= {"value": kept.exact_match, "loss": kept.loss}
        status = {"complete": "FINISHED", "pruned": "KILLED", "failed": "FAILED"}[state]
        tags = {"state": state, "reason": trial.reason, "sampler": trial.tuned.study.sampler}
        self._tracker.settle(identity(trial.folder), status, tags)
        (trial.folder / CHECKPOINT).unlink(missing_ok=True)
        # The study last: what is settled there is not looked at again.
        study, number = trial.tuned.study, trial.tried.number
        self._storage.together(lambda: study.end(number, self._me, state, about))
        self._active.remove(trial)

    def count(self) -> Count:
        """Those of other processes as well; one that was pruned is a whole one."""
        if time.monotonic() >= self._next_count:
            self._counted = self._count()
            self._next_count = time.monotonic() + self._storage.look
        here = sum(len(trial.standing().val) for trial in self._active)
        return self._counted._replace(trained=self._counted.trained + here)

    def _count(self) -> Count:
        settled = epochs = trained = 0
        for tuned in self._tuned:
            ended = sum(trial.state != "running" for trial in tuned.study.tried())
            ended = min(ended, self._trials)  # an earlier search may have wanted more
            settled += ended
            trained += ended * tuned.arm.epochs
            epochs += self._trials * tuned.arm.epochs
        return Count(settled, self._trials * len(self._tuned), trained, epochs)

    def done(self) -> bool:
        """See Plan."""
        return self.count().settled >= self._trials * len(self._tuned)


def _reason(code: int, log: Path) -> str:
    """Why a trial ended badly, in a line."""
    if code == -9:
        return "killed by signal 9: out of memory, or by hand"
    if code < 0:
        return f"killed by signal {-code}"
    return last_line(log) or f"exit code {code}"
