"""How fast steps and data are, as ratios: everything is measured in turn, in one sitting.

A machine is twice as fast as another, or busy; a ratio of two things that take turns is not. Each
ratio is taken once a round, and the table has its median and its range over the rounds.
"""

from __future__ import annotations

import io
import statistics
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from PIL import Image
from torch import Tensor

from experiments.data.images import Images
from experiments.data.splits import timed_split
from experiments.settings.config import RunConfig
from experiments.training.build import build_for
from experiments.training.epochs import Batch, Epochs
from experiments.training.step import Step, device_of_runs
from losses import Objective
from models import Reader

ROUNDS = 7
_STEPS = 8


class Ratio(NamedTuple):
    """Of two speeds: the median over the rounds, the least and the most."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, first: list[float], second: list[float]) -> Ratio:
        """The first speeds over the second ones, round by round."""
        ratios = [a / b for a, b in zip(first, second, strict=True)]
        return cls(statistics.median(ratios), min(ratios), max(ratios))

    def __str__(self) -> str:
        return f"{self.median:6.2f}  ({self.least:.2f} to {self.most:.2f})"


class Measured(NamedTuple):
    """What `measure` found; each as images a second over images a second.

    steps: of each arm's settings, under its name, over those it is held against. harness: of the
        first arm's steps over those of a plain torch loop with the same model, augmentation and
        batches. data: of the first arm's data path over the published one's.
    """

    steps: dict[str, Ratio]
    harness: Ratio
    data: Ratio


class Arm(NamedTuple):
    """Settings, and the data set as they see it."""

    config: RunConfig
    images: Images


def measure(arms: dict[str, Arm], against: Arm) -> Measured:
    """Take steps of all arms, of `against`, of a plain loop, and of both data paths, in turn.

    arms: at least one, by name. Raises UserError, as a run would.
    """
    first = next(iter(arms.values()))
    turns: dict[str, tuple[Callable[[], object], int]] = {
        **{f"arm {name}": _turn(training_steps, arm) for name, arm in arms.items()},
        "against": _turn(training_steps, against),
        "plain": _turn(_plain_steps, first),
        "data": _turn(_data, first),
        "published": (_published_data(), 1),
    }
    speeds: dict[str, list[float]] = {name: [] for name in turns}
    for round_ in range(ROUNDS + 1):
        for name, (take, size) in turns.items():
            started = time.perf_counter()
            for _ in range(_STEPS):
                take()
            if round_:  # the first finds memory and chooses kernels
                speeds[name].append(_STEPS * size / (time.perf_counter() - started))
    of_first = speeds[f"arm {next(iter(arms))}"]
    return Measured(
        {name: Ratio.of(speeds[f"arm {name}"], speeds["against"]) for name in arms},
        Ratio.of(of_first, speeds["plain"]),
        Ratio.of(speeds["data"], speeds["published"]),
    )


def _turn(
    make: Callable[[RunConfig, Images], Callable[[], object]], arm: Arm
) -> tuple[Callable[[], object], int]:
    return make(arm.config, arm.images), arm.config.batch_size


def _batches(
    config: RunConfig, images: Images, model: Reader, objective: Objective, device: torch.device
) -> Iterator[Batch]:
    at = timed_split(images, config).train
    return Epochs(config, images, at, model, objective, device).without_end()


def training_steps(config: RunConfig, images: Images) -> Callable[[], object]:
    """Steps as a run takes them, with their schedule."""
    model, objective = build_for(config, images)
    optimizer, schedule = config.optimizer.build(model, 10_000)
    step = Step(config, model, objective, optimizer)
    step.train_mode()
    batches = _batches(config, images, model, objective, step.device)

    def take() -> None:
        step(next(batches))
        schedule.step()

    return take


def _plain_steps(config: RunConfig, images: Images) -> Callable[[], object]:
    """What anybody would write down for the same model, with nothing around it."""
    model, objective = build_for(config, images)
    model.train()
    device = device_of_runs()
    model.to(device).to(memory_format=torch.channels_last)
    optimizer, schedule = config.optimizer.build(model, 10_000)
    batches = _batches(config, images, model, objective, device)

    def take() -> None:
        batch = next(batches)
        scores = model(batch.inputs, batch.targets.classes.to(device))
        loss = objective.loss(scores, batch.targets)["total"]
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), config.clip_norm or float("inf"))
        optimizer.step()
        schedule.step()

    return take


def _data(config: RunConfig, images: Images) -> Callable[[], Tensor]:
    """A batch, augmented."""
    batches = _batches(config, images, *build_for(config, images), torch.device("cpu"))
    return lambda: next(batches).inputs


def _published_data() -> Callable[[], Image.Image]:
    """A cell as the published code takes it: decoded, padded, resized, moved, by Pillow."""
    cell = io.BytesIO()
    Image.effect_noise((60, 34), 60).convert("RGB").save(cell, "JPEG")

    def take() -> Image.Image:
        with Image.open(io.BytesIO(cell.getvalue())) as opened:
            padded = Image.new("RGB", (opened.width, opened.height + 52))
            padded.paste(opened, (0, 26))
        large = padded.resize((224, 224), Image.Resampling.BILINEAR)
        return large.rotate(7, Image.Resampling.BILINEAR, translate=(9, 9))

    return take


def as_table(found: Measured, against: str) -> str:
    """The ratios as text. against: what the arms were held against, by name."""
    steps = [(f"a step of {name} over one of {against}", r) for name, r in found.steps.items()]
    rows = [
        *steps,
        ("the first step over that of a plain torch loop", found.harness),
        ("its data path over the published one's", found.data),
    ]
    head = f"{'images a second, as a ratio':<58}median  (range of {ROUNDS})"
    return "\n".join([head, *(f"{name:<58}{ratio}" for name, ratio in rows)])
