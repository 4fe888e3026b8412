"""Position queries: every character asks the columns for itself, all at once."""

from __future__ import annotations

import math
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.decoders.base import register
from models.decoders.columns import ColumnReader

_HEADS = 4


@register("queries")
class QueryReader(ColumnReader):
    """Scores (N, max_length, num_classes) by multi-head attention of learnt position queries.

    The decoder of a transformer without its past: one cross-attention to the columns, whose places
    are written into the keys, and one feed-forward layer; no position sees another, so all are
    read in one pass. This is the parallel form of PARSeq (arXiv:2207.06966), which has none of its
    refinement. A query has no content of its own, so there is no shortcut around the attention.

    Up to the columns it is the column reader, so that the two differ in the decoder only.

    hidden: LSTM units a direction of the encoder. The decoder is twice as wide.
    """

    layout: ClassVar[Literal["columns", "slots"]] = "slots"

    def _build_steps(self, features: int) -> int:
        places = sinusoids(self.outputs.max_length, features)
        # They start in order, near the columns' own places.
        self.queries = nn.Parameter(places + 0.02 * torch.randn(places.shape))
        self.normalise = nn.LayerNorm(features)
        self.query = nn.Linear(features, features)
        # No bias: the softmax does not see what is added to all columns alike.
        self.key = nn.Linear(features, features, bias=False)
        self.value = nn.Linear(features, features)
        self.merge = nn.Linear(features, features)
        self.feed = nn.Sequential(
            nn.LayerNorm(features),
            nn.Linear(features, features),
            nn.GELU(),
            nn.Dropout(0.1),
            nn.Linear(features, features),
        )
        self.finish = nn.LayerNorm(features)
        return features

    def _steps(self, columns: Tensor, teacher: Tensor | None) -> Tensor:
        columns = self.normalise(columns)
        asked, keys = self._asked(columns)
        found = F.scaled_dot_product_attention(asked, keys, _heads(self.value(columns)))
        read = self.merge(found.transpose(1, 2).flatten(2))
        return super()._steps(self.finish(read + self.feed(read)), teacher)

    def _attention(self, columns: Tensor) -> Tensor:
        # The function above keeps it to itself. A mean over the heads.
        asked, keys = self._asked(self.normalise(columns))
        matched = asked @ keys.transpose(2, 3) / math.sqrt(asked.shape[3])
        return matched.softmax(dim=3).mean(dim=1)

    def _asked(self, columns: Tensor) -> tuple[Tensor, Tensor]:
        """The queries (N, heads, L, D / heads) and the columns' keys (N, heads, T, D / heads)."""
        placed = columns + sinusoids(columns.shape[1], columns.shape[2]).to(columns)
        asked = self.query(self.queries.expand(columns.shape[0], -1, -1))
        return _heads(asked), _heads(self.key(placed))


def _heads(features: Tensor) -> Tensor:
    """(N, S, D) -> (N, heads, S, D / heads)."""
    count, places, width = features.shape
    heads = math.gcd(_HEADS, width)
    return features.reshape(count, places, heads, width // heads).transpose(1, 2)


def sinusoids(count: int, features: int) -> Tensor:
    """(count, features): each place as sines and cosines, as in arXiv:1706.03762.

    The slowest wave is 100 places long over 2 pi, not 10,000: there are a few dozen places.
    """
    rates = torch.exp(-math.log(100) * torch.arange(0, features, 2) / features)
    angles = torch.arange(count)[:, None] * rates
    return torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1)
