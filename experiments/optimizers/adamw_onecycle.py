"""AdamW under one cycle of the learning rate."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from torch import nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import OneCycleLR

from experiments.optimizers.base import OptimizerSettings, register
from experiments.schema import NotNegative, Positive


@register("adamw_onecycle")
class AdamWOneCycle(OptimizerSettings):
    """AdamW under one cycle: up to max_lr in the first `warmup` of the run, then down to 0."""

    name: Literal["adamw_onecycle"] = "adamw_onecycle"
    max_lr: Positive = 0.003
    warmup: float = Field(0.25, gt=0, lt=1)
    weight_decay: NotNegative = 0.01

    def build(self, model: nn.Module, total_steps: int) -> tuple[AdamW, OneCycleLR]:
        """AdamW at the start of its only cycle."""
        adamw = AdamW(model.parameters(), lr=self.max_lr, weight_decay=self.weight_decay)
        # A first phase that ends with the first step would make torch divide by zero.
        warmup = self.warmup + (1e-6 if self.warmup * total_steps == 1 else 0)
        return adamw, OneCycleLR(adamw, self.max_lr, total_steps=total_steps, pct_start=warmup)
