"""The attention decoder of scene-text recognition: a character at a time, looking back."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.decoders.base import register
from models.decoders.columns import ColumnReader


@register("attention_lstm")
class AttentionLSTMReader(ColumnReader):
    """An LSTM says one character a step from the columns that it attends to.

    Scores (N, max_length, num_classes). At each step the LSTM's state is held against every column
    (additive attention, arXiv:1409.0473), together with where the step before looked and what all
    steps before have covered (arXiv:1506.07503), so that it finds its way from left to right and
    can read the same digit twice. The columns' mean under that attention and the one-hot class of
    the step before make the next state; state and mean give the scores. The class before is the
    teacher's where there is one, else its own best (greedy); before the first there is none, and
    the state is zero.

    Up to the columns it is the column reader, so that the two differ in the decoder only. Sources:
    ASTER (doi:10.1109/TPAMI.2018.2848939) and the attention head of the comparison
    arXiv:1904.01906, neither of which knows where it has looked.

    hidden: LSTM units a direction of the encoder, and those of the decoder.
    layers: of the encoder; the decoder has one.
    """

    layout: ClassVar[Literal["columns", "slots"]] = "slots"
    autoregressive: ClassVar[bool] = True

    def _build_steps(self, features: int) -> int:
        # No bias where the softmax does not see what is added to all columns alike.
        self.keys = nn.Linear(features, self.hidden, bias=False)
        self.query = nn.Linear(self.hidden, self.hidden)
        self.places = nn.Conv1d(2, self.hidden, 5, padding=2, bias=False)
        self.energy = nn.Linear(self.hidden, 1, bias=False)
        self.cell = nn.LSTMCell(features + self.outputs.num_classes, self.hidden)
        return self.hidden + features

    def _steps(self, columns: Tensor, teacher: Tensor | None) -> Tensor:
        return self._unroll(columns, teacher)[0]

    def _attention(self, columns: Tensor) -> Tensor:
        return self._unroll(columns, None)[1]

    def _unroll(self, columns: Tensor, teacher: Tensor | None) -> tuple[Tensor, Tensor]:
        """Scores (N, max_length, num_classes), and the attention (N, max_length, T) behind them."""
        count, width, _ = columns.shape
        classes = self.outputs.num_classes
        keys = self.keys(columns)  # (N, T, hidden)
        hidden = cell = columns.new_zeros((count, self.hidden))
        before = columns.new_zeros((count, classes))
        looked = columns.new_zeros((count, 2, width))  # the last step's attention, and all steps'
        scores, attentions = [], []
        for step in range(self.outputs.max_length):
            matched = keys + self.query(hidden)[:, None] + self.places(looked).transpose(1, 2)
            attention = self.energy(matched.tanh()).squeeze(2).softmax(dim=1)  # (N, T)
            seen = (attention[:, None] @ columns).squeeze(1)
            hidden, cell = self.cell(torch.cat([seen, before], dim=1), (hidden, cell))
            scores.append(self.characters(self.dropout(torch.cat([hidden, seen], dim=1))))
            said = scores[-1].argmax(dim=-1) if teacher is None else teacher[:, step]
            before = F.one_hot(said, classes).to(columns.dtype)
            looked = torch.stack([attention, looked[:, 1] + attention], dim=1)
            attentions.append(attention)
        return torch.stack(scores, dim=1), torch.stack(attentions, dim=1)
