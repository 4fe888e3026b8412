"""The average of a model's weights over training."""

from __future__ import annotations

from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn


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


def remaining(decay: float, batches: int) -> float:
    """How much of the average after so many batches is the weights after the first, 0 to 1.

    Without an average (0) nothing is.
    """
    return float(decay ** (batches - 1)) if decay else 0.0
