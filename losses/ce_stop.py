"""Per-step cross-entropy with a stop class and an auxiliary length term, as published."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from losses.base import (
    CannotLearnError,
    Layout,
    Objective,
    Range,
    Scores,
    Spelling,
    Targets,
    focal_factor,
    register,
)
from losses.best_first import Prefix, by_position


@register("ce_stop")
@dataclass(frozen=True, kw_only=True)
class CrossEntropyStop(Objective):
    """Cross-entropy at every character position, summed over positions, a mean over the batch.

    The stop is the class behind the characters. A label that fills all positions has none: at a
    max_length of 1 there is no such class, and this is the cross-entropy of a classifier.

    length_weight: the factor of the length term, the cross-entropy of a head that classifies the
        label's length (class = length - 1); 0 for no such head. It shapes the features and, as
        published, is not used to decode.
    read_length: let that head decide where the text ends, not the stop.
    after_stop: what the positions behind the stop have to say. "ignore" leaves them out of the
        loss. "zero" is the published way: they are filled with class 0 and count. A decoder that
        reads its own output (latent_lstm) knows that it has stopped; parallel slots do not, and
        must distinguish a '0' that was written from one that fills.
    label_smoothing: how much of each position's target is spread evenly over all classes
        (arXiv:1512.00567).
    focal_gamma: each position's cross-entropy is multiplied by (1 - p) ** focal_gamma, p being the
        probability of the right class (arXiv:1708.02002).
    """

    length_weight: float = 1.0
    read_length: bool = False
    after_stop: Literal["ignore", "zero"] = "ignore"
    label_smoothing: float = 0.0
    focal_gamma: float = 0.0

    layout: ClassVar[Layout] = "slots"
    ranges: ClassVar[Mapping[str, Range]] = {
        "length_weight": Range(0.03, 3, log=True),
        "label_smoothing": Range(0, 0.2),
    }

    def __post_init__(self) -> None:
        for name in ("length_weight", "focal_gamma"):
            if not 0 <= (value := getattr(self, name)) <= 1000:
                raise ValueError(f"{name} is a number from 0 to 1000, not {value}")
        if not 0 <= self.label_smoothing < 1:
            raise ValueError(f"label_smoothing is from 0 to below 1, not {self.label_smoothing}")
        if self.read_length and not self.length_weight:
            raise ValueError("read_length needs the length head: set length_weight above 0")

    @property
    def num_classes(self) -> int:
        return len(self.charset) + (self.max_length > 1)

    @property
    def length_classes(self) -> int:
        return self.max_length if self.length_weight else 0

    @property
    def stop(self) -> int:
        return len(self.charset)

    def check(self, text: str, steps: int, columns: int = 0) -> None:
        _check_length(text, steps)

    def encode(self, texts: list[str]) -> Targets:
        """Classes (N, max_length): the characters, the stop, then class 0."""
        classes = torch.zeros((len(texts), self.max_length), dtype=torch.int64)
        for row, text in zip(classes, texts, strict=True):
            _check_length(text, self.max_length)
            filled = [*self.classes_of(text), self.stop][: self.max_length]
            row[: len(filled)] = torch.tensor(filled)
        return Targets(classes, torch.tensor([len(text) for text in texts], dtype=torch.int64))

    def loss(self, scores: Scores, targets: Targets) -> dict[str, Tensor]:
        classes, lengths = (t.to(scores.steps.device) for t in targets)
        steps = self._cross_entropy(scores.steps.transpose(1, 2), classes)  # (N, L)
        if self.after_stop == "ignore":
            positions = torch.arange(self.max_length, device=steps.device)
            steps = steps * (positions <= lengths[:, None])
        parts = {"characters": steps.sum(dim=1).mean()}
        if scores.lengths is not None:
            parts["length"] = F.cross_entropy(scores.lengths, lengths - 1)
            return {"total": parts["characters"] + self.length_weight * parts["length"], **parts}
        return {"total": parts["characters"], **parts}

    def spell(self, scores: Scores) -> Spelling:
        """Greedy: the best class of each position up to the first stop.

        The confidence is the probability of just these classes, the stop included; that of a
        character is its probability at its position. With read_length it is the most probable text
        of all lengths, P(length) * P(characters), the stop being no class any more (Goodfellow et
        al., arXiv:1312.6082).
        """
        if self.read_length and scores.lengths is not None:
            return self._spell_by_length(scores.steps, scores.lengths)
        best, classes = scores.steps.double().softmax(dim=-1).max(dim=-1)
        stops = (classes == self.stop).long().cumsum(dim=1)
        stopped_before = F.pad(stops, (1, 0))[:, :-1] > 0
        confidence = best.log().masked_fill(stopped_before, 0).sum(dim=1).exp()
        return Spelling(torch.where(stops > 0, -1, classes), best, confidence)

    def log_probability(self, scores: Scores, texts: list[str]) -> Tensor:
        """Of the characters, and that the text ends behind them: by the stop or by its length."""
        steps, ends = self._log_probabilities(scores)
        log_p = torch.full((len(texts),), -torch.inf, dtype=torch.float64)
        for i, text in enumerate(texts):
            if (length := len(text)) <= self.max_length:
                log_p[i] = steps[i, range(length), self.classes_of(text)].sum() + ends[i, length]
        return log_p

    def prefixes(self, scores: Scores) -> Iterator[Prefix]:
        """By position."""
        steps, ends = self._log_probabilities(scores)
        return by_position(steps[..., : self.stop], ends)

    def _log_probabilities(self, scores: Scores) -> tuple[Tensor, Tensor]:
        """Of classes (N, L, C), and that a text ends behind so many characters (N, L + 1)."""
        if self.read_length and scores.lengths is not None:
            steps = scores.steps[..., : self.stop].double().log_softmax(dim=-1)
            ends = scores.lengths.double().log_softmax(dim=-1)
            return steps, F.pad(ends, (1, 0), value=-torch.inf)
        steps = scores.steps.double().log_softmax(dim=-1)
        # Where there is no such class, nothing ends before the last position; and a text that
        # fills all positions has no stop.
        return steps, F.pad(steps[..., self.stop :].logsumexp(dim=-1), (0, 1))

    def _cross_entropy(self, scores: Tensor, classes: Tensor) -> Tensor:
        loss = F.cross_entropy(
            scores, classes, reduction="none", label_smoothing=self.label_smoothing
        )
        if not self.focal_gamma:
            return loss
        sharp = F.cross_entropy(scores, classes, reduction="none")
        return focal_factor(sharp, self.focal_gamma) * loss

    def _spell_by_length(self, steps: Tensor, lengths: Tensor) -> Spelling:
        best, classes = steps[..., : self.stop].double().log_softmax(dim=-1).max(dim=-1)
        texts = lengths.double().log_softmax(dim=-1) + best.cumsum(dim=1)  # (N, length - 1)
        log_p, longest = texts.max(dim=1)
        behind = torch.arange(self.max_length, device=steps.device) > longest[:, None]
        return Spelling(torch.where(behind, -1, classes), best.exp(), log_p.exp())


def _check_length(text: str, positions: int) -> None:
    if not 1 <= len(text) <= positions:
        raise CannotLearnError(
            f"a label has 1 to {positions} characters here and {text!r} has {len(text)}: "
            "set max_length"
        )
