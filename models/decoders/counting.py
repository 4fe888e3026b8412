"""Position queries that ask for the k-th character, not for a place in the image."""

from __future__ import annotations

import math

from torch import Tensor, nn

from models.decoders.base import register
from models.decoders.queries import QueryReader, sinusoids

# How much of a character a column is before anything is learnt: of 30 columns, three characters.
_OF_A_CHARACTER = 0.1


@register("counting")
class CountingReader(QueryReader):
    """As `queries`, with columns placed by how many characters stand up to them.

    Every column says what part of a character it is, in 0..1; the sum up to a column is its place
    in the keys, where `queries` has its number. So the sixth character is asked for alike in wide
    and in narrow writing. The soft count is that of continuous integrate-and-fire
    (arXiv:1905.11235), without its term for the length and its hard borders.
    """

    def _build_steps(self, features: int) -> int:
        found = super()._build_steps(features)
        self.parts = nn.Linear(features, 1)
        nn.init.constant_(self.parts.bias, math.log(_OF_A_CHARACTER / (1 - _OF_A_CHARACTER)))
        return found

    def _places(self, columns: Tensor) -> Tensor:
        parts = self.parts(columns).squeeze(2).sigmoid()  # (N, T)
        return sinusoids(parts.cumsum(dim=1) - parts / 2, columns.shape[2])
