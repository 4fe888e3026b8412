"""The contract of an objective: class scores -> a number to minimise, and class scores -> text."""

from __future__ import annotations

import dataclasses
import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple, Protocol

import torch
from torch import Tensor

from losses.best_first import Anything, Found, Grammar, Prefix, best_first
from losses.plugins import Plugins

Layout = Literal["columns", "slots"]

_ANYTHING = Anything()


class Scores(Protocol):
    """What a model says of a batch, none of it normalised."""

    @property
    def steps(self) -> Tensor:
        """(N, steps, num_classes)."""

    @property
    def lengths(self) -> Tensor | None:
        """(N, length_classes); None for a model without a length head."""

    @property
    def columns(self) -> Tensor | None:
        """(N, T, column_classes); None for a model without an auxiliary column head."""


class Targets(NamedTuple):
    """Encoded labels: `classes` (N, S) int64, padded on the right, and `lengths` (N,) int64."""

    classes: Tensor
    lengths: Tensor


@dataclass(frozen=True)
class Range:
    """The numbers from `low` to `high` that a search tries; evenly in the logarithm if `log`."""

    low: float
    high: float
    log: bool = False

    # Where it is read from a config: an unknown key is an error.
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        if not -math.inf < self.low < self.high < math.inf:
            raise ValueError(f"a range goes up, from {self.low} to {self.high} it does not")
        if self.log and self.low <= 0:
            raise ValueError(f"a range with log begins above 0, not at {self.low}")


class Reading(NamedTuple):
    """A decoded text and the probability in 0..1 that the model gives it.

    characters: the same for each character of the text by itself; empty where nobody asked.
    """

    text: str
    confidence: float
    characters: tuple[float, ...] = ()


class Spelling(NamedTuple):
    """Readings of a batch as tensors, so that a model can be exported together with its decoding.

    classes: (N, S) int64, the class of a character at each step that has one, -1 at the others.
    characters: (N, S), the probability of the character at such a step, in 0..1.
    confidence: (N,), the probability of the whole text, in 0..1.
    """

    classes: Tensor
    characters: Tensor
    confidence: Tensor


class CannotLearnError(ValueError):
    """A label that this objective can never emit in the given number of steps."""


@dataclass(frozen=True, kw_only=True)
class Objective(ABC):
    """Turns the scores of a model into a loss and into readings.

    The fields of a subclass beyond these two are its options: they are typed, have defaults and
    can be set from the config as `loss_options`.

    charset: the characters, in class order. It knows no blank and no stop; an objective that needs
        such a class adds it behind the characters.
    max_length: the number of character positions of the "slots" layout.
    """

    charset: str
    max_length: int

    layout: ClassVar[Layout]
    # Whose columns the auxiliary column head reads: the trunk's own or those of the encoder.
    column_source: ClassVar[Literal["trunk", "encoder"]] = "encoder"
    # The options that a search tries, and from where to where.
    ranges: ClassVar[Mapping[str, Range]] = {}

    @property
    @abstractmethod
    def num_classes(self) -> int:
        """How many scores a step has."""

    @property
    def length_classes(self) -> int:
        """How many scores the model's length head has; 0 for an objective without one."""
        return 0

    @property
    def column_classes(self) -> int:
        """How many scores a column the model's auxiliary column head has; 0 for none."""
        return 0

    @abstractmethod
    def check(self, text: str, steps: int, columns: int = 0) -> None:
        """Raise CannotLearnError if `text` can never be emitted.

        steps, columns: how many the model has of scores to be read and of auxiliary ones.
        """

    @abstractmethod
    def encode(self, texts: list[str]) -> Targets:
        """Labels as classes; every character must be in the charset."""

    @abstractmethod
    def loss(self, scores: Scores, targets: Targets) -> dict[str, Tensor]:
        """The batch's loss: `total`, to be minimised, and its named parts (scalars)."""

    @abstractmethod
    def spell(self, scores: Scores) -> Spelling:
        """What is read in a batch, by operations on tensors alone, as they go into ONNX."""

    @abstractmethod
    def log_probability(self, scores: Scores, texts: list[str]) -> Tensor:
        """(N,) float64: the logarithm of the probability that the scores give each text.

        It is that of `spell`, whose confidence in a reading is exp of it. -inf for a text that
        can never be emitted. What only shapes the training, such as auxiliary terms, smoothing and
        focus, has no part in it. Every character must be in the charset.
        """

    @abstractmethod
    def prefixes(self, scores: Scores) -> Iterable[Prefix]:
        """For each image of a batch the empty text, from which `best_texts` sets out."""

    def best_texts(
        self, scores: Scores, wanted: int, grammar: Grammar = _ANYTHING
    ) -> list[list[Found]]:
        """For each image up to `wanted` texts that fit the grammar, the most probable first.

        Their probabilities are those of `log_probability`. A decoder that reads its own output
        gives scores that go on from what it read by itself; other texts are judged by these.
        """
        return [best_first(p, self.charset, wanted, grammar) for p in self.prefixes(scores)]

    def decode(self, scores: Scores) -> list[Reading]:
        """Readings of a batch: `spell` as texts."""
        if not len(scores.steps):
            return []
        return [
            Reading(
                "".join(self.charset[c] for c in row if c >= 0),
                sure,
                tuple(p for c, p in zip(row, each, strict=True) if c >= 0),
            )
            for row, each, sure in zip(*(t.tolist() for t in self.spell(scores)), strict=True)
        ]

    def classes_of(self, text: str) -> list[int]:
        """The class of each character; ValueError for one outside the charset."""
        return [self.charset.index(character) for character in text]

    @classmethod
    def option_defaults(cls) -> dict[str, bool | float | str]:
        """The subclass's own options and their defaults."""
        shared = {field.name for field in dataclasses.fields(Objective)}
        return {f.name: f.default for f in dataclasses.fields(cls) if f.name not in shared}  # type: ignore[misc]


def focal_factor(neg_log_p: Tensor, gamma: float) -> Tensor:
    """(1 - p) ** gamma, by which the focal loss turns away from the easy (arXiv:1708.02002).

    neg_log_p: -log of the probabilities of what is right. gamma: from 0 on; 0 changes nothing.
    """
    wrong = -torch.expm1(-neg_log_p)
    # Not quite 0, where a power below 1 has no gradient.
    return wrong.clamp(min=torch.finfo(wrong.dtype).tiny) ** gamma


OBJECTIVES: Plugins[type[Objective]] = Plugins("objectives")
register = OBJECTIVES.register
