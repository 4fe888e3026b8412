"""Columns: one score vector for every column of features, read from left to right."""

from __future__ import annotations

from typing import ClassVar, Literal

from torch import Tensor, nn

from models.backbones import Trunk
from models.reader import Outputs, Reader, length_head


class ColumnEncoder(nn.Module):
    """Feature maps (N, D, H', T) -> columns in context (N, T, 2 * hidden).

    The height is folded away by its maximum, since a stroke is somewhere in the column or is not
    (arXiv:2404.11339), then a bidirectional LSTM reads the columns (CRNN, arXiv:1507.05717).
    """

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(channels, hidden, batch_first=True, bidirectional=True)

    def forward(self, features: Tensor) -> Tensor:
        columns: Tensor = self.lstm(features.amax(dim=2).transpose(1, 2))[0]
        return columns


class ColumnReader(Reader):
    """A linear layer on every column: scores (N, T, num_classes), T = image width / width stride.

    hidden: LSTM units a direction.
    """

    layout: ClassVar[Literal["columns", "slots"]] = "columns"
    default_hidden: ClassVar[int] = 128

    def __init__(self, trunk: Trunk, outputs: Outputs, hidden: int) -> None:
        super().__init__(trunk, outputs, hidden)
        self.encoder = ColumnEncoder(trunk.channels, hidden)
        self.dropout = nn.Dropout(0.2)
        self.characters = nn.Linear(2 * hidden, outputs.num_classes)
        self.length = length_head(2 * hidden, outputs.length_classes)

    def forward(
        self, images: Tensor, teacher: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        columns = self.encoder(self.trunk(images))
        lengths = None if self.length is None else self.length(columns.mean(dim=1))
        return self.characters(self.dropout(columns)), lengths
