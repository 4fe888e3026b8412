"""One run from data to record: train, read every held-out image, log."""

from __future__ import annotations

import platform
import shlex
import sys
import tempfile
from pathlib import Path

import torch
from safetensors.torch import save_file

import models
from analysis.place import masked
from analysis.record import SETTINGS, WEIGHTS
from experiments.data.cells import read_cells
from experiments.data.images import Images, load_images
from experiments.data.noise import change_labels
from experiments.data.splits import Split, make_split
from experiments.data.synthetic.strings import ensure_strings
from experiments.files import lock
from experiments.records.run_record import RunRecord
from experiments.records.tracker import Tracker
from experiments.settings.config import RunConfig
from experiments.training.epochs import labelled
from experiments.training.evaluation import Readings, human_metrics, label_metrics, write_tables
from experiments.training.inference import label_losses, read
from experiments.training.learnt import Learnt, learnt_by, write_learnt
from experiments.training.loop import Fitted, check, fit
from experiments.training.memory import memory_errors_named
from experiments.training.progress import EpochLog
from experiments.training.standing import CHECKPOINT, Standing, forget_standing, write_standing
from experiments.training.state import Progress
from experiments.training.warm_start import Start, start_of


def data_folder(data: Path | None, out: Path) -> Path:
    """The data set's folder; the embedded one, made below `out`, where none is given."""
    return data if data is not None else ensure_strings(out / "data")


def load_data(config: RunConfig, folder: Path, out: Path, *, judges: bool = True) -> Images:
    """The data set as this run sees it, decoded once below `out`. Raises UserError.

    judges: whether with the dev list and the human-read images; without, neither is opened.
    """
    size = config.image
    cells = read_cells(folder, config.charset, judges=judges)
    images = load_images(cells, size.height, size.width, size.channels, out / "cache", pad=size.pad)
    return change_labels(images, config.label_noise, config.charset)


@memory_errors_named()
def run(config: RunConfig, folder: Path, out: Path, parent: str | None = None) -> str:
    """Make one run and return its MLflow id; that of the finished one where there is one already.

    A run that was killed goes on from its last checkpoint. parent: the MLflow run to file it under.
    Raises UserError for settings, data or a `start` that cannot be used.
    """
    images = load_data(config, folder, out)
    run_hash = config.run_hash(images.digest)
    tracker = Tracker(out)
    with lock(out / "runs" / f"{run_hash}.lock"):
        if (done := tracker.finished(run_hash)) is not None:
            print(f"finished before as {done}")
            return done
        with tracker.claimed(run_hash):
            # It may be one that this process waited for.
            done = tracker.finished(run_hash) if tracker.place.server else None
            run_id = done or _record(config, images, folder, out, tracker, parent)
    return run_id


def _record(
    config: RunConfig,
    images: Images,
    folder: Path,
    out: Path,
    tracker: Tracker,
    parent: str | None,
) -> str:
    """Make the run under the lock that is held for it; returns its MLflow id."""
    run_hash = config.run_hash(images.digest)
    split = make_split(images, config)
    start = start_of(config, images, split, tracker)
    check(config, images, split, start.weights)
    checkpoint_file = out / "runs" / run_hash / CHECKPOINT
    if not checkpoint_file.exists():
        forget_standing(checkpoint_file.parent)
    tags = _tags(config, images) | ({"mlflow.parentRunId": parent} if parent else {})
    with tracker.recording(run_name(config), run_hash, tags) as record:
        _make(config, images, split, start, folder, checkpoint_file, record)
    # A finished run needs no checkpoint; what it learnt is among its artifacts.
    checkpoint_file.unlink(missing_ok=True)
    return record.run_id


def run_name(config: RunConfig) -> str:
    """A name for people; the hash is what identifies a run."""
    parts = (config.loss, config.decoder, config.backbone, config.augmentation.name, config.seed)
    return "-".join(map(str, parts))


