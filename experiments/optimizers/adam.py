"""Adam at a constant rate."""

from __future__ import annotations

from typing import Literal

from torch import nn, optim
from torch.optim.lr_scheduler import ConstantLR

from experiments.optimizers.base import OptimizerSettings, register
from experiments.schema import Positive


@register("adam")
class Adam(OptimizerSettings):
    """Adam at a constant rate, as in the published system's first pretraining."""

    name: Literal["adam"] = "adam"
    lr: Positive = 0.0001

    def build(self, model: nn.Module, total_steps: int) -> tuple[optim.Adam, ConstantLR]:  # noqa: ARG002
        """Adam, and a schedule that changes nothing."""
        adam = optim.Adam(model.parameters(), lr=self.lr)
        return adam, ConstantLR(adam, factor=1)
