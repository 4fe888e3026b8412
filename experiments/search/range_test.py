"""The learning-rate range test (Smith 2017, arXiv:1506.01186): between which rates to cycle."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from torch.optim import SGD

from experiments.data.images import Images
from experiments.data.splits import Split
from experiments.settings.config import RunConfig
from experiments.training.build import build_for
from experiments.training.epochs import Epochs
from experiments.training.step import DivergedError, Step

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
    model, objective = build_for(config, images)
    optimizer = SGD(model.parameters(), lr=_FROM, momentum=0.9, nesterov=True)
    step = Step(config, model, objective, optimizer)
    step.train_mode()
    epochs = Epochs(config, images, split.train, model, objective, step.device)
    rates: list[float] = []
    losses: list[float] = []
    mean = 0.0
    for number, batch in enumerate(islice(epochs.without_end(), _STEPS)):
        rate = _FROM * (_TO / _FROM) ** (number / (_STEPS - 1))
        for group in optimizer.param_groups:
            group["lr"] = rate
        try:
            loss = step(batch)["total"]
        except DivergedError:
            if not rates:
                raise
            break
        mean = _SMOOTHING * mean + (1 - _SMOOTHING) * loss
        smooth = mean / (1 - _SMOOTHING ** (number + 1))
        if losses and smooth > 3 * min(losses):
            break
        rates.append(rate)
        losses.append(smooth)
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
