"""The grid: expand it, skip what is finished, make the rest side by side, go on past failures."""

from __future__ import annotations

import hashlib
import math
import random
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from analysis.tables.primaries import Primary
from experiments.data.cells import read_cells
from experiments.data.images import Images
from experiments.data.splits import timed_split
from experiments.files import lock, write_whole
from experiments.records.run_record import RunRecord
from experiments.records.tracker import Tracker
from experiments.settings.config import RunConfig
from experiments.settings.presets import Preset
from experiments.settings.stages import Data
from experiments.speed.expected import Ahead, expected
from experiments.sweep.engines.runner import Job, Runner
from experiments.sweep.grid import Grid, Run
from experiments.sweep.orchestrator import duration, work
from experiments.sweep.plan import Planned, plan, stage_folder
from experiments.sweep.primary import primary, put_on_record
from experiments.training.epochs import count_batches
from experiments.training.loop import check
from experiments.training.run import data_folder, load_data
from experiments.training.standing import epochs_kept
from experiments.training.warm_start import finished_start

# Training steps before which CTC tends to be still on its plateau (RESULTS.md, fewer images).
_FEW = 1000


@dataclass(frozen=True)
class Outcome:
    """How an ablation went. skipped: how many runs were finished before.

    data_digest: of the data set, as every run's tag has it.
    """

    data_digest: str
    skipped: int
    made: list[Run]
    failed: list[Run]


def ablation(
    preset_name: str,
    preset: Preset,
    data: Path | None,
    out: Path,
    runner: Runner,
    seeds: list[int] | None = None,
    jobs: int | None = None,
) -> tuple[Outcome, RunRecord]:
    """Make every run of the preset that is not finished yet, those that others start from first.

    Each is a process of its own with its share of the threads, so that one that dies takes no
    other with it. runner: makes them. jobs: runs side by side; by default as many as it says.
    Raises UserError for what is wrong with a config or the data before any run begins, and
    KeyboardInterrupt, after the runs have stopped, for Ctrl-C.
    """
    runs, folders, seen, named = planned_of(preset, seeds, data, out)
    images = seen["same"]
    busy = f"{out}: another ablation is at work there; wait for it, or set OUT (--out)"
    # Before the parent is touched: it may be the other one's as well.
    with lock(out / "ablation.lock", otherwise=busy):
        tracker = Tracker(out)
        before = tracker.finished_among({one.run_hash for one in runs})
        missing = [one for one in runs if one.run_hash not in before]
        if tracker.place.server is not None:
            # Machines that share the work begin in different places; a run is made by one of them.
            random.shuffle(missing)
        _check(missing, seen)
        planned = {run.run_hash for run in runs}
        for run in runs:
            if run.config.start and run.config.start not in planned:
                finished_start(run.config, tracker)
        # Where nothing is to be made, what makes runs is not even asked: it may have to start.
        at_once = (jobs or runner.side_by_side()) if missing else 0
        threads = runner.threads_each(at_once) if missing else 0
        key = hashlib.sha256(f"{preset_name}/{images.digest}".encode()).hexdigest()[:16]
        parent = tracker.start_parent(f"{preset_name} on {images.name}", key)
        tags = {"preset": preset_name, "dataset": images.name, "data_digest": images.digest}
        parent.set_tags(tags)
        if named is not None:
            put_on_record(named, preset, tracker, parent)
        try:
            grid = Grid(
                [_run(one, folders[one.data], out, parent.run_id, threads) for one in missing],
                tracker.being_made,
            )
            if missing and (note := few_steps(runs, images)):
                print(note, flush=True)
            if missing and runner.on_this_cpu():
                print(_ahead(missing, folders, out, at_once, threads), flush=True)
            work(grid, runner, at_once, "runs")
        except BaseException as error:
            parent.end("KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED")
            raise
    outcome = Outcome(
        data_digest=images.digest,
        skipped=len(runs) - len(missing),
        made=[run for run in grid.ended if run.ok],
        failed=[run for run in grid.ended if not run.ok],
    )
    finished = outcome.skipped + len(outcome.made)
    parent.log_metrics({"runs.finished": finished, "runs.failed": len(outcome.failed)})
    return outcome, parent


