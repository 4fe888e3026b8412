"""SGD under a cyclic learning rate."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator
from torch import nn
from torch.optim import SGD
from torch.optim.lr_scheduler import CyclicLR

from experiments.optimizers.base import OptimizerSettings, register
from experiments.schema import Fraction, NotNegative, Positive


@register("sgd_cyclic")
class SGDCyclic(OptimizerSettings):
    """SGD with Nesterov momentum, if any, under torch's CyclicLR, as published.

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

    @model_validator(mode="after")
    def _gamma_of_one_mode(self) -> SGDCyclic:
        if self.mode != "exp_range":
            # Nothing reads it: two runs that differ in it alone are one.
            object.__setattr__(self, "gamma", 1.0)
        return self

    def build(self, model: nn.Module, total_steps: int) -> tuple[SGD, CyclicLR]:
        """SGD at the lowest rate and the highest momentum."""
        sgd = SGD(
            model.parameters(),
            lr=self.base_lr,
            momentum=self.max_momentum,
            # There is no looking ahead without momentum.
            nesterov=self.max_momentum > 0,
            weight_decay=self.weight_decay,
        )
        # Rounded up, as recipe 3 has it: with an odd number of steps a cycle each ends a step later
        # than the one before, and the run shortly before its lowest rate.
        half = max(1, -(-total_steps // (2 * self.cycles)))
        return sgd, CyclicLR(
            sgd,
            self.base_lr,
            self.max_lr,
            step_size_up=half,
            mode=self.mode,
            gamma=self.gamma,
            cycle_momentum=True,
            base_momentum=self.base_momentum,
            max_momentum=self.max_momentum,
        )
