"""One training loop for every arm."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import cast

import torch
from lightning_fabric import Fabric
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.optim.swa_utils import AveragedModel

import models
from analysis.metrics import exact_match
from experiments import checkpoint
from experiments.config import RunConfig
from experiments.data.augment import AUGMENTATIONS, draw
from experiments.data.images import Images
from experiments.data.splits import Split
from experiments.errors import UserError
from experiments.optim import build_optimizer, moving_average
from experiments.reading import BATCH, score, to_input
from experiments.seeding import derive, generator
from experiments.start import take_weights
from losses import CannotLearnError, Objective, Targets
from models import Reader


@dataclass
class Progress:
    """How far a run is: everything but the tensors. A checkpoint holds it as JSON.

    history: the metrics of each finished epoch.
    best: the epoch that is kept, counted from 0.
    seconds: spent in finished epochs.
    """

    history: list[dict[str, float]] = field(default_factory=list)
    best: int = -1
    seconds: float = 0.0

    @property
    def best_exact_match(self) -> float:
        """On validation, of the epoch that is kept; -1 before the first."""
        return self.history[self.best]["val.exact_match"] if self.best >= 0 else -1.0


@dataclass(frozen=True)
class Fitted:
    """A trained model with the weights of its best epoch, and how it got there.

    taken: how many tensors of another run it started from.
    """

    model: Reader
    objective: Objective
    progress: Progress
    taken: int


def build(config: RunConfig) -> tuple[Reader, Objective]:
    """An untrained model and its objective. The trunk's weights depend on the seed alone."""
    objective = config.objective()
    outputs = models.Outputs(
        num_classes=objective.num_classes,
        length_classes=objective.length_classes,
        max_length=config.max_length,
        column_classes=objective.column_classes,
        column_source=objective.column_source,
    )
    torch.manual_seed(derive(config.seed, "weights"))
    try:
        model = models.build(
            config.backbone,
            config.width_stride,
            config.decoder,
            outputs,
            hidden=config.hidden,
            layers=config.layers,
            pretrained=config.pretrained,
        )
    except models.BackboneError as error:
        raise UserError(str(error)) from error
    return model, objective


def check_labels(config: RunConfig, objective: Objective, model: Reader, images: Images) -> None:
    """Refuse, by name, a label that the arm can never emit."""
    size = config.image
    try:
        steps, columns = models.count_steps(model, (size.channels, size.height, size.width))
    except RuntimeError as error:
        raise UserError(
            f"images of {size.height}x{size.width} are too small for {config.backbone}: "
            "raise image.height or image.width"
        ) from error
    for row in images.rows:
        if row.label is not None:
            try:
                objective.check(row.label, steps, columns)
            except CannotLearnError as error:
                raise UserError(f"{row.filename}: {error}") from error


def fit(
    config: RunConfig,
    images: Images,
    split: Split,
    checkpoint_file: Path,
    on_batch: Callable[[int, int, int], None],
    on_epoch: Callable[[int, Progress], None],
    start: dict[str, Tensor] | None = None,
) -> Fitted:
    """Train to the end, from the checkpoint where there is one.

    on_batch: called with the epoch, the batches done and the batches of an epoch.
    on_epoch: called with the number of each newly finished epoch, before its checkpoint is written.
    start: the weights of another run to start from.
    """
    model, objective = build(config)
    check_labels(config, objective, model, images)
    taken = 0
    if start:
        taken = take_weights(model, start)
        print(f"starts from {config.start}: {taken} of {len(model.state_dict())} tensors")
    fabric = Fabric(accelerator="auto", devices=1, precision=config.precision)
    model.to(memory_format=torch.channels_last)
    batches = _batches(config, len(split.train))
    optimizer, schedule = build_optimizer(model, config.optimizer, batches * config.epochs)
    wrapped, wrapped_optimizer = fabric.setup(model, optimizer)
    state = _State(model, optimizer, schedule, moving_average(model, config.ema))
    state.restore(checkpoint_file)
    progress = state.progress

    pixels, texts = _part(images, split.train)
    targets = objective.encode(texts)
    augment = AUGMENTATIONS[config.augmentation]

    def train_epoch(epoch: int) -> dict[str, float]:
        # Dropout draws from the global stream: set it anew, so that an epoch needs no past.
        torch.manual_seed(derive(config.seed, "dropout", epoch))
        order = torch.randperm(len(pixels), generator=generator(config.seed, "order", epoch))
        draws = draw(len(pixels), generator(config.seed, "augmentation", epoch))
        sums: dict[str, float] = {}
        wrapped.train()
        for number in range(batches):
            at = order[number * config.batch_size : (number + 1) * config.batch_size]
            batch = Targets(targets.classes[at], targets.lengths[at])
            inputs = augment(to_input(pixels[at], fabric.device), draws[at], config)
            parts = objective.loss(wrapped(inputs, batch.classes.to(fabric.device)), batch)
            wrapped_optimizer.zero_grad()
            fabric.backward(parts["total"])
            # An infinite norm scales nothing, and a gradient that is no number still stops the run.
            norm = config.clip_norm or math.inf
            fabric.clip_gradients(wrapped, wrapped_optimizer, max_norm=norm)
            wrapped_optimizer.step()
            schedule.step()
            if state.average is not None:
                state.average.update_parameters(model)
            for name, value in parts.items():
                key = "train.loss" if name == "total" else f"train.loss.{name}"
                sums[key] = sums.get(key, 0.0) + value.item() / batches
            on_batch(epoch, number + 1, batches)
        return sums

    for epoch in range(len(progress.history), config.epochs):
        if config.patience and progress.best >= 0 and epoch - progress.best > config.patience:
            break
        started = time.monotonic()
        trained = train_epoch(epoch)
        validated = _validate(state.judged, objective, *_part(images, split.val))
        rate = {"learning_rate": optimizer.param_groups[0]["lr"]}
        state.add(trained | validated | rate, time.monotonic() - started)
        on_epoch(epoch, progress)
        state.save(checkpoint_file)
    model.load_state_dict(state.best_weights)
    return Fitted(model, objective, progress, taken)


