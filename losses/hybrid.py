"""Cross-entropy + stop, with CTC beside it on the encoder's columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Tensor

from losses.base import CannotLearnError, Range, Scores, Targets, register
from losses.ce_stop import CrossEntropyStop
from losses.ctc import ctc_neg_log_p, steps_needed


@register("hybrid")
@dataclass(frozen=True, kw_only=True)
class Hybrid(CrossEntropyStop):
    """The loss of `ce_stop` and, on a head on the encoder's columns, that of `ctc`.

    The slots are read, the columns are not: CTC teaches the encoder where the characters stand.
    Source: arXiv:1903.07377.

    ctc_weight: the factor of the CTC term.
    """

    ctc_weight: float = 0.5

    column_source: ClassVar[Literal["trunk", "encoder"]] = "encoder"
    ranges: ClassVar[Mapping[str, Range]] = {
        **CrossEntropyStop.ranges,
        "ctc_weight": Range(0.05, 5, log=True),
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.ctc_weight <= 1000:
            raise ValueError(f"ctc_weight is a factor above 0, up to 1000, not {self.ctc_weight}")

    @property
    def column_classes(self) -> int:
        return len(self.charset) + 1

    def check(self, text: str, steps: int, columns: int = 0) -> None:
        super().check(text, steps, columns)
        if (needed := steps_needed(text)) > columns:
            raise CannotLearnError(
                f"CTC needs {needed} columns for {text!r} and the model has {columns}: lower "
                "width_stride or raise image.width"
            )

    def loss(self, scores: Scores, targets: Targets) -> dict[str, Tensor]:
        parts = super().loss(scores, targets)
        if scores.columns is None:
            return parts
        # The characters stand first in the targets and their number is known: CTC's own blank,
        # which is the class of the stop, is not among them.
        ctc = ctc_neg_log_p(scores.columns, targets, blank=len(self.charset)).mean()
        return parts | {"total": parts["total"] + self.ctc_weight * ctc, "ctc": ctc}
