"""Optimisers with their learning-rate schedules, and the average of the weights; a step a batch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from torch import nn, optim
from torch.optim import SGD, AdamW
from torch.optim.lr_scheduler import ConstantLR, CyclicLR, LRScheduler, OneCycleLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from experiments.schema import Fraction, Frozen, NotNegative, Positive


class SGDCyclic(Frozen):
    """SGD with Nesterov momentum under torch's CyclicLR, as published.

    The rate goes from base_lr to max_lr and back `cycles` times in a run, a step a batch; the
    momentum goes against it. In the mode triangular2 each cycle goes half as far up as the one
    before; in exp_range the way up is scaled by gamma ** batch.
    """

    name: Literal["sgd_cyclic"] = "sgd_cyclic"
    base_lr: Positive = 0.001
    max_lr: Positive = 0.01
    cycles: int = Field(4, ge=1, le=100_000)
    mode: Literal["triangular", "triangular2", "exp_range"] = "triangular"
    gamma: float = Field(1, gt=0, le=1)
    base_momentum: Fraction = 0.8
    max_momentum: Fraction = 0.9
    weight_decay: NotNegative = 0


class AdamWOneCycle(Frozen):
    """AdamW under one cycle: up to max_lr in the first `warmup` of the run, then down to 0."""

    name: Literal["adamw_onecycle"] = "adamw_onecycle"
    max_lr: Positive = 0.003
    warmup: float = Field(0.25, gt=0, lt=1)
    weight_decay: NotNegative = 0.01


class Adam(Frozen):
    """Adam at a constant rate, as in the published system's first pretraining."""

    name: Literal["adam"] = "adam"
    lr: Positive = 0.0001


Optimizer = SGDCyclic | AdamWOneCycle | Adam
OPTIMIZERS: dict[str, type[Frozen]] = {
    "sgd_cyclic": SGDCyclic,
    "adamw_onecycle": AdamWOneCycle,
    "adam": Adam,
}


def build_optimizer(
    model: nn.Module, config: Optimizer, total_steps: int
) -> tuple[optim.Optimizer, LRScheduler]:
    """The optimiser and the schedule of a run of `total_steps` batches."""
    if isinstance(config, AdamWOneCycle):
        adamw = AdamW(model.parameters(), lr=config.max_lr, weight_decay=config.weight_decay)
        # A first phase that ends with the first step would make torch divide by zero.
        warmup = config.warmup + (1e-6 if config.warmup * total_steps == 1 else 0)
        return adamw, OneCycleLR(adamw, config.max_lr, total_steps=total_steps, pct_start=warmup)
    if isinstance(config, Adam):
        adam = optim.Adam(model.parameters(), lr=config.lr)
        return adam, ConstantLR(adam, factor=1)
    sgd = SGD(
        model.parameters(),
        lr=config.base_lr,
        momentum=config.max_momentum,
        nesterov=True,
        weight_decay=config.weight_decay,
    )
    # Half a cycle is rounded up, so that the last one ends with the run, at the lowest rate.
    half = max(1, -(-total_steps // (2 * config.cycles)))
    return sgd, CyclicLR(
        sgd,
        config.base_lr,
        config.max_lr,
        step_size_up=half,
        mode=config.mode,
        gamma=config.gamma,
        cycle_momentum=True,
        base_momentum=config.base_momentum,
        max_momentum=config.max_momentum,
    )


def moving_average(model: nn.Module, decay: float) -> AveragedModel | None:
    """The exponential moving average of a model's weights, from those after the first batch on.

    BatchNorm's running statistics are averaged as well: those of the model belong to its latest
    weights, the average of them to the averaged weights, nearly, and without another pass over the
    training images.
    """
    if not decay:
        return None
    average = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
    return AveragedModel(model, multi_avg_fn=average, use_buffers=True)