@dataclass
class _State:
    """All that changes in training; what a checkpoint holds."""

    model: Reader
    optimizer: Optimizer
    schedule: LRScheduler
    average: AveragedModel | None
    progress: Progress = field(default_factory=Progress)
    best_weights: dict[str, Tensor] = field(default_factory=dict)

    @property
    def judged(self) -> Reader:
        """The model that is validated and kept: the average where there is one."""
        return self.model if self.average is None else cast(Reader, self.average.module)

    def add(self, metrics: dict[str, float], seconds: float) -> None:
        """Take note of an epoch, and of its weights if none was better on validation."""
        progress = self.progress
        if metrics["val.exact_match"] > progress.best_exact_match:
            progress.best = len(progress.history)
            self.best_weights = {k: v.clone() for k, v in self.judged.state_dict().items()}
        progress.history.append(metrics)
        progress.seconds += seconds

    def save(self, file: Path) -> None:
        tensors, groups = checkpoint.optimizer_tensors(self.optimizer)
        average = {} if self.average is None else self.average.state_dict()
        # A function in a schedule's state is made anew with the schedule.
        schedule = {
            key: value
            for key, value in self.schedule.state_dict().items()
            if isinstance(value, bool | int | float | str | list | None)
        }
        checkpoint.save(
            file,
            {f"model.{k}": v for k, v in self.model.state_dict().items()}
            | {f"average.{k}": v for k, v in average.items()}
            | {f"best.{k}": v for k, v in self.best_weights.items()}
            | {f"optimizer.{k}": v for k, v in tensors.items()},
            {"groups": groups, "schedule": schedule, "progress": asdict(self.progress)},
        )

    def restore(self, file: Path) -> None:
        """Go back to where the file was written; stay at the start where there is none."""
        if (saved := checkpoint.load(file)) is None:
            return
        tensors, state = saved
        self.model.load_state_dict(checkpoint.under("model.", tensors))
        if self.average is not None:
            self.average.load_state_dict(checkpoint.under("average.", tensors))
        self.best_weights = checkpoint.under("best.", tensors)
        checkpoint.restore_optimizer(
            self.optimizer, checkpoint.under("optimizer.", tensors), state["groups"]
        )
        self.schedule.load_state_dict(state["schedule"])
        for key, value in state["progress"].items():
            setattr(self.progress, key, value)


def _part(images: Images, at: tuple[int, ...]) -> tuple[Tensor, list[str]]:
    """The pixels and labels of a part."""
    return images.pixels[list(at)], [images.rows[i].label or "" for i in at]


def _batches(config: RunConfig, images: int) -> int:
    """Whole batches of an epoch; the rest waits for the next epoch's order."""
    if images < config.batch_size:
        raise UserError(
            f"the training part has {images} images and a batch {config.batch_size}: "
            "add images or set batch_size"
        )
    return images // config.batch_size


def _validate(
    model: Reader, objective: Objective, pixels: Tensor, texts: list[str]
) -> dict[str, float]:
    targets = objective.encode(texts)
    readings, total = [], 0.0
    for number, scores in enumerate(score(model, pixels)):
        at = slice(number * BATCH, number * BATCH + len(scores.steps))
        batch = Targets(targets.classes[at], targets.lengths[at])
        total += objective.loss(scores, batch)["total"].item() * len(scores.steps)
        readings += objective.decode(scores.cpu())
    exact = exact_match(texts, [reading.text for reading in readings])
    return {"val.loss": total / len(texts), "val.exact_match": exact}
