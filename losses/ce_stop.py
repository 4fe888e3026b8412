"""Per-step cross-entropy with a stop class and an auxiliary length term, as published."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from losses.base import CannotLearnError, Layout, Objective, Reading, Targets, register


@register("ce_stop")
@dataclass(frozen=True, kw_only=True)
class CrossEntropyStop(Objective):
    """Cross-entropy at every character position, summed over positions, a mean over the batch.

    The stop is the class behind the characters. A label that fills all positions has none.

    length_weight: the factor of the length term, the cross-entropy of a head that classifies the
        label's length (class = length - 1). It shapes the features and is not used to decode.
    after_stop: what the positions behind the stop have to say. "ignore" leaves them out of the
        loss. "zero" is the published way: they are filled with class 0 and count. A decoder that
        reads its own output (latent_lstm) knows that it has stopped; parallel slots do not, and
        must tell a '0' that was written from one that fills.
    """

    length_weight: float = 1.0
    after_stop: Literal["ignore", "zero"] = "ignore"

    layout: ClassVar[Layout] = "slots"

    def __post_init__(self) -> None:
        if not 0 <= self.length_weight < float("inf"):
            raise ValueError(f"length_weight is a factor from 0 on, not {self.length_weight}")

    @property
    def num_classes(self) -> int:
        return len(self.charset) + 1

    @property
    def length_classes(self) -> int:
        return self.max_length if self.length_weight else 0

    @property
    def stop(self) -> int:
        return len(self.charset)

    def check(self, text: str, steps: int) -> None:
        if not 1 <= len(text) <= steps:
            raise CannotLearnError(
                f"a label has 1 to {steps} characters here and {text!r} has {len(text)}: "
                "set max_length"
            )

    def encode(self, texts: list[str]) -> Targets:
        """Classes (N, max_length): the characters, the stop, then class 0."""
        classes = torch.zeros((len(texts), self.max_length), dtype=torch.int64)
        for row, text in zip(classes, texts, strict=True):
            self.check(text, self.max_length)
            filled = [*self.classes_of(text), self.stop][: self.max_length]
            row[: len(filled)] = torch.tensor(filled)
        return Targets(classes, torch.tensor([len(text) for text in texts], dtype=torch.int64))

    def loss(
        self, scores: Tensor, targets: Targets, length_scores: Tensor | None = None
    ) -> dict[str, Tensor]:
        classes, lengths = (t.to(scores.device) for t in targets)
        steps = F.cross_entropy(scores.transpose(1, 2), classes, reduction="none")  # (N, L)
        if self.after_stop == "ignore":
            positions = torch.arange(self.max_length, device=scores.device)
            steps = steps * (positions <= lengths[:, None])
        parts = {"characters": steps.sum(dim=1).mean()}
        if length_scores is not None:
            parts["length"] = F.cross_entropy(length_scores, lengths - 1)
            return {"total": parts["characters"] + self.length_weight * parts["length"], **parts}
        return {"total": parts["characters"], **parts}

    def decode(self, scores: Tensor) -> list[Reading]:
        """Greedy: the best class of each position up to the first stop.

        The confidence is the probability of just these classes, the stop included.
        """
        best, classes = scores.float().softmax(dim=-1).max(dim=-1)
        readings = []
        for row, probabilities in zip(classes.tolist(), best.double(), strict=True):
            length = row.index(self.stop) if self.stop in row else len(row)
            text = "".join(self.charset[c] for c in row[:length])
            readings.append(Reading(text, float(probabilities[: length + 1].prod())))
        return readings
