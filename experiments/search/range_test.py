"""The learning-rate range test (Smith 2017, arXiv:1506.01186): between which rates to cycle."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.optim import SGD

from experiments.data.augment import AUGMENTATIONS, draw
from experiments.data.images import Images
from experiments.data.splits import Split
from experiments.seeding import derive, generator
from experiments.settings.config import RunConfig
from experiments.training.inference import to_input
from experiments.training.loop import build
from losses import Targets

_FROM, _TO = 1e-5, 3.0
_STEPS = 200
_SMOOTHING = 0.95


@dataclass(frozen=True)
class RangeTest:
    """The loss while the rate grew by the same factor a batch.

    rates, losses: a batch each; losses are smoothed, and end where they blew up.
    low, high: the rates at which it had made a tenth and nine tenths of its way down, for good.
    """

    rates: list[float]
    losses: list[float]
    low: float
    high: float


def range_test(config: RunConfig, images: Images, split: Split) -> RangeTest:
    """Train the arm from its start weights with SGD, the rate going up; nothing is kept of it."""
    model, objective = build(config)
    optimizer = SGD(model.parameters(), lr=_FROM, momentum=0.9, nesterov=True)
    torch.manual_seed(derive(config.seed, "dropout", 0))
    order = torch.randperm(len(split.train), generator=generator(config.seed, "order", 0))
    at = torch.tensor(split.train)[order]
    draws = draw(len(at), generator(config.seed, "augmentation", 0))
    augment = AUGMENTATIONS[config.augmentation]
    rates: list[float] = []
    losses: list[float] = []
    mean = 0.0
    model.train()
    for step in range(_STEPS):
        # More batches than an epoch has: from the first one again.
        first = step * config.batch_size % max(1, len(at) - config.batch_size + 1)
        batch = at[first : first + config.batch_size]
        texts = [images.rows[i].label or "" for i in batch.tolist()]
        targets: Targets = objective.encode(texts)
        inputs = augment(
            to_input(images.pixels[batch], torch.device("cpu")),
            draws[first : first + len(batch)],
            config,
        )
        loss = objective.loss(model(inputs, targets.classes), targets)["total"]
        mean = _SMOOTHING * mean + (1 - _SMOOTHING) * loss.item()
        smooth = mean / (1 - _SMOOTHING ** (step + 1))
        rate = _FROM * (_TO / _FROM) ** (step / (_STEPS - 1))
        if not math.isfinite(smooth) or (losses and smooth > 3 * min(losses)):
            break
        rates.append(rate)
        losses.append(smooth)
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        if config.clip_norm:
            torch.nn.utils.clip_grad_norm_(model.parameters(), config.clip_norm)
        optimizer.step()
    return RangeTest(rates, losses, *_bounds(rates, losses))


def _bounds(rates: list[float], losses: list[float]) -> tuple[float, float]:
    """Where the loss falls: from these rates on it stays below a tenth, nine tenths of the way.

    At the least loss itself, a plateau and then the end of learning have often begun.
    """
    curve = np.asarray(losses)
    # One batch says little of where it started: the first tenth of them does.
    start, least = float(np.median(curve[: max(1, len(curve) // 10)])), int(curve.argmin())
    way = start - curve[least]
    if way <= 0:
        # A loss that never fell says nothing of rates: the whole test is the interval then.
        return rates[0], rates[-1]
    ends = []
    for part in (0.1, 0.9):
        above = np.flatnonzero(curve[:least] > start - part * way)
        ends.append(int(above[-1]) + 1 if len(above) else 0)
    low, high = ends
    return (rates[low], rates[high]) if low < high else (rates[0], rates[-1])


def plot(test: RangeTest, title: str, file: Path) -> None:
    """The loss over the rate, with the bounds, as PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot(test.rates, test.losses, color="black")
    axes.axvspan(test.low, test.high, alpha=0.2, color="tab:blue")
    axes.set_xscale("log")
    axes.set_xlabel("learning rate")
    axes.set_ylabel("training loss, smoothed")
    axes.set_title(f"{title}: {test.low:.2g} to {test.high:.2g}")
    figure.savefig(file, dpi=100)
