"""One run from data to record: train, read every held-out image, log."""

from __future__ import annotations

import csv
import io
import platform
import shlex
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

import models
from analysis.metrics import character_error_rate, exact_match
from experiments.config import RunConfig
from experiments.data.cells import Images, load_images, read_cells
from experiments.data.splits import Split, make_split
from experiments.data.strings import ensure_strings
from experiments.progress import EpochLog
from experiments.reading import read
from experiments.tracking import PREDICTIONS, RunRecord, Tracker, lock
from experiments.train import Fitted, Progress, fit
from losses import Reading


def data_folder(data: Path | None, out: Path) -> Path:
    """The data set's folder; the embedded one, made below `out`, where none is given."""
    return data if data is not None else ensure_strings(out / "data")


def load_data(config: RunConfig, folder: Path) -> Images:
    """The data set as this run sees it. Raises UserError."""
    size = config.image
    cells = read_cells(folder, config.charset)
    return load_images(cells, size.height, size.width, size.channels)


def run(config: RunConfig, folder: Path, out: Path, parent: str | None = None) -> str:
    """Make one run and return its MLflow id; that of the finished one where there is one already.

    A run that was killed goes on from its last checkpoint. parent: the MLflow run to file it under.
    """
    images = load_data(config, folder)
    run_hash = config.run_hash(images.digest)
    tracker = Tracker(out)
    with lock(out / "runs" / f"{run_hash}.lock"):
        if (done := tracker.finished(run_hash)) is not None:
            print(f"finished before as {done}")
            return done
        tags = _tags(config, images) | ({"mlflow.parentRunId": parent} if parent else {})
        record = tracker.start_run(run_name(config), run_hash, tags)
        try:
            _make(config, images, folder, out / "runs" / run_hash, record)
        except BaseException as error:
            # Ctrl-C is no failure: the run waits, KILLED, for its next start.
            record.end("KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED")
            raise
        record.end()
    return record.run_id


def run_name(config: RunConfig) -> str:
    """A name for people; the hash is what identifies a run."""
    parts = (config.loss, config.decoder, config.backbone, config.augmentation, config.seed)
    return "-".join(map(str, parts))


def _make(config: RunConfig, images: Images, folder: Path, work: Path, record: RunRecord) -> None:
    record.log_params(config.flat())
    record.log_data(images.name, folder, images.digest)
    split = make_split(images, config.split, config.val_fraction, config.seed)
    checkpoint_file = work / "checkpoint.safetensors"
    with EpochLog(config.epochs) as log:

        def on_epoch(epoch: int, progress: Progress) -> None:
            log.on_epoch(epoch, progress)
            record.log_epoch(epoch, progress.history[epoch])

        fitted = fit(config, images, split, checkpoint_file, log.on_batch, on_epoch)
    record.log_params({"parameters": models.count_parameters(fitted.model)})
    _log_results(config, fitted, images, split, work, record)
    # A finished run needs no checkpoint; what it learnt is among its artifacts.
    checkpoint_file.unlink(missing_ok=True)


def _log_results(
    config: RunConfig, fitted: Fitted, images: Images, split: Split, work: Path, record: RunRecord
) -> None:
    parts = {"val": split.val, "test": split.test, "human": split.human}
    readings = {
        part: dict(
            zip(at, read(fitted.model, fitted.objective, images.pixels[list(at)]), strict=True)
        )
        for part, at in parts.items()
        if at
    }
    record.log_metrics(
        {
            "best_epoch": float(fitted.progress.best),
            "train.seconds": fitted.progress.seconds,
            **label_metrics(images, split, config.split, readings),
            **human_metrics(images, split, readings.get("human", {})),
        }
    )
    work.mkdir(parents=True, exist_ok=True)
    settings = work / "config.json"
    settings.write_text(config.model_dump_json(indent=1))
    record.log_file(settings)
    weights = work / "weights.safetensors"
    save_file({k: v.contiguous() for k, v in fitted.model.state_dict().items()}, weights)
    record.log_file(weights)
    record.log_file(_write(work / "images.csv", _image_rows(images, split, readings)))
    if images.readings:
        record.log_file(_write(work / "readers.csv", _reader_rows(images)))
    # Last, since a run counts once it has its predictions.
    record.log_file(_write(work / PREDICTIONS, _prediction_rows(images, readings)))


