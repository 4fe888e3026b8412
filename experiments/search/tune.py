"""The search: tune arms on equal terms, then train what was found on fresh seeds.

Its state lies below `out/search/NAME`: Optuna's journal (where no database has the studies), a
folder a study with a folder a trial, `search.json` (what was tried, for the report) and
`NAME-best.toml` (a preset: each arm as it is and at its best). Trials learn and validate; nothing
else is opened before the fresh runs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from analysis.record import SEARCH, read_object
from experiments.data.images import Images
from experiments.data.splits import Split, learning_split
from experiments.errors import UserError
from experiments.files import DamagedError, lock, read_checked, write_checked, write_whole
from experiments.optimizers.sgd_cyclic import SGDCyclic
from experiments.records.run_record import RunRecord
from experiments.records.tracker import Tracker
from experiments.search.range_test import RangeTest, plot, range_test
from experiments.search.record import record, write_best
from experiments.search.storages.address import address
from experiments.search.storages.storage import Storage, open_storage
from experiments.search.study import Study
from experiments.search.worker import Tuned, Worker
from experiments.settings.config import RunConfig
from experiments.settings.presets import Preset
from experiments.settings.search_space import Parameters, Search
from experiments.sweep.engines.runner import Runner
from experiments.training.build import build_for
from experiments.training.run import data_folder, load_data, run_name


@dataclass(frozen=True)
class Searched:
    """What a search has found: the preset that it wrote, and what is to be said of each study."""

    best: Path
    lines: list[str]


def tune(
    name: str,
    preset: Preset,
    data: Path | None,
    out: Path,
    runner: Runner,
    arm: str | None = None,
    trials: int | None = None,
    jobs: int | None = None,
    storage: str | None = None,
) -> Searched:
    """Make every trial that is still to be made, then write down what was found.

    storage: the address of a database for the studies; a journal below `out` without.
    runner: makes them. arm: the loss or the name of one arm; all of the preset's without. trials:
    for each arm and sampler, in place of the preset's. jobs: trials side by side.
    Raises UserError for what cannot be searched or where no trial of an arm ended well, and
    KeyboardInterrupt for Ctrl-C; the same call goes on from there.
    """
    if storage:
        address(storage)  # refused before anything is made
    given = preset.search
    wanted = trials or given.trials
    jobs = jobs or runner.side_by_side()
    arms = _arms(preset, arm)
    folder = data_folder(data, out)
    images = load_data(next(iter(arms.values())), folder, out, judges=False)
    home = _home(out.resolve() / "search" / (f"{name}-{arm}" if arm else name), images.digest)
    studies = open_storage(storage, home)
    tuned = [
        one
        for label, config in arms.items()
        for one in _studies(label, config, given, folder, out, home, studies)
    ]
    key = hashlib.sha256("/".join(one.study.name for one in tuned).encode()).hexdigest()[:16]
    parent = Tracker(out).start_parent(f"tuning: {home.name} on {images.name}", key, "search")
    parent.set_tags({"preset": name, "dataset": images.name, "train_digest": images.digest})
    worker = Worker(tuned, studies, wanted, jobs, folder, out, parent)
    try:
        worker.work(runner)
        found = _write(tuned, given, images, home, parent)
    except BaseException as error:
        parent.end("KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED")
        raise
    parent.end()
    return found


def _home(folder: Path, digest: str) -> Path:
    """The folder of a search; one of the same name on other data has a folder of its own.

    digest: of the training images, which the first search leaves in the folder.
    """
    mark = folder / "train_digest"
    with lock(folder / "data.lock"):
        if not mark.is_file():
            known = read_object(folder / SEARCH) if (folder / SEARCH).is_file() else {}
            write_whole(mark, str(known.get("train_digest", digest)))
        if mark.read_text(encoding="utf-8") == digest:
            return folder
    return folder.with_name(f"{folder.name}-{digest[:8]}")


def _arms(preset: Preset, wanted: str | None) -> dict[str, RunConfig]:
    """The arms that are to be tuned, by their names. Raises UserError."""
    if preset.stages:
        raise UserError("stages: a search tunes runs without them; take them out of the preset")
    configs = preset.expand([preset.search.seed])
    if any(config.start for config in configs):
        raise UserError("start: a search trains from the beginning; take it out of the preset")
    names = [run_name(config).rpartition("-")[0] for config in configs]
    arms = {
        name if names.count(name) == 1 else f"{name}-{number}": config
        for number, (name, config) in enumerate(zip(names, configs, strict=True))
    }
    if wanted is None:
        return arms
    chosen = {n: config for n, config in arms.items() if wanted in (n, config.loss)}
    if len(chosen) != 1:
        raise UserError(f"--arm {wanted}: choose one of {', '.join(arms)}")
    return chosen


def _studies(
    label: str,
    arm: RunConfig,
    given: Search,
    folder: Path,
    out: Path,
    home: Path,
    storage: Storage,
) -> Iterator[Tuned]:
    """An arm's study under each sampler; its range test is made, or read, first."""
    try:
        parameters = given.space.parameters(arm)
    except ValueError as error:
        raise UserError(f"search.space: {error}; correct it") from error
    if not isinstance(arm.optimizer, SGDCyclic):
        raise UserError(
            "optimizer: a search is over cyclic rates, and the arm as it is stands beside what it "
            'finds: set run.optimizer.name = "sgd_cyclic"'
        )
    images = load_data(arm, folder, out, judges=False)
    split = learning_split(images, arm)
    build_for(arm, images)
    tested = _range_test(label, arm, images, split, home)
    for sampler in given.samplers:
        identity = [arm.run_hash(images.digest), sampler, given.seed, repr(parameters)]
        name = hashlib.sha256(repr(identity).encode()).hexdigest()[:16]
        study = Study(storage, name, sampler, given.seed, parameters)
        first = _first(tested, arm, parameters) if sampler == "tpe" else None
        yield Tuned(label, arm, study, home / name, first, tested)