def _make(
    config: RunConfig,
    images: Images,
    split: Split,
    start: Start,
    folder: Path,
    checkpoint_file: Path,
    record: RunRecord,
) -> None:
    run_hash = config.run_hash(images.digest)
    record.log_params(config.flat())
    record.describe(_description(config, images))
    record.log_data(images.name, folder, images.digest)
    record.set_tags({"split_digest": split.digest(images)})

    def log_curves(progress: Progress) -> None:
        # From the first epoch on: the record may be a new one, and the checkpoint older.
        for epoch, metrics in enumerate(progress.history):
            record.log_epoch(epoch, metrics)
        write_standing(checkpoint_file.parent, Standing(progress), run_hash)

    with EpochLog(config.epochs) as log:

        def on_epoch(epoch: int, progress: Progress) -> None:
            log.on_epoch(epoch, progress)
            log_curves(progress)

        fitted = fit(config, images, split, checkpoint_file, log.on_batch, on_epoch, start.weights)
    log_curves(fitted.progress)
    size = config.image
    cost = models.measure(fitted.model, (size.channels, size.height, size.width))
    record.log_metrics({f"cost.{name}": float(value) for name, value in cost._asdict().items()})
    record.log_params({"tensors_taken": fitted.taken})
    # A run that goes on has the threads that it began with.
    record.set_tags({"machine": machine(), "threads": str(torch.get_num_threads())})
    _log_results(config, fitted, images, split, start.seen, record)


def _log_results(
    config: RunConfig,
    fitted: Fitted,
    images: Images,
    split: Split,
    seen_before: Learnt | None,
    record: RunRecord,
) -> None:
    parts = {"val": split.val, "test": split.test, "human": split.human}
    readings: Readings = {}
    losses: dict[str, dict[int, float]] = {}
    for part, at in parts.items():
        if not at:
            continue
        pixels, texts = labelled(images, at)
        read_in_order = read(fitted.model, fitted.objective, pixels)
        readings[part] = dict(zip(at, read_in_order, strict=True))
        if part != "human":  # which has no labels
            found = label_losses(fitted.model, fitted.objective, pixels, texts)
            losses[part] = dict(zip(at, found, strict=True))
    metrics = {
        "train.images": float(len(split.train)),
        "best_epoch": float(fitted.progress.best),
        "val.loss": fitted.progress.kept.loss,
        "train.seconds": fitted.progress.seconds,
        **label_metrics(images, split, readings),
        **human_metrics(images, split, readings.get("human", {})),
    }
    record.log_model(run_name(config), config.flat(), metrics, (images.name, images.digest))
    with tempfile.TemporaryDirectory() as making:
        settings = Path(making, SETTINGS)
        settings.write_text(config.model_dump_json(indent=1), encoding="utf-8")
        record.log_file(settings)
        weights = Path(making, WEIGHTS)
        save_file({k: v.contiguous() for k, v in fitted.model.state_dict().items()}, weights)
        record.log_file(weights)
        # Not without what the start has seen: half of it would be taken for all.
        if seen_before is not None:
            record.log_file(write_learnt(Path(making), seen_before | learnt_by(images, split)))
        for file in write_tables(Path(making), images, split, readings, losses):
            record.log_file(file)


def _description(config: RunConfig, images: Images) -> str:
    """In Markdown: what the run is, what sets it apart, and the command that made it."""
    apart = ", ".join(f"`{key}` = `{value}`" for key, value in config.identity().items())
    return (
        f"**{config.loss}**, decoder {config.decoder}, on {config.backbone}; trained on "
        f"{images.name}, seed {config.seed}.\n\n"
        f"Other than the defaults: {apart or 'nothing'}.\n\n"
        f"Made by `{made_by()['command']}`.\n"
    )


def _tags(config: RunConfig, images: Images) -> dict[str, str]:
    return {
        "kind": "run",
        "loss": config.loss,
        "decoder": config.decoder,
        "backbone": config.backbone,
        "augmentation": config.augmentation.name,
        "seed": str(config.seed),
        "dataset": images.name,
        "data_digest": images.digest,
        "split": config.split,
        **made_by(),
    }


def machine() -> str:
    """The kind of processor, and how many CPU threads this process computes with."""
    return f"{platform.machine()}, {torch.get_num_threads()} threads"


def made_by() -> dict[str, str]:
    """Tags: the machine, torch and the command line."""
    return {
        "machine": machine(),
        "torch": torch.__version__,
        "command": masked(shlex.join(["head-to-head", *sys.argv[1:]])),
    }
