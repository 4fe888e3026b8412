"""Connectionist temporal classification (Graves et al., ICML 2006), by torch's own loss."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
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
from losses.best_first import Prefix


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

    def spell(self, scores: Scores) -> Spelling:
        """Best path: the best class of each step, repeats merged, blanks removed.

        The confidence is the probability of the text over all of its alignments, not that of the
        one path by which it was found. That of a character is its probability at the surest of the
        steps that were merged into it; that a character is missing is in the text's alone.
        """
        probabilities = scores.steps.double().softmax(dim=-1)
        sure, path = probabilities.max(dim=-1)
        before = F.pad(path, (1, 0), value=self.blank)[:, :-1]
        begins = (path != self.blank) & (path != before)
        # From the last step on: the most of this step and those that are merged with it.
        most = [sure[:, -1]]
        for step in range(path.shape[1] - 2, -1, -1):
            goes_on = path[:, step + 1] == path[:, step]
            most.append(torch.where(goes_on, torch.maximum(most[-1], sure[:, step]), sure[:, step]))
        return Spelling(
            torch.where(begins, path, -1),
            torch.stack(most[::-1], dim=1),
            _over_alignments(probabilities, path, begins, self.blank),
        )

    def log_probability(self, scores: Scores, texts: list[str]) -> Tensor:
        """Over all alignments of a text. A sum that is rounded to above 1 is 1."""
        neg_log_p = ctc_neg_log_p(scores.steps, self.encode(texts), self.blank)
        return -neg_log_p.double().clamp(min=0)

    def prefixes(self, scores: Scores) -> Iterator[Prefix]:
        """By forward variables; the bound is the probability of all texts that begin so."""
        for probabilities in scores.steps.double().softmax(dim=-1).numpy():
            nothing = np.zeros(len(probabilities) + 1)
            blanks = np.concatenate([[1.0], probabilities[:, self.blank].cumprod()])
            yield _Alignments(probabilities, nothing, blanks, -1, 0.0)

    def _mean(self, scores: Tensor, targets: Targets) -> Tensor:
        loss = ctc_neg_log_p(scores, targets, self.blank, zero_infinity=self.allow_infeasible)
        return (focal_factor(loss, self.focal_gamma) * loss if self.focal_gamma else loss).mean()


class _Alignments(NamedTuple):
    """The beginning of a text over all its alignments (section 3.2 of the paper).

    probabilities: (T, C), the blank last. character, blank: (T + 1,), that after so many steps it
    is this text, and that the last of these steps was its last character, or a blank.
    last: the class of its last character; -1 for none. bound: of all texts that begin so.
    """

    probabilities: npt.NDArray[np.float64]
    character: npt.NDArray[np.float64]
    blank: npt.NDArray[np.float64]
    last: int
    bound: float

    @property
    def whole(self) -> float:
        return _log(float(self.character[-1] + self.blank[-1]))

    def extended(self) -> Iterator[tuple[int, Prefix]]:
        steps, characters = len(self.probabilities), self.probabilities.shape[1] - 1
        emitted = self.probabilities[:, :characters]
        # The next character can begin behind either; behind itself only after a blank.
        before = np.repeat((self.character + self.blank)[:-1, None], characters, axis=1)
        if self.last >= 0:
            before[:, self.last] = self.blank[:-1]
        begins = emitted * before
        character, blank = np.zeros((2, steps + 1, characters))
        for t in range(steps):
            character[t + 1] = begins[t] + emitted[t] * character[t]
            blank[t + 1] = self.probabilities[t, -1] * (character[t] + blank[t])
        for k, bound in enumerate(begins.sum(axis=0).tolist()):
            yield k, _Alignments(self.probabilities, character[:, k], blank[:, k], k, _log(bound))


def _log(probability: float) -> float:
    """Of what can be 0; a sum that is rounded to above 1 is 1."""
    return min(math.log(probability), 0.0) if probability > 0 else -math.inf


def _over_alignments(probabilities: Tensor, path: Tensor, begins: Tensor, blank: int) -> Tensor:
    """(N,) the probability of a best path's text over all alignments, which is at most 1.

    The forward variables of the paper (equation 6) as operations that ONNX has; they are not
    scaled, since a best path has at least 1 / C a step.
    probabilities: (N, T, C) float64. path, begins: (N, T), the best classes, and where one begins
    that is a character of the text.
    """
    steps = path.shape[1]
    at = torch.where(begins, begins.long().cumsum(dim=1) - 1, steps)
    # The text from the left, and one place more for what is not of it.
    text = torch.full_like(F.pad(path, (0, 1)), blank).scatter(1, at, path)[:, :-1]
    # A blank before, between and behind the characters.
    states = F.pad(torch.stack([torch.full_like(text, blank), text], dim=2).flatten(1), (0, 1))
    states = torch.cat([states[:, :-1], torch.full_like(states[:, :1], blank)], dim=1)
    may_skip = (states != blank) & (states != F.pad(states, (2, 0), value=blank)[:, :-2])
    emitted = probabilities.gather(2, states[:, None].expand(-1, steps, -1))
    forward = F.pad(emitted[:, 0, :2], (0, states.shape[1] - 2))
    for step in range(1, steps):
        one, two = (F.pad(forward, (n, 0))[:, :-n] for n in (1, 2))
        forward = (forward + one + two * may_skip) * emitted[:, step]
    last = 2 * begins.long().sum(dim=1, keepdim=True)
    ends = F.pad(forward, (1, 0))  # nothing stands before the blank of an empty text
    return (ends.gather(1, last + 1) + ends.gather(1, last)).squeeze(1).clamp(max=1)


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
