"""Columns: one score vector for every column of features, read from left to right."""

from __future__ import annotations

from typing import ClassVar, Literal

from torch import Tensor, nn

from models.backbones import Trunk
from models.decoders.base import Outputs, Reader, Scores, length_head, register


def fold(features: Tensor) -> Tensor:
    """Feature maps (N, D, H', T) -> columns (N, T, D).

    The height goes by its maximum, since a stroke is somewhere in the column or is not
    (arXiv:2404.11339).
    """
    return features.amax(dim=2).transpose(1, 2)


class ColumnEncoder(nn.Module):
    """Columns (N, T, D) -> columns in context (N, T, 2 * hidden), by bidirectional LSTMs.

    Source: CRNN (arXiv:1507.05717), which has two layers of 256.
    """

    def __init__(self, channels: int, hidden: int, layers: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(channels, hidden, layers, batch_first=True, bidirectional=True)

    def forward(self, columns: Tensor) -> Tensor:
        encoded: Tensor = self.lstm(columns)[0]
        return encoded


class ColumnHead(nn.Module):
    """An auxiliary score vector (N, T, column_classes) for every column, not read at inference.

    On the trunk's columns it is the shortcut of arXiv:2404.11339, a convolution over three
    neighbours that bypasses the LSTM; on the encoder's, which have their context, a linear layer
    (arXiv:1903.07377).
    """

    def __init__(self, channels: int, encoded: int, outputs: Outputs) -> None:
        super().__init__()
        self.of_trunk = outputs.column_source == "trunk"
        features, window = (channels, 3) if self.of_trunk else (encoded, 1)
        self.dropout = nn.Dropout(0.2)
        self.scores = nn.Conv1d(features, outputs.column_classes, window, padding=window // 2)

    def forward(self, trunk: Tensor, encoder: Tensor) -> Tensor:
        """trunk, encoder: (N, T, features), the columns of the two."""
        columns = self.dropout(trunk if self.of_trunk else encoder)
        scores: Tensor = self.scores(columns.transpose(1, 2)).transpose(1, 2)
        return scores


@register("columns")
class ColumnReader(Reader):
    """A linear layer on every column: scores (N, T, num_classes), T = image width / width stride.

    hidden: LSTM units a direction.
    """

    layout: ClassVar[Literal["columns", "slots"]] = "columns"
    default_hidden: ClassVar[int] = 128
    has_columns: ClassVar[bool] = True

    def __init__(self, trunk: Trunk, outputs: Outputs, hidden: int, layers: int) -> None:
        super().__init__(trunk, outputs, hidden, layers)
        self.encoder = ColumnEncoder(trunk.channels, hidden, layers)
        features = self._build_steps(2 * hidden)
        self.dropout = nn.Dropout(0.2)
        self.characters = nn.Linear(features, outputs.num_classes)
        self.length = length_head(2 * hidden, outputs)
        self.columns = (
            ColumnHead(trunk.channels, 2 * hidden, outputs) if outputs.column_classes else None
        )

    def forward(self, images: Tensor, teacher: Tensor | None = None) -> Scores:
        seen = fold(self.trunk(images))
        columns = self.encoder(seen)
        return Scores(
            self._steps(columns, teacher),
            None if self.length is None else self.length(columns.mean(dim=1)),
            None if self.columns is None else self.columns(seen, columns),
        )

    def attend(self, images: Tensor) -> Tensor | None:
        return self._attention(self.encoder(fold(self.trunk(images))))

    def _build_steps(self, features: int) -> int:
        """Build what `_steps` needs above columns (N, T, features), but for the linear layer.

        Returns how many features that layer reads.
        """
        return features

    def _steps(self, columns: Tensor, teacher: Tensor | None) -> Tensor:
        """Columns (N, T, features) -> scores (N, steps, num_classes).

        teacher: as in `forward`.
        """
        scores: Tensor = self.characters(self.dropout(columns))
        return scores

    def _attention(self, columns: Tensor) -> Tensor | None:
        """Columns (N, T, features) -> the attention of the steps to them, as in `attend`."""
        return None
