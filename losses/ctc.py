"""Connectionist temporal classification (Graves et al., ICML 2006), by torch's own loss."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from losses.base import CannotLearnError, Layout, Objective, Reading, Targets, register


def steps_needed(text: str) -> int:
    """The fewest time steps that can emit this text.

    Between two equal neighbours every alignment passes through a blank.
    """
    return len(text) + sum(a == b for a, b in pairwise(text))


@register("ctc")
@dataclass(frozen=True, kw_only=True)
class CTC(Objective):
    """Minus the log-probability of the label summed over all its alignments, a mean over the batch.

    The blank is the class behind the characters.

    allow_infeasible: train although some labels need more steps than the model has. Their loss is
        infinite; it and its gradient are set to zero, so they are silently not learnt.
    """

    allow_infeasible: bool = False

    layout: ClassVar[Layout] = "columns"

    @property
    def num_classes(self) -> int:
        return len(self.charset) + 1

    @property
    def blank(self) -> int:
        return len(self.charset)

    def check(self, text: str, steps: int) -> None:
        needed = steps_needed(text)
        if needed > steps and not self.allow_infeasible:
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

    def loss(
        self, scores: Tensor, targets: Targets, length_scores: Tensor | None = None
    ) -> dict[str, Tensor]:
        loss = self._neg_log_prob(scores, targets, zero_infinity=self.allow_infeasible).mean()
        return {"total": loss, "ctc": loss}

    def decode(self, scores: Tensor) -> list[Reading]:
        """Best path: the best class of each step, repeats merged, blanks removed.

        The confidence is the probability of the text over all of its alignments, not that of the
        one path by which it was found.
        """
        texts = []
        for path in scores.argmax(dim=-1).tolist():
            kept = [
                c for i, c in enumerate(path) if c != self.blank and (not i or path[i - 1] != c)
            ]
            texts.append("".join(self.charset[c] for c in kept))
        if not texts:
            return []
        probabilities = torch.exp(-self._neg_log_prob(scores, self.encode(texts)))
        return [Reading(t, min(p, 1.0)) for t, p in zip(texts, probabilities.tolist(), strict=True)]

    def _neg_log_prob(
        self, scores: Tensor, targets: Targets, zero_infinity: bool = False
    ) -> Tensor:
        """(N,) values of -log P(label), natural logarithm."""
        n, steps, _ = scores.shape
        return F.ctc_loss(
            scores.float().log_softmax(dim=-1).transpose(0, 1),
            targets.classes.to(scores.device),
            torch.full((n,), steps, dtype=torch.int64),
            targets.lengths,
            blank=self.blank,
            reduction="none",
            zero_infinity=zero_infinity,
        )
