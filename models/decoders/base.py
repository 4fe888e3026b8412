"""What every reader is: a trunk, a decoder of a layout, and the heads that a loss asks for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar, Literal, NamedTuple

from torch import Tensor, nn

from models.backbones import Trunk
from models.plugins import Plugins


class Outputs(NamedTuple):
    """What an objective asks of a model.

    num_classes: scores a step.
    length_classes: scores of the auxiliary length head; 0 for none.
    max_length: character positions; of no meaning to the columns layout.
    column_classes: scores a column of the auxiliary column head; 0 for none.
    column_source: whose columns that head reads, the trunk's own or those of the encoder above it.
    """

    num_classes: int
    length_classes: int = 0
    max_length: int = 10
    column_classes: int = 0
    column_source: Literal["trunk", "encoder"] = "encoder"


class Scores(NamedTuple):
    """What a model says of a batch, none of it normalised.

    steps: (N, steps, num_classes), which are read.
    lengths: (N, length_classes); None for a model without a length head.
    columns: (N, T, column_classes); None for a model without an auxiliary column head.
    """

    steps: Tensor
    lengths: Tensor | None = None
    columns: Tensor | None = None

    def cpu(self) -> Scores:
        """The same on the CPU."""
        return self._each(Tensor.cpu)

    def rows(self, images: list[int]) -> Scores:
        """Those of these images of the batch, in this order; one may stand there twice."""
        return self._each(lambda scores: scores[images])

    def _each(self, change: Callable[[Tensor], Tensor]) -> Scores:
        return Scores(
            change(self.steps),
            None if self.lengths is None else change(self.lengths),
            None if self.columns is None else change(self.columns),
        )


class Reader(nn.Module, ABC):
    """Images (N, C, H, W) in 0..1 -> Scores.

    Auxiliary heads are built last: an arm with one starts from the same weights as its twin
    without.

    hidden: the decoder's width; each decoder says what that is.
    layers: LSTMs on top of each other.
    """

    # What a step is: an image column, or the place of a character. The loss has to have the same.
    layout: ClassVar[Literal["columns", "slots"]]
    # 0 for a decoder without a width to choose.
    default_hidden: ClassVar[int]
    # Whether it has columns that an auxiliary column head can read.
    has_columns: ClassVar[bool] = False
    # Whether each step is given the class of the step before, and so listens to a teacher.
    autoregressive: ClassVar[bool] = False

    def __init__(self, trunk: Trunk, outputs: Outputs, hidden: int, layers: int) -> None:
        super().__init__()
        self.trunk = trunk
        self.outputs = outputs
        self.hidden = hidden

    @abstractmethod
    def forward(self, images: Tensor, teacher: Tensor | None = None) -> Scores:
        """The scores of a batch of images.

        teacher: classes (N, steps) int64 that a decoder which reads its own output is given
            instead of it (teacher forcing); the others ignore it.
        """

    def attend(self, images: Tensor) -> Tensor | None:
        """(N, steps, T): of each step of `forward` without a teacher, its attention to each column.

        In 0..1, and 1 in sum over the T columns of features that the image's width is cut into.
        None for a decoder without attention.
        """
        return None


def length_head(features: int, outputs: Outputs) -> nn.Module | None:
    """The published head: dropout 0.2 and a linear layer; None where no length is asked for."""
    if not outputs.length_classes:
        return None
    return nn.Sequential(nn.Dropout(0.2), nn.Linear(features, outputs.length_classes))


DECODERS: Plugins[type[Reader]] = Plugins("decoders")
register = DECODERS.register
