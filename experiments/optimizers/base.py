"""The contract of an optimiser: its settings, and the making of it with its schedule."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from experiments.schema import Frozen, has_its_name
from losses.plugins import Plugins


class OptimizerSettings(Frozen, ABC):
    """The fields of a subclass are its settings, with defaults; rates have names that end in `lr`.

    name: that under which it is registered.
    """

    name: str

    @abstractmethod
    def build(self, model: nn.Module, total_steps: int) -> tuple[Optimizer, LRScheduler]:
        """The optimiser of the model's weights, and its schedule over a run of so many batches.

        Its state is tensors, numbers, texts and lists of these: a checkpoint has nothing else.
        """


OPTIMIZERS: Plugins[type[OptimizerSettings]] = Plugins("optimisers", check=has_its_name)
register = OPTIMIZERS.register
