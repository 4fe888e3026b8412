"""The contract of an optimiser: its settings, and the making of it with its schedule."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TypeVar

from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from experiments.schema import Frozen


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


OPTIMIZERS: dict[str, type[OptimizerSettings]] = {}

_Class = TypeVar("_Class", bound=type[OptimizerSettings])


def register(name: str) -> Callable[[_Class], _Class]:
    """Make an optimiser known under the name that configs use."""

    def add(settings: _Class) -> _Class:
        if name in OPTIMIZERS:
            raise ValueError(f"two optimisers are called {name!r}")
        kind: type[OptimizerSettings] = settings
        if kind.model_fields["name"].default != name:
            raise ValueError(f"{settings.__name__}: set name: Literal[{name!r}] = {name!r}")
        OPTIMIZERS[name] = settings
        return settings

    return add
