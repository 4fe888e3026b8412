"""What a search may set, and from where to where: typed, bounded, part of the search's record."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from experiments.optimizers.sgd_cyclic import SGDCyclic
from experiments.schema import MOST_SEEDS, Frozen, Seed
from experiments.settings.config import RunConfig
from losses import Range

Mode = Literal["triangular", "triangular2", "exp_range"]
Sampler = Literal["tpe", "random"]
# A parameter is a range of numbers or a choice.
Parameters = dict[str, Range | tuple[Any, ...]]


class Space(Frozen):
    """The settings of a cyclic learning rate that a search tries.

    max_lr: the upper bound of the rate. base_ratio: the lower bound as a part of the upper one, so
        that it lies below it whatever is drawn.
    cycle_epochs: lengths of a cycle; empty for every one that divides the epochs, so that each run
        ends at the end of a cycle.
    mode: see SGDCyclic. fall: 1 - gamma, used in the mode exp_range.
    cycle_momentum: whether the momentum goes against the rate. max_momentum: its upper bound, or
        its value. momentum_span: how far below that it goes.
    weight_decay: as in SGD.
    loss, augmentation: whether what the arm's loss and augmentation declare is tried as well.
    """

    max_lr: Range = Range(0.001, 1, log=True)
    base_ratio: Range = Range(0.001, 0.5, log=True)
    cycle_epochs: tuple[int, ...] = ()
    mode: tuple[Mode, ...] = Field(("triangular", "triangular2", "exp_range"), min_length=1)
    fall: Range = Range(1e-5, 3e-3, log=True)
    cycle_momentum: tuple[bool, ...] = Field((True, False), min_length=1)
    max_momentum: Range = Range(0.8, 0.98)
    momentum_span: Range = Range(0.02, 0.2)
    weight_decay: Range = Range(1e-6, 1e-2, log=True)
    loss: bool = True
    augmentation: bool = False

    @model_validator(mode="after")
    def _within_bounds(self) -> Space:
        if self.max_lr.low <= 0:
            raise ValueError("max_lr begins above 0")
        if not 0 < self.base_ratio.low < self.base_ratio.high < 1:
            raise ValueError("base_ratio lies between 0 and 1: the lower rate is below the upper")
        if not 0 < self.fall.low < self.fall.high < 1:
            raise ValueError("fall lies between 0 and 1")
        if not self.momentum_span.low >= 0 or self.max_momentum.high >= 1:
            raise ValueError("momentum lies between 0 and 1")
        if self.max_momentum.low < self.momentum_span.high:
            raise ValueError("max_momentum - momentum_span goes below 0; raise or lower one")
        if self.weight_decay.low < 0:
            raise ValueError("weight_decay is not negative")
        if any(length < 1 for length in self.cycle_epochs):
            raise ValueError("cycle_epochs are 1 or more")
        return self

    def parameters(self, arm: RunConfig) -> Parameters:
        """What is tried of this arm, by name. Raises ValueError for a cycle that does not fit."""
        epochs = arm.epochs
        lengths = self.cycle_epochs or tuple(n for n in range(1, epochs + 1) if epochs % n == 0)
        if odd := [n for n in lengths if epochs % n]:
            raise ValueError(f"cycle_epochs: {odd[0]} does not divide the {epochs} epochs")
        found: Parameters = {
            "max_lr": self.max_lr,
            "base_ratio": self.base_ratio,
            "cycle_epochs": lengths,
            "mode": self.mode,
            "fall": self.fall,
            "cycle_momentum": self.cycle_momentum,
            "max_momentum": self.max_momentum,
            "momentum_span": self.momentum_span,
            "weight_decay": self.weight_decay,
        }
        if self.loss:
            found |= {f"loss_options.{key}": r for key, r in arm.objective().ranges.items()}
        if self.augmentation:
            found |= {f"augmentation.{key}": r for key, r in arm.augmentation.ranges.items()}
        return found


class Search(Frozen):
    """How arms are tuned, each with the same budget.

    trials: for each arm and sampler. samplers: tpe prunes, random never does.
    seed: of all trials, and of what is drawn. Not among the seeds that the best is trained with.
    fresh_seeds: how many seeds, from 0 on, the best settings and the arm as it is are trained with.
    space: what is tried.
    """

    trials: int = Field(20, ge=1, le=100_000)
    samplers: tuple[Sampler, ...] = Field(("tpe",), min_length=1)
    seed: Seed = 100
    fresh_seeds: int = Field(3, ge=1, le=MOST_SEEDS)
    space: Space = Space()

    @model_validator(mode="after")
    def _fresh(self) -> Search:
        if self.seed < self.fresh_seeds:
            raise ValueError("seed is one of the fresh seeds; raise it")
        return self


def settings(drawn: dict[str, Any], arm: RunConfig) -> dict[str, Any]:
    """What a draw means: settings by dotted keys, to be put over those of the arm.

    Numbers are rounded to three digits: more would mean nothing, and make long names.
    """
    drawn = {
        key: float(f"{value:.3g}") if isinstance(value, float) else value
        for key, value in drawn.items()
    }
    exp_range, cycled = drawn["mode"] == "exp_range", drawn["cycle_momentum"]
    high = drawn["max_momentum"]
    optimizer = SGDCyclic(
        base_lr=float(f"{drawn['max_lr'] * drawn['base_ratio']:.3g}"),
        max_lr=drawn["max_lr"],
        cycles=arm.epochs // drawn["cycle_epochs"],
        mode=drawn["mode"],
        gamma=1 - drawn["fall"] if exp_range else 1,
        base_momentum=round(high - drawn["momentum_span"], 4) if cycled else high,
        max_momentum=high,
        weight_decay=drawn["weight_decay"],
    )
    others = {key: value for key, value in drawn.items() if "." in key}
    return {"optimizer": optimizer.model_dump(), **others}


def cycle_ends(arm: RunConfig) -> list[int]:
    """The numbers of epochs, counted from 1, at whose end the rate is at its lowest."""
    if not isinstance(arm.optimizer, SGDCyclic):
        return [arm.epochs]
    length = arm.epochs / arm.optimizer.cycles
    return [n for n in range(1, arm.epochs + 1) if n % length == 0]
