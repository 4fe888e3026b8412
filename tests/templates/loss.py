"""Squared error of the class probabilities (Brier 1950), the end of the text being a class."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from losses.base import CannotLearnError, Layout, Objective, Scores, Spelling, Targets, register
from losses.best_first import Prefix, by_position


@register("template_loss")
@dataclass(frozen=True, kw_only=True)
class TemplateLoss(Objective):
    """The sum over positions of the squared error, a mean over the batch.

    weight: an option, set in a config as loss_options.weight.
    """

    weight: float = 1.0

    layout: ClassVar[Layout] = "slots"

    @property
    def num_classes(self) -> int:
        return len(self.charset) + 1

    def check(self, text: str, steps: int, columns: int = 0) -> None:
        if len(text) > steps:
            raise CannotLearnError(f"{text!r} is longer than {steps} positions: raise max_length")

    def encode(self, texts: list[str]) -> Targets:
        classes = torch.full((len(texts), self.max_length), len(self.charset))
        for row, text in zip(classes, texts, strict=True):
            row[: len(text)] = torch.tensor(self.classes_of(text), dtype=torch.int64)
        return Targets(classes, torch.tensor([len(text) for text in texts]))

    def loss(self, scores: Scores, targets: Targets) -> dict[str, Tensor]:
        wanted = F.one_hot(targets.classes, self.num_classes).to(scores.steps.device)
        error = (scores.steps.softmax(dim=-1) - wanted).square().sum(dim=(1, 2)).mean()
        return {"total": self.weight * error, "brier": error}

    def spell(self, scores: Scores) -> Spelling:
        best, classes = scores.steps.double().softmax(dim=-1).max(dim=-1)
        # The end is a class; from the first on, no position has a character.
        ended = (classes == len(self.charset)).long().cumsum(dim=1) > 0
        log_p = scores.steps.double().log_softmax(dim=-1)
        sure = torch.where(ended, log_p[..., -1], best.log()).sum(dim=1).exp()
        return Spelling(torch.where(ended, -1, classes), best, sure)

    def log_probability(self, scores: Scores, texts: list[str]) -> Tensor:
        classes = self.encode(texts).classes
        log_p = scores.steps.double().log_softmax(dim=-1)
        return log_p.gather(2, classes[..., None]).sum(dim=(1, 2))

    def prefixes(self, scores: Scores) -> Iterator[Prefix]:
        log_p = scores.steps.double().log_softmax(dim=-1)
        ends = log_p[..., -1].flip(1).cumsum(dim=1).flip(1)
        return by_position(log_p[..., :-1], F.pad(ends, (0, 1)))
