"""The grid: expand it, skip what is finished, make the rest side by side, go on past failures."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from experiments import train
from experiments.config import RunConfig
from experiments.data.cells import Images, read_cells
from experiments.lock import lock
from experiments.presets import Preset
from experiments.run import data_folder, load_data, run_name
from experiments.tracking import RunRecord, Tracker


@dataclass
class Job:
    """A run of the grid, and the process that makes it."""

    config: RunConfig
    run_hash: str
    log: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def name(self) -> str:
        """For people, with the begin of the hash, as arms may share the rest."""
        return f"{run_name(self.config)} {self.run_hash[:6]}"

    @property
    def ok(self) -> bool:
        """It has ended, and well."""
        return self.process is not None and self.process.returncode == 0

    def last_line(self) -> str:
        """What the run said last."""
        try:
            return self.log.read_text(errors="replace").strip().rpartition("\n")[2]
        except FileNotFoundError:
            return ""


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
    """Make every run of the preset that is not finished yet.

    Each is a process of its own with its share of the threads, so that one that dies takes no
    other with it. jobs: runs side by side; by default one a CPU core, or one on a GPU.
    Raises UserError for what is wrong with a config or the data before any run begins, and
    KeyboardInterrupt, after the runs have stopped, for Ctrl-C.
    """
    configs = preset.expand(seeds)
    folder = data_folder(data, out)
    images = _check(configs, folder)
    jobs = jobs or (1 if torch.cuda.is_available() else _cores())
    busy = f"{out}: another ablation is at work there; wait for it, or set OUT (--out)"
    # Before the parent is touched: it may be the other one's as well.
    with lock(out / "ablation.lock", otherwise=busy):
        tracker = Tracker(out)
        key = hashlib.sha256(f"{preset_name}/{images.digest}".encode()).hexdigest()[:16]
        parent = tracker.start_parent(f"{preset_name} on {images.name}", key)
        tags = {"preset": preset_name, "dataset": images.name, "data_digest": images.digest}
        parent.set_tags(tags)
        outcome = Outcome([], [], [])
        waiting = list[Job]()
        for config in configs:
            run_hash = config.run_hash(images.digest)
            job = Job(config, run_hash, out / "logs" / f"{run_hash}.log")
            (outcome.skipped if tracker.finished(run_hash) else waiting).append(job)
        try:
            for job in _work_off(waiting, folder, out, parent.run_id, jobs):
                (outcome.made if job.ok else outcome.failed).append(job)
        except BaseException as error:
            parent.end("KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED")
            raise
    finished = len(outcome.skipped) + len(outcome.made)
    parent.log_metrics({"runs.finished": finished, "runs.failed": len(outcome.failed)})
    return outcome, parent


def _cores() -> int:
    """The CPU cores that this process may use: in a container fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _check(configs: list[RunConfig], folder: Path) -> Images:
    """Find now what would otherwise stop each run by itself. Returns the data set."""
    images = load_data(configs[0], folder)
    for charset in {config.charset for config in configs}:
        read_cells(folder, charset)
    seen = set()
    for config in configs:
        if (shape := config.model_dump_json(exclude={"seed"})) not in seen:
            seen.add(shape)
            model, objective = train.build(config)
            train.check_labels(config, objective, model, images)
    return images


def _work_off(
    waiting: list[Job], folder: Path, out: Path, parent_id: str, jobs: int
) -> Iterator[Job]:
    """Run the jobs, at most `jobs` at once, and yield each when it has ended."""
    console = Console()
    bar = Progress(
        TextColumn("runs"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=console
    )
    task = bar.add_task("runs", total=len(waiting))
    threads = max(1, _cores() // jobs)
    queue, active = list(waiting), list[Job]()

    def view() -> RenderableType:
        lines = [Text(f"  {job.name}  {job.last_line()}", no_wrap=True) for job in active]
        return Group(bar, *lines)

    with (
        _stopping(active),
        Live(view(), console=console, refresh_per_second=2, transient=True) as live,
    ):
        while queue or active:
            while queue and len(active) < jobs:
                job = queue.pop(0)
                job.process = _start(job, folder, out, parent_id, threads)
                active.append(job)
            time.sleep(0.3)
            for job in [
                j for j in active if j.process is not None and j.process.poll() is not None
            ]:
                active.remove(job)
                bar.advance(task)
                console.print("done  " if job.ok else "FAILED", job.name, highlight=False)
                yield job
            live.update(view())


def _start(
    job: Job, folder: Path, out: Path, parent_id: str, threads: int
) -> subprocess.Popen[bytes]:
    settings = out / "runs" / job.run_hash / "settings.json"
    settings.parent.mkdir(parents=True, exist_ok=True)
    settings.write_text(job.config.model_dump_json(indent=1))
    job.log.parent.mkdir(parents=True, exist_ok=True)
    command = [
        *(sys.executable, "-m", "experiments", "train", "--config", str(settings)),
        *("--data", str(folder), "--out", str(out)),
        *("--threads", str(threads), "--parent", parent_id),
    ]
    with job.log.open("wb") as log:
        # A session of its own: Ctrl-C reaches this process alone, which then stops each run once.
        return subprocess.Popen(
            command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )


@contextmanager
def _stopping(active: list[Job]) -> Iterator[None]:
    """Leave no run behind: on the way out stop what is still running, and wait for it."""
    try:
        yield
    finally:
        for job in active:
            if job.process is not None and job.process.poll() is None:
                job.process.terminate()
        for job in active:
            if job.process is not None:
                job.process.wait()