def _range_test(label: str, arm: RunConfig, images: Images, split: Split, home: Path) -> RangeTest:
    file = home / f"range-{arm.run_hash(images.digest)}.json"
    with lock(home / "range.lock"):
        try:
            return RangeTest(**read_checked(file))
        except FileNotFoundError:
            pass
        except (DamagedError, TypeError) as error:
            print(f"{error}; it is made again")
        print(f"range test of {label}", flush=True)
        tested = range_test(arm, images, split)
        plot(tested, label, home / f"{label}-range.png")
        write_checked(file, asdict(tested))
    return tested


def _first(tested: RangeTest, arm: RunConfig, parameters: Parameters) -> dict[str, Any]:
    """Where the sampler that learns begins: between the bounds of the range test, else as the arm.

    What a range allows is kept to; of choices that do not have the arm's own the last is taken.
    """
    own = arm.optimizer
    assert isinstance(own, SGDCyclic)
    wanted: dict[str, Any] = {
        "max_lr": tested.high,
        "base_ratio": tested.low / tested.high,
        "cycle_epochs": arm.epochs // own.cycles,
        "mode": own.mode,
        "cycle_momentum": True,
        "max_momentum": own.max_momentum,
        "momentum_span": own.max_momentum - own.base_momentum,
        "weight_decay": own.weight_decay,
    } | {key: value for key, value in arm.flat().items() if "." in key}
    first: dict[str, Any] = {}
    for key, values in parameters.items():
        value = wanted.get(key)
        if isinstance(values, tuple):
            first[key] = value if value in values else values[-1]
        else:
            first[key] = min(max(values.low if value is None else value, values.low), values.high)
    return first


def _write(
    tuned: list[Tuned], given: Search, images: Images, home: Path, parent: RunRecord
) -> Searched:
    """search.json, best.toml and the figures, below `home` and as the parent's artifacts."""
    files: list[Path] = []
    lines: list[str] = []
    best: dict[str, RunConfig] = {}
    with lock(home / "ask.lock"):
        for one in tuned:
            best.setdefault(f"{one.name} as it is", one.arm)
            trial = one.study.best()
            if trial is None:
                reasons = [t.about.get("reason", "") for t in one.study.tried()]
                raise UserError(
                    f"{one.name}: none of {len(reasons)} trials ended well (the first: "
                    f"{reasons[0]}); see {one.folder}, and change search.space"
                )
            best[f"{one.name} by {one.study.sampler}"] = one.trial_config(trial)
            lines.append(
                f"{one.name}, {one.study.sampler}: best {trial.value:.1%} of validation in trial "
                f"{trial.number}"
            )
            files += one.study.figures(home, f"{one.name}-{one.study.sampler}")
            files += [home / f"{one.name}-range.png"]
        preset = write_best(home / f"{home.name}-best.toml", best, given.fresh_seeds)
        files += [preset, record(home / SEARCH, tuned, best, given, images)]
    for file in dict.fromkeys(files):
        parent.log_file(file)
    return Searched(preset, lines)
