"""Slots: one score vector for every character position, all read at once by attention."""

from __future__ import annotations

from typing import ClassVar, Literal

from torch import Tensor, nn

from models.decoders.base import register
from models.decoders.columns import ColumnReader


@register("slots")
class SlotReader(ColumnReader):
    """Each position attends to the columns: scores (N, max_length, num_classes).

    Every column says how much it belongs to each position (a linear layer), a softmax over the
    columns makes that the position's attention. All else is the column reader's, so the two differ
    in the decoder only; the columns know their place by the LSTM.
    """

    layout: ClassVar[Literal["columns", "slots"]] = "slots"

    def _build_steps(self, features: int) -> int:
        # No bias: the softmax does not see what is added to all columns alike.
        self.attention = nn.Linear(features, self.outputs.max_length, bias=False)
        return features

    def _steps(self, columns: Tensor, teacher: Tensor | None) -> Tensor:
        return super()._steps(self._attention(columns) @ columns, teacher)

    def _attention(self, columns: Tensor) -> Tensor:
        attention: Tensor = self.attention(columns).softmax(dim=1)  # (N, T, L)
        return attention.transpose(1, 2)