def planned_of(
    preset: Preset, seeds: list[int] | None, data: Path | None, out: Path
) -> tuple[list[Planned], dict[Data, Path], dict[Data, Images], Primary | None]:
    """All runs, the folder and the images of each data set, the primary comparison.

    seeds, data, out: as for `ablation`. Raises UserError for data that no run could be made on.
    """
    same = data_folder(data, out)
    points = preset.points(seeds)
    # First under digests that are none, to learn which runs there are to be on which data.
    names: dict[Data, str] = {name: name for name in get_args(Data)}
    by_data: dict[Data, list[RunConfig]] = {}
    for config, name, _ in plan(points, preset.stages, names):
        by_data.setdefault(name, []).append(config)
    folders = {name: stage_folder(name, same, out) for name in by_data}
    images = {name: _load(configs, folders[name], out) for name, configs in by_data.items()}
    digests = {name: found.digest for name, found in images.items()}
    named = primary(preset, seeds, digests)
    return plan(points, preset.stages, digests), folders, images, named


def _load(configs: list[RunConfig], folder: Path, out: Path) -> Images:
    first = configs[0]
    for charset in sorted({config.charset for config in configs} - {first.charset}):
        read_cells(folder, charset)
    return load_data(first, folder, out)


def _check(runs: list[Planned], images: dict[Data, Images]) -> None:
    """Find now what would otherwise stop each run by itself. Raises UserError."""
    seen = set()
    for config, data, _ in runs:
        shape = data, config.model_dump_json(exclude={"seed", "start"})
        if shape not in seen:
            seen.add(shape)
            check(config, images[data], timed_split(images[data], config))


def few_steps(runs: list[Planned], images: Images) -> str:
    """A warning where even the longest of these runs is too short to learn much; else empty.

    The epochs of most presets are for some 5,000 images, and few images make short epochs. A run
    that starts from another is no matter: it needs fewer.
    """
    most = 0
    seen = set()
    for config, data, _ in runs:
        shape = config.model_dump_json(exclude={"seed"})
        if data != "same" or config.start or shape in seen:
            continue
        seen.add(shape)
        # Cutting the split takes time, and there may be thousands of runs.
        split = timed_split(images, config)
        most = max(most, config.epochs * count_batches(config, len(split.train)))
        if most >= _FEW:
            return ""
    if not most:
        return ""
    return (
        f"note: {most:,} training steps a run, and with fewer than about {_FEW:,} CTC may read "
        f"next to nothing: set epochs {math.ceil(_FEW / most)} times as high or higher in a "
        "preset of your own (PRESET=mine.toml)"
    )


def _ahead(
    missing: list[Planned], folders: dict[Data, Path], out: Path, jobs: int, threads: int
) -> str:
    """How many runs there are to make, and about how long that takes here."""
    runs = []
    for config, data, run_hash in missing:
        trained = epochs_kept(out / "runs" / run_hash, run_hash)
        runs.append(Ahead(config, folders[data], config.epochs - trained))
    seconds = expected(runs, out, jobs, threads)
    what = "1 run" if len(runs) == 1 else f"{len(runs)} runs"
    return what if seconds is None else f"{what}, about {duration(seconds)} here"


def _run(planned: Planned, folder: Path, out: Path, parent_id: str, threads: int) -> Run:
    """A planned run, with the settings that its process reads."""
    home = out / "runs" / planned.run_hash
    home.mkdir(parents=True, exist_ok=True)
    write_whole(home / "settings.json", planned.config.model_dump_json(indent=1))
    command = [
        *("train", "--config", str(home / "settings.json")),
        *("--data", str(folder), "--out", str(out)),
        *("--threads", str(threads), "--parent", parent_id),
    ]
    job = Job(command, out / "logs" / f"{planned.run_hash}.log", cpus=threads)
    return Run(planned.config, planned.run_hash, job, home)
