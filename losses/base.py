"""The contract of an objective: class scores -> a number to minimise, and class scores -> text."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple, TypeVar

from torch import Tensor

Layout = Literal["columns", "slots"]


class Targets(NamedTuple):
    """Encoded labels: `classes` (N, S) int64, padded on the right, and `lengths` (N,) int64."""

    classes: Tensor
    lengths: Tensor


class Reading(NamedTuple):
    """A decoded text and the probability in 0..1 that the model gives it."""

    text: str
    confidence: float


class CannotLearnError(ValueError):
    """A label that this objective can never emit in the given number of steps."""


@dataclass(frozen=True, kw_only=True)
class Objective(ABC):
    """Turns the scores (N, steps, num_classes) of a model into a loss and into readings.

    The fields of a subclass beyond these two are its options: they are typed, have defaults and
    can be set from the config as `loss_options`.

    charset: the characters, in class order. It knows no blank and no stop; an objective that needs
        such a class adds it behind the characters.
    max_length: the number of character positions of the "slots" layout.
    """

    charset: str
    max_length: int

    layout: ClassVar[Layout]

    @property
    @abstractmethod
    def num_classes(self) -> int:
        """How many scores a step has."""

    @property
    def length_classes(self) -> int:
        """How many scores the model's length head has; 0 for an objective without one."""
        return 0

    @abstractmethod
    def check(self, text: str, steps: int) -> None:
        """Raise CannotLearnError if a model with this many steps can never emit `text`."""

    @abstractmethod
    def encode(self, texts: list[str]) -> Targets:
        """Labels as classes; every character must be in the charset."""

    @abstractmethod
    def loss(
        self, scores: Tensor, targets: Targets, length_scores: Tensor | None = None
    ) -> dict[str, Tensor]:
        """The batch's loss: `total`, to be minimised, and its named parts (scalars).

        scores: (N, steps, num_classes), not normalised.
        length_scores: (N, length_classes), not normalised; None for a model without the head.
        """

    @abstractmethod
    def decode(self, scores: Tensor) -> list[Reading]:
        """Readings of a batch of scores (N, steps, num_classes)."""

    def classes_of(self, text: str) -> list[int]:
        """The class of each character; ValueError for one outside the charset."""
        return [self.charset.index(character) for character in text]

    @classmethod
    def option_defaults(cls) -> dict[str, bool | float | str]:
        """The subclass's own options and their defaults."""
        shared = {field.name for field in dataclasses.fields(Objective)}
        return {f.name: f.default for f in dataclasses.fields(cls) if f.name not in shared}  # type: ignore[misc]


OBJECTIVES: dict[str, type[Objective]] = {}

_Class = TypeVar("_Class", bound=type[Objective])


def register(name: str) -> Callable[[_Class], _Class]:
    """Make an objective known under the name that configs use."""

    def add(objective: _Class) -> _Class:
        if name in OBJECTIVES:
            raise ValueError(f"two objectives are called {name!r}")
        OBJECTIVES[name] = objective
        return objective

    return add
