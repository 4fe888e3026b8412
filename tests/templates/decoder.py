"""The trunk's features at as many places across as there are characters, and a linear layer."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch.nn.functional as F
from torch import Tensor, nn

from models.backbones import Trunk
from models.decoders.base import Outputs, Reader, Scores, length_head, register


@register("template_decoder")
class TemplateReader(Reader):
    """Scores (N, max_length, num_classes): each character from its share of the width.

    hidden, layers: of no meaning.
    """

    layout: ClassVar[Literal["columns", "slots"]] = "slots"
    default_hidden: ClassVar[int] = 0

    def __init__(self, trunk: Trunk, outputs: Outputs, hidden: int, layers: int) -> None:
        super().__init__(trunk, outputs, hidden, layers)
        self.characters = nn.Linear(trunk.channels, outputs.num_classes)
        self.length = length_head(trunk.channels, outputs)

    def forward(self, images: Tensor, teacher: Tensor | None = None) -> Scores:
        rows = self.trunk(images).mean(dim=2)
        places = F.interpolate(rows, self.outputs.max_length, mode="linear").transpose(1, 2)
        lengths = None if self.length is None else self.length(rows.mean(dim=2))
        return Scores(self.characters(places), lengths)
