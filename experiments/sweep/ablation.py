"""The grid: expand it, skip what is finished, make the rest side by side, go on past failures."""

from __future__ import annotations

import hashlib
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from experiments.data.cells import read_cells
from experiments.data.images import Images
from experiments.files import lock, write_whole
from experiments.settings.config import RunConfig
from experiments.settings.presets import Preset
from experiments.settings.stages import Data
from experiments.sweep.plan import Planned, plan, stage_folder
from experiments.sweep.processes import last_line, side_by_side, start, stopping, threads_each
from experiments.tracking import RunRecord, Tracker
from experiments.training.build import build_for
from experiments.training.run import data_folder, load_data, run_name
from experiments.training.warm_start import finished_start


@dataclass
class Job:
    """A run of the grid or of a stage, and the process that makes it.

    folder: its data set.
    without: the run that it would have started from, where that failed.
    """

    config: RunConfig
    run_hash: str
    folder: Path
    log: Path
    process: subprocess.Popen[bytes] | None = None
    without: Job | None = None

    @property
    def name(self) -> str:
        """For people, with the begin of the hash, as arms may share the rest."""
        return f"{run_name(self.config)} {self.run_hash[:6]}"

    @property
    def ok(self) -> bool:
        """It has ended, and well."""
        return self.process is not None and self.process.returncode == 0

    def last_line(self) -> str:
        """What the run said last, or why it could not begin."""
        if self.without is not None:
            return f"it starts from {self.without.name}, which failed"
        return last_line(self.log)


@dataclass(frozen=True)
class Outcome:
    """How an ablation went."""

    skipped: list[Job]
    made: list[Job]
    failed: list[Job]


def ablation(
    preset_name: str,
    preset: Preset,
    data: Path | None,
    out: Path,
    seeds: list[int] | None = None,
    jobs: int | None = None,
) -> tuple[Outcome, RunRecord]:
    """Make every run of the preset that is not finished yet, those that others start from first.

    Each is a process of its own with its share of the threads, so that one that dies takes no
    other with it. jobs: runs side by side; by default one a CPU core, or one on a GPU.
    Raises UserError for what is wrong with a config or the data before any run begins, and
    KeyboardInterrupt, after the runs have stopped, for Ctrl-C.
    """
    same = data_folder(data, out)
    runs, folders, images = _plan(preset, seeds, same, out)
    jobs = jobs or side_by_side()
    busy = f"{out}: another ablation is at work there; wait for it, or set OUT (--out)"
    # Before the parent is touched: it may be the other one's as well.
    with lock(out / "ablation.lock", otherwise=busy):
        tracker = Tracker(out)
        planned = {run.run_hash for run in runs}
        for run in runs:
            if run.config.start and run.config.start not in planned:
                finished_start(run.config, tracker)
        key = hashlib.sha256(f"{preset_name}/{images.digest}".encode()).hexdigest()[:16]
        parent = tracker.start_parent(f"{preset_name} on {images.name}", key)
        tags = {"preset": preset_name, "dataset": images.name, "data_digest": images.digest}
        parent.set_tags(tags)
        outcome = Outcome([], [], [])
        waiting = list[Job]()
        for config, data_name, run_hash in runs:
            log = out / "logs" / f"{run_hash}.log"
            job = Job(config, run_hash, folders[data_name], log)
            (outcome.skipped if tracker.finished(run_hash) else waiting).append(job)
        try:
            for job in _work_off(waiting, out, parent.run_id, jobs):
                (outcome.made if job.ok else outcome.failed).append(job)
        except BaseException as error:
            parent.end("KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED")
            raise
    finished = len(outcome.skipped) + len(outcome.made)
    parent.log_metrics({"runs.finished": finished, "runs.failed": len(outcome.failed)})
    return outcome, parent


def _plan(
    preset: Preset, seeds: list[int] | None, same: Path, out: Path
) -> tuple[list[Planned], dict[Data, Path], Images]:
    """All runs, the folder of each data set, and the images of the preset's own, all checked."""
    points = preset.points(seeds)
    # First under digests that are none, to learn which runs there are to be on which data.
    names: dict[Data, str] = {name: name for name in get_args(Data)}
    by_data: dict[Data, list[RunConfig]] = {}
    for config, name, _ in plan(points, preset.stages, names):
        by_data.setdefault(name, []).append(config)
    folders = {name: stage_folder(name, same, out) for name in by_data}
    images = {name: _check(configs, folders[name], out) for name, configs in by_data.items()}
    digests = {name: found.digest for name, found in images.items()}
    return plan(points, preset.stages, digests), folders, images["same"]


def _check(configs: list[RunConfig], folder: Path, out: Path) -> Images:
    """Find now what would otherwise stop each run by itself. Returns the data set."""
    images = load_data(configs[0], folder, out)
    for charset in {config.charset for config in configs}:
        read_cells(folder, charset)
    seen = set()
    for config in configs:
        if (shape := config.model_dump_json(exclude={"seed", "start"})) not in seen:
            seen.add(shape)
            build_for(config, images)
    return images


def _work_off(waiting: list[Job], out: Path, parent_id: str, jobs: int) -> Iterator[Job]:
    """Run the jobs, at most `jobs` at once, and yield each when it has ended.

    One that starts from another waits for it, and fails with it.
    """
    console = Console()
    bar = Progress(
        TextColumn("runs"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=console
    )
    task = bar.add_task("runs", total=len(waiting))
    threads = threads_each(jobs)
    queue, active, failed = list(waiting), list[Job](), dict[str, Job]()

    def ready() -> Iterator[Job]:
        missing = {job.run_hash for job in (*queue, *active)} | failed.keys()
        return (job for job in queue if job.config.start not in missing)

    def ended(job: Job) -> Job:
        bar.advance(task)
        console.print("done  " if job.ok else "FAILED", job.name, highlight=False)
        if not job.ok:
            failed[job.run_hash] = job
        return job

    def view() -> RenderableType:
        lines = [Text(f"  {job.name}  {job.last_line()}", no_wrap=True) for job in active]
        return Group(bar, *lines)

    with (
        stopping(lambda: [job.process for job in active]),
        Live(view(), console=console, refresh_per_second=2, transient=True) as live,
    ):
        while queue or active:
            for job in [j for j in queue if j.config.start in failed]:
                queue.remove(job)
                job.without = failed[job.config.start]
                job.log = job.without.log
                yield ended(job)
            while len(active) < jobs and (next_job := next(ready(), None)):
                queue.remove(next_job)
                next_job.process = _start(next_job, out, parent_id, threads)
                active.append(next_job)
            time.sleep(0.3)
            for job in [
                j for j in active if j.process is not None and j.process.poll() is not None
            ]:
                active.remove(job)
                yield ended(job)
            live.update(view())


def _start(job: Job, out: Path, parent_id: str, threads: int) -> subprocess.Popen[bytes]:
    settings = out / "runs" / job.run_hash / "settings.json"
    settings.parent.mkdir(parents=True, exist_ok=True)
    write_whole(settings, job.config.model_dump_json(indent=1))
    command = [
        *("train", "--config", str(settings), "--data", str(job.folder), "--out", str(out)),
        *("--threads", str(threads), "--parent", parent_id),
    ]
    return start(command, job.log)
