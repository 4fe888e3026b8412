"""One training loop for every arm."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from lightning_fabric import Fabric
from torch import Tensor

import models
from analysis.metrics import exact_match
from experiments.data.augment import AUGMENTATIONS, draw
from experiments.data.images import Images
from experiments.data.splits import Split
from experiments.errors import UserError
from experiments.seeding import derive, generator
from experiments.settings.config import RunConfig
from experiments.training.inference import BATCH, score, to_input
from experiments.training.optim import build_optimizer, moving_average
from experiments.training.state import Progress, State
from experiments.training.warm_start import take_weights
from losses import CannotLearnError, Objective, Targets
from models import Reader


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


def check(
    config: RunConfig, images: Images, split: Split, start: dict[str, Tensor] | None = None
) -> None:
    """Refuse what `fit` would, before anything is recorded. Raises UserError."""
    model, objective = build(config)
    check_labels(config, objective, model, images)
    _batches(config, len(split.train))
    if start:
        take_weights(model, start)


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
    state = State(model, optimizer, schedule, moving_average(model, config.ema))
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
