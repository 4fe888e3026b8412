"""Muon under one cycle of the learning rate, with AdamW where there is no matrix."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import OneCycleLR

from experiments.optimizers.base import OptimizerSettings, register
from experiments.schema import Fraction, NotNegative, Positive

# A weight with fewer rows or columns has no spectrum worth evening out: the first layer, the scores
# of a dozen classes.
_SMALLEST = 16


@register("muon_onecycle")
class MuonOneCycle(OptimizerSettings):
    """Muon under one cycle: up to max_lr in the first `warmup` of the run, then down to 0.

    The steps of weights that are matrices, among them kernels as (out, in * height * width), are
    made orthogonal; small ones and all vectors are AdamW's.
    Source: Jordan et al., Muon, 2024; the size of a step as in arXiv:2502.16982, so that AdamW's
    rates fit.
    """

    name: Literal["muon_onecycle"] = "muon_onecycle"
    max_lr: Positive = 0.003
    warmup: float = Field(0.25, gt=0, lt=1)
    momentum: Fraction = 0.95
    weight_decay: NotNegative = 0.01

    def build(self, model: nn.Module, total_steps: int) -> tuple[AdamW, OneCycleLR]:
        """Both at the start of their only cycle."""
        matrices: list[nn.Parameter] = []
        others: list[nn.Parameter] = []
        for weight in model.parameters():
            small = weight.dim() < 2 or min(weight.flatten(1).shape) < _SMALLEST
            (others if small else matrices).append(weight)
        muon = Muon(
            [
                {"params": matrices, "orthogonal": True},
                {"params": others, "orthogonal": False},
            ],
            lr=self.max_lr,
            weight_decay=self.weight_decay,
            inertia=self.momentum,
        )
        # A first phase that ends with the first step would make torch divide by zero.
        warmup = self.warmup + (1e-6 if self.warmup * total_steps == 1 else 0)
        return muon, OneCycleLR(muon, self.max_lr, total_steps=total_steps, pct_start=warmup)


class Muon(AdamW):
    """AdamW, but for the groups whose `orthogonal` is true.

    inertia: the decay of those groups' running mean of gradients.
    """

    def __init__(
        self, groups: list[dict[str, Any]], lr: float, weight_decay: float, inertia: float
    ) -> None:
        super().__init__(groups, lr=lr, weight_decay=weight_decay)
        self._inertia = inertia

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One step; returns the loss of a closure that computes it and the gradients anew."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            if group["orthogonal"]:
                for weight in group["params"]:
                    if weight.grad is not None:
                        self._turn(weight, weight.grad, group["lr"], group["weight_decay"])
                        weight.grad = None  # AdamW passes over it
        super().step()
        return loss

    def _turn(self, weight: Tensor, gradient: Tensor, rate: float, decay: float) -> None:
        state = self.state[weight]
        if not state:
            # Adam reads the step of every weight when its state comes back.
            state["step"] = torch.zeros(())
            state["mean"] = torch.zeros_like(weight)
        state["step"] += 1
        mean = state["mean"].lerp_(gradient, 1 - self._inertia)
        ahead = torch.lerp(gradient, mean, self._inertia).flatten(1)
        size = 0.2 * math.sqrt(max(ahead.shape))
        weight.mul_(1 - rate * decay)
        weight.add_(orthogonal(ahead).view_as(weight), alpha=-rate * size)


def orthogonal(matrix: Tensor) -> Tensor:
    """The matrix with singular values of about 0.7 to 1.2, by five steps of Newton-Schulz.

    matrix: (rows, columns).
    """
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = x / x.norm().clamp(min=1e-7)
    for _ in range(5):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=-4.775, alpha=2.0315), x, beta=3.4445)
    return x.T if tall else x
