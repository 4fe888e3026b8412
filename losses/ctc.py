"""Connectionist temporal classification (Graves et al., ICML 2006), by torch's own loss."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from losses.base import (
    CannotLearnError,
    Layout,
    Objective,
    Range,
    Reading,
    Scores,
    Targets,
    focal_factor,
    register,
)


@register("ctc")
@dataclass(frozen=True, kw_only=True)
class CTC(Objective):
    """Minus the log-probability of the label summed over all its alignments, a mean over the batch.

    The blank is the class behind the characters.

    allow_infeasible: train although some labels need more steps than the model has. Their loss is
        infinite; it and its gradient are set to zero, so they are silently not learnt.
    shortcut_weight: the factor of a second CTC loss on a head that stands right on the trunk's
        columns and bypasses the LSTM; it trains the trunk and is not read. 0 for none;
        arXiv:2404.11339 has 0.1.
    focal_gamma: each label's loss is multiplied by (1 - its probability) ** focal_gamma.
    """

    allow_infeasible: bool = False
    shortcut_weight: float = 0.0
    focal_gamma: float = 0.0

    layout: ClassVar[Layout] = "columns"
    column_source: ClassVar[Literal["trunk", "encoder"]] = "trunk"
    ranges: ClassVar[Mapping[str, Range]] = {"shortcut_weight": Range(0.01, 1, log=True)}

    def __post_init__(self) -> None:
        for name in ("shortcut_weight", "focal_gamma"):
            if not 0 <= (value := getattr(self, name)) <= 1000:
                raise ValueError(f"{name} is a number from 0 to 1000, not {value}")

    @property
    def num_classes(self) -> int:
        return len(self.charset) + 1

    @property
    def column_classes(self) -> int:
        return self.num_classes if self.shortcut_weight else 0

    @property
    def blank(self) -> int:
        return len(self.charset)

    def check(self, text: str, steps: int, columns: int = 0) -> None:
        if (needed := steps_needed(text)) > steps and not self.allow_infeasible:
            raise CannotLearnError(
                f"CTC needs {needed} time steps for {text!r} and the model has {steps}: lower "
                "width_stride, raise image.width, or set loss_options.allow_infeasible=true"
            )

    def encode(self, texts: list[str]) -> Targets:
        lengths = torch.tensor([len(text) for text in texts], dtype=torch.int64)
        classes = torch.full((len(texts), max([1, *map(len, texts)])), self.blank)
        for row, text in zip(classes, texts, strict=True):
            row[: len(text)] = torch.tensor(self.classes_of(text), dtype=torch.int64)
        return Targets(classes, lengths)

    def loss(self, scores: Scores, targets: Targets) -> dict[str, Tensor]:
        parts = {"ctc": self._mean(scores.steps, targets)}
        if scores.columns is not None:
            parts["shortcut"] = self._mean(scores.columns, targets)
            return {"total": parts["ctc"] + self.shortcut_weight * parts["shortcut"], **parts}
        return {"total": parts["ctc"], **parts}

    def decode(self, scores: Scores) -> list[Reading]:
        """Best path: the best class of each step, repeats merged, blanks removed.

        The confidence is the probability of the text over all of its alignments, not that of the
        one path by which it was found.
        """
        texts = []
        for path in scores.steps.argmax(dim=-1).tolist():
            kept = [
                c for i, c in enumerate(path) if c != self.blank and (not i or path[i - 1] != c)
            ]
            texts.append("".join(self.charset[c] for c in kept))
        if not texts:
            return []
        probabilities = self.log_probability(scores, texts).exp()
        return [Reading(t, p) for t, p in zip(texts, probabilities.tolist(), strict=True)]

    def log_probability(self, scores: Scores, texts: list[str]) -> Tensor:
        """Over all alignments of a text. A sum that is rounded to above 1 is 1."""
        neg_log_p = ctc_neg_log_p(scores.steps, self.encode(texts), self.blank)
        return -neg_log_p.double().clamp(min=0)

    def _mean(self, scores: Tensor, targets: Targets) -> Tensor:
        loss = ctc_neg_log_p(scores, targets, self.blank, zero_infinity=self.allow_infeasible)
        return (focal_factor(loss, self.focal_gamma) * loss if self.focal_gamma else loss).mean()


def steps_needed(text: str) -> int:
    """How many steps CTC needs: between two equal neighbours every alignment has a blank."""
    return len(text) + sum(a == b for a, b in pairwise(text))


def ctc_neg_log_p(
    scores: Tensor, targets: Targets, blank: int, zero_infinity: bool = False
) -> Tensor:
    """(N,) values of -log P(label), natural logarithm. scores: (N, T, C), not normalised."""
    n, steps, _ = scores.shape
    return F.ctc_loss(
        scores.float().log_softmax(dim=-1).transpose(0, 1),
        targets.classes.to(scores.device),
        torch.full((n,), steps, dtype=torch.int64),
        targets.lengths,
        blank=blank,
        reduction="none",
        zero_infinity=zero_infinity,
    )
