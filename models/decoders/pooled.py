"""Pooled: the whole image as one vector, and a linear layer for every character position."""

from __future__ import annotations

from typing import ClassVar, Literal

from torch import Tensor, nn

from models.backbones import Trunk
from models.decoders.base import Outputs, Reader, Scores, length_head, register


@register("pooled")
class PooledReader(Reader):
    """Scores (N, max_length, num_classes) from the average of the trunk's features.

    At one position it is the usual image classifier, such as a ResNet is: what the published
    system's first pretraining trains on digits. At more of them it is a classifier a position
    (Goodfellow et al., arXiv:1312.6082).

    hidden, layers: of no meaning, since there is nothing between the features and the scores.
    """

    layout: ClassVar[Literal["columns", "slots"]] = "slots"
    default_hidden: ClassVar[int] = 0

    def __init__(self, trunk: Trunk, outputs: Outputs, hidden: int, layers: int) -> None:
        super().__init__(trunk, outputs, hidden, layers)
        scores = outputs.max_length * outputs.num_classes
        self.characters = nn.Linear(trunk.channels, scores)
        self.length = length_head(trunk.channels, outputs)

    def forward(self, images: Tensor, teacher: Tensor | None = None) -> Scores:
        pooled = self.trunk(images).mean(dim=(2, 3))
        steps = self.characters(pooled).unflatten(1, (self.outputs.max_length, -1))
        return Scores(steps, None if self.length is None else self.length(pooled))
