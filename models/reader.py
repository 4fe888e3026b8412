"""What every reader is: a trunk, a decoder of a layout, and an optional length head."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Literal, NamedTuple

from torch import Tensor, nn

from models.backbones import Trunk


class Outputs(NamedTuple):
    """The numbers that an objective asks of a model.

    num_classes: scores a step.
    length_classes: scores of the auxiliary length head; 0 for none.
    max_length: character positions; of no meaning to the columns layout.
    """

    num_classes: int
    length_classes: int = 0
    max_length: int = 10


class Reader(nn.Module, ABC):
    """Images (N, C, H, W) in 0..1 -> scores (N, steps, num_classes) and length scores or None.

    hidden: the decoder's width; each decoder says what that is.
    """

    layout: ClassVar[Literal["columns", "slots"]]
    default_hidden: ClassVar[int]

    def __init__(self, trunk: Trunk, outputs: Outputs, hidden: int) -> None:
        super().__init__()
        self.trunk = trunk
        self.outputs = outputs
        self.hidden = hidden

    @abstractmethod
    def forward(
        self, images: Tensor, teacher: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Scores (N, steps, num_classes) and length scores (N, length_classes) or None.

        teacher: classes (N, steps) int64 that a decoder which reads its own output is given
            instead of it (teacher forcing); the others ignore it.
        """


def length_head(features: int, length_classes: int) -> nn.Module | None:
    """The published head: dropout 0.2 and a linear layer; None where no length is asked for."""
    if not length_classes:
        return None
    return nn.Sequential(nn.Dropout(0.2), nn.Linear(features, length_classes))