Readings = dict[str, dict[int, Reading]]


def label_metrics(images: Images, split: Split, kind: str, readings: Readings) -> dict[str, float]:
    """Exact match and character error rate against the labels of each part."""
    parts = {part: list(readings.get(part, {})) for part in ("val", "test")}
    if kind == "published":
        parts["test_clean"] = [i for i in parts["test"] if i in split.clean]
    metrics: dict[str, float] = {}
    for name, at in parts.items():
        read_by = readings.get("test" if name == "test_clean" else name, {})
        truths = [images.rows[i].label or "" for i in at]
        texts = [read_by[i].text for i in at]
        if at:
            metrics[f"{name}.exact_match"] = exact_match(truths, texts)
            metrics[f"{name}.cer"] = character_error_rate(truths, texts)
    return metrics


def human_metrics(images: Images, split: Split, readings: dict[int, Reading]) -> dict[str, float]:
    """Exact match with what people read: each, where both agree, and either of them.

    `_clean`: on the images without an identical one among those learnt from or selected on.
    """
    first, second = (images.readings.get(reader, {}) for reader in ("human1", "human2"))
    metrics: dict[str, float] = {}
    for suffix, keep in (("", set(readings)), ("_clean", set(readings) & split.clean)):
        both = [
            (readings[i].text, first[name], second[name])
            for i in sorted(keep)
            if (name := images.rows[i].filename) in first and name in second
        ]
        right = {
            "human1": [text == a for text, a, _ in both],
            "human2": [text == b for text, _, b in both],
            "agreed": [text == a for text, a, b in both if a == b],
            "either": [text in (a, b) for text, a, b in both],
        }
        metrics |= {
            f"{name}{suffix}.exact_match": sum(hits) / len(hits)
            for name, hits in right.items()
            if hits
        }
    return metrics


def _tags(config: RunConfig, images: Images) -> dict[str, str]:
    return {
        "kind": "run",
        "loss": config.loss,
        "decoder": config.decoder,
        "backbone": config.backbone,
        "augmentation": config.augmentation,
        "seed": str(config.seed),
        "dataset": images.name,
        "data_digest": images.digest,
        "split": config.split,
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads",
        "torch": torch.__version__,
        "command": shlex.join(["python", "-m", "experiments", *sys.argv[1:]]),
    }


def _prediction_rows(images: Images, readings: Readings) -> list[list[object]]:
    rows: list[list[object]] = [["split", "filename", "truth", "reading", "confidence"]]
    for part, by_image in readings.items():
        for index, reading in by_image.items():
            row = images.rows[index]
            confidence = f"{reading.confidence:.6g}"
            rows.append([part, row.filename, row.label or "", reading.text, confidence])
    return rows


def _image_rows(images: Images, split: Split, readings: Readings) -> list[list[object]]:
    """For each predicted image: its group of identical images, and whether training had none."""
    rows: list[list[object]] = [["split", "filename", "group", "clean"]]
    for part, by_image in readings.items():
        for index in by_image:
            filename = images.rows[index].filename
            rows.append([part, filename, images.groups[index], int(index in split.clean)])
    return rows


def _reader_rows(images: Images) -> list[list[object]]:
    rows: list[list[object]] = [["reader", "filename", "reading"]]
    for reader, by_name in images.readings.items():
        rows += [[reader, filename, text] for filename, text in by_name.items()]
    return rows


def _write(file: Path, rows: list[list[object]]) -> Path:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text.getvalue(), encoding="utf-8")
    return file
