"""One training loop for every arm."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from experiments.data.images import Images
from experiments.data.splits import Split
from experiments.settings.config import RunConfig
from experiments.training import checkpoint
from experiments.training.average import moving_average, remaining
from experiments.training.build import build_for
from experiments.training.epochs import Epochs, count_batches, labelled
from experiments.training.inference import validate
from experiments.training.state import Progress, State
from experiments.training.step import Step, diverged
from experiments.training.warm_start import take_weights
from losses import Objective
from models import Reader

# Of the first weights in the average: with more of them it has left out most of what was learnt.
_MOST_REMAINING = 0.1


@dataclass(frozen=True)
class Fitted:
    """A trained model with the weights of the epoch that is kept, and how it got there.

    taken: how many tensors of another run it started from.
    """

    model: Reader
    objective: Objective
    progress: Progress
    taken: int


def check(
    config: RunConfig, images: Images, split: Split, start: dict[str, Tensor] | None = None
) -> None:
    """Refuse what `fit` would, before anything is recorded. Raises UserError."""
    model, _ = build_for(config, images)
    count_batches(config, len(split.train))
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
    """Train to the end, from the checkpoint where there is one; one that is no good is not used.

    A run goes on with the number of CPU threads that it began with, which this process then has.
    on_batch: called with the epoch, the batches done and the batches of an epoch.
    on_epoch: called with the number of each newly finished epoch, before its checkpoint is written.
    start: the weights of another run to start from.
    """
    batches = count_batches(config, len(split.train))
    begun = _begin(config, images, batches, start)
    try:
        begun.state.restore(checkpoint_file)
    except checkpoint.UnusableError as error:
        print(f"{checkpoint_file}: {error}; the run begins anew")
        begun = _begin(config, images, batches, start)
    objective, step, state, taken = begun
    model, progress = state.model, state.progress
    epochs = Epochs(config, images, split.train, model, objective, step.device)

    def train_epoch(epoch: int) -> dict[str, float]:
        sums: dict[str, float] = {}
        step.train_mode()
        for done, batch in enumerate(epochs.batches(epoch), start=1):
            parts = step(batch)
            state.schedule.step()
            if state.average is not None:
                state.average.update_parameters(model)
            for name, value in parts.items():
                key = "train.loss" if name == "total" else f"train.loss.{name}"
                sums[key] = sums.get(key, 0.0) + value / batches
            on_batch(epoch, done, batches)
        return sums

    for epoch in range(len(progress.history), config.epochs):
        if config.patience and progress.best >= 0 and epoch - progress.best > config.patience:
            break
        started = time.monotonic()
        trained = train_epoch(epoch)
        validated = validate(state.judged, objective, *labelled(images, split.val))
        if not math.isfinite(validated["val.loss"]):
            raise diverged(config, f"the validation loss is {validated['val.loss']}")
        rate = {"learning_rate": state.optimizer.param_groups[0]["lr"]}
        state.add(trained | validated | rate, time.monotonic() - started)
        on_epoch(epoch, progress)
        state.save(checkpoint_file)
    model.load_state_dict(state.best_weights)
    return Fitted(model, objective, progress, taken)


class _Begun(NamedTuple):
    """A training before its first step. taken: how many tensors it has of another run."""

    objective: Objective
    step: Step
    state: State
    taken: int


def _begin(
    config: RunConfig, images: Images, batches: int, start: dict[str, Tensor] | None
) -> _Begun:
    model, objective = build_for(config, images)
    taken = 0
    if start:
        taken = take_weights(model, start)
        print(f"starts from {config.start}: {taken} of {len(model.state_dict())} tensors")
    if (left := remaining(config.ema, batches * config.epochs)) > _MOST_REMAINING:
        print(
            f"ema={config.ema:g} is long for {batches * config.epochs} batches: {left:.0%} of the "
            "averaged weights will be those after the first; lower it, or raise epochs"
        )
    optimizer, schedule = config.optimizer.build(model, batches * config.epochs)
    step = Step(config, model, objective, optimizer)
    owner = config.run_hash(images.digest)
    average = moving_average(model, config.ema)
    state = State(owner, model, optimizer, schedule, average, keep_last=config.keep == "last")
    return _Begun(objective, step, state, taken)
