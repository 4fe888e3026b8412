"""A trial of a search: a run that learns and validates, and that nothing judges.

It neither opens the dev list nor what people read. How far it is stands in its folder, where the
search that started it looks:

    settings.json             what it is
    progress.json             validation after each epoch, and whether it is done
    checkpoint.safetensors    what it goes on from
    log.txt                   what it said
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from experiments.data.splits import learning_split
from experiments.files import lock
from experiments.records.tracker import Tracker
from experiments.settings.config import RunConfig
from experiments.training.loop import fit
from experiments.training.memory import memory_errors_named
from experiments.training.progress import EpochLog
from experiments.training.run import load_data, made_by, run_name
from experiments.training.standing import CHECKPOINT, Standing, read_standing, write_standing
from experiments.training.state import Progress

# What the trial in a folder is.
SETTINGS = "settings.json"


def identity(folder: Path) -> str:
    """16 hex digits that no other trial and no run has, for MLflow's record.

    Two searches may have a study in common, whose draws need not be the same; a search whose folder
    was deleted begins anew.
    """
    search, study, number = folder.parts[-3:]
    drawn = (folder / SETTINGS).read_text(encoding="utf-8")
    return hashlib.sha256(f"trial/{search}/{study}/{number}/{drawn}".encode()).hexdigest()[:16]


@memory_errors_named()
def trial(folder: Path, data: Path, out: Path, parent: str) -> None:
    """Make the trial in this folder, or go on with it. parent: the search's MLflow run.

    Raises UserError for settings or data that cannot be used.
    """
    config = RunConfig.model_validate_json((folder / SETTINGS).read_text(encoding="utf-8"))
    tracker = Tracker(out)
    with lock(folder / "lock"):
        if read_standing(folder, identity(folder), aloud=True).done:
            return
        images = load_data(config, data, out, judges=False)
        split = learning_split(images, config)
        tags = {
            "kind": "trial",
            "study": folder.parent.name,
            "trial": folder.name,
            "loss": config.loss,
            "mlflow.parentRunId": parent,
            **made_by(),
        }
        name = f"{run_name(config)} trial {folder.name}"
        with (
            tracker.recording(name, identity(folder), tags) as record,
            EpochLog(config.epochs) as log,
        ):
            record.log_params(config.flat())

            def report(progress: Progress, done: bool = False) -> None:
                write_standing(folder, Standing(progress, done), identity(folder))
                for epoch, metrics in enumerate(progress.history):
                    record.log_epoch(epoch, metrics)

            def on_epoch(epoch: int, progress: Progress) -> None:
                log.on_epoch(epoch, progress)
                report(progress)

            checkpoint = folder / CHECKPOINT
            fitted = fit(config, images, split, checkpoint, log.on_batch, on_epoch)
            kept = fitted.progress.kept
            record.log_metrics({"val.exact_match": kept.exact_match, "val.loss": kept.loss})
            report(fitted.progress, done=True)
