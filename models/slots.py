"""Slots: one score vector for every character position, all read at once by attention."""

from __future__ import annotations

from typing import ClassVar, Literal

from torch import Tensor, nn

from models.backbones import Trunk
from models.columns import ColumnEncoder
from models.reader import Outputs, Reader, length_head


class SlotReader(Reader):
    """Each position attends to the columns: scores (N, max_length, num_classes).

    Every column says how much it belongs to each position (a linear layer), a softmax over the
    columns makes that the position's attention. Trunk and column encoder are those of the column
    reader, so the two differ in the decoder only; the columns know their place by the LSTM.

    hidden: LSTM units a direction.
    """

    layout: ClassVar[Literal["columns", "slots"]] = "slots"
    default_hidden: ClassVar[int] = 128

    def __init__(self, trunk: Trunk, outputs: Outputs, hidden: int) -> None:
        super().__init__(trunk, outputs, hidden)
        self.encoder = ColumnEncoder(trunk.channels, hidden)
        self.attention = nn.Linear(2 * hidden, outputs.max_length)
        self.dropout = nn.Dropout(0.2)
        self.characters = nn.Linear(2 * hidden, outputs.num_classes)
        self.length = length_head(2 * hidden, outputs.length_classes)

    def forward(
        self, images: Tensor, teacher: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        columns = self.encoder(self.trunk(images))
        attention = self.attention(columns).softmax(dim=1)  # (N, T, L), sums to 1 over T
        slots = attention.transpose(1, 2) @ columns
        lengths = None if self.length is None else self.length(columns.mean(dim=1))
        return self.characters(self.dropout(slots)), lengths
