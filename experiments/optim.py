"""Optimisers with their learning-rate schedules, and the average of the weights; a step a batch."""

from __future__ import annotations

from torch import nn
from torch.optim import SGD, AdamW, Optimizer
from torch.optim.lr_scheduler import CyclicLR, LRScheduler, OneCycleLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from experiments.config import AdamWOneCycle, SGDCyclic


def build_optimizer(
    model: nn.Module, config: SGDCyclic | AdamWOneCycle, total_steps: int
) -> tuple[Optimizer, LRScheduler]:
    """The optimiser and the schedule of a run of `total_steps` batches."""
    if isinstance(config, AdamWOneCycle):
        adamw = AdamW(model.parameters(), lr=config.max_lr, weight_decay=config.weight_decay)
        # A first phase that ends with the first step would make torch divide by zero.
        warmup = config.warmup + (1e-6 if config.warmup * total_steps == 1 else 0)
        return adamw, OneCycleLR(adamw, config.max_lr, total_steps=total_steps, pct_start=warmup)
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
