"""Plain SGD, its rate falling to zero in a straight line."""

from __future__ import annotations

from typing import Literal

from torch import nn, optim
from torch.optim.lr_scheduler import LinearLR

from experiments.optimizers.base import OptimizerSettings, register
from experiments.schema import Positive


@register("template_optimizer")
class TemplateOptimizer(OptimizerSettings):
    """SGD without momentum."""

    name: Literal["template_optimizer"] = "template_optimizer"
    lr: Positive = 0.01

    def build(self, model: nn.Module, total_steps: int) -> tuple[optim.SGD, LinearLR]:
        """The optimiser, and a schedule of so many batches."""
        sgd = optim.SGD(model.parameters(), lr=self.lr)
        return sgd, LinearLR(sgd, start_factor=1, end_factor=1e-3, total_iters=total_steps)
