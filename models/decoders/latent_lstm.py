"""The published decoder: the whole image as one latent vector, unrolled by an LSTM."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.backbones import Trunk
from models.decoders.base import Outputs, Reader, Scores, length_head, register


@register("latent_lstm")
class LatentLSTMReader(Reader):
    """Scores (N, max_length, num_classes) from one latent vector an image.

    The features' average goes through a linear layer and a ReLU to the latent, which is the LSTM's
    first hidden state; its cell and its first input are zero. Each step is given the one-hot class
    of the step before: the teacher's where there is one, else its own best (greedy).

    Source: github.com/mochangheng/crnn-crossentropy-pytorch, 2019; one-directional as in its code.

    hidden: size of the latent and of the LSTM.
    layers: each begins with the latent; 1 as published.
    """

    layout: ClassVar[Literal["columns", "slots"]] = "slots"
    default_hidden: ClassVar[int] = 512
    autoregressive: ClassVar[bool] = True

    def __init__(self, trunk: Trunk, outputs: Outputs, hidden: int, layers: int) -> None:
        super().__init__(trunk, outputs, hidden, layers)
        self.latent = nn.Linear(trunk.channels, hidden)
        self.lstm = nn.LSTM(outputs.num_classes, hidden, layers, batch_first=True)
        self.characters = nn.Linear(hidden, outputs.num_classes)
        self.length = length_head(hidden, outputs)

    def forward(self, images: Tensor, teacher: Tensor | None = None) -> Scores:
        latent = self.latent(self.trunk(images).mean(dim=(2, 3))).relu()
        lengths = None if self.length is None else self.length(latent)
        hidden = latent.expand(self.lstm.num_layers, *latent.shape).contiguous()
        state = (hidden, torch.zeros_like(hidden))
        first = latent.new_zeros((latent.shape[0], 1, self.outputs.num_classes))
        if teacher is not None:
            given = F.one_hot(teacher[:, :-1], self.outputs.num_classes).to(latent.dtype)
            read, _ = self.lstm(torch.cat([first, given], dim=1), state)
            return Scores(self.characters(read), lengths)
        scores, step = [], first
        for _ in range(self.outputs.max_length):
            read, state = self.lstm(step, state)
            scores.append(self.characters(read))
            best = scores[-1].argmax(dim=-1)
            step = F.one_hot(best, self.outputs.num_classes).to(latent.dtype)
        return Scores(torch.cat(scores, dim=1), lengths)


@register("latent_bilstm")
class LatentBiLSTMReader(Reader):
    """Scores (N, max_length, num_classes) from one latent vector that a bidirectional LSTM is fed.

    Source: the README of the same repository ("feeds a 512-dimension latent vector to a
    bidirectional LSTM"), which its code is not. The latent is the input of every step. There is no
    teacher: what runs backwards over the characters would see each before it has to say it.

    hidden: size of the latent and of the LSTM, a direction.
    """

    layout: ClassVar[Literal["columns", "slots"]] = "slots"
    default_hidden: ClassVar[int] = 512

    def __init__(self, trunk: Trunk, outputs: Outputs, hidden: int, layers: int) -> None:
        super().__init__(trunk, outputs, hidden, layers)
        self.latent = nn.Linear(trunk.channels, hidden)
        self.lstm = nn.LSTM(hidden, hidden, layers, batch_first=True, bidirectional=True)
        self.characters = nn.Linear(2 * hidden, outputs.num_classes)
        self.length = length_head(hidden, outputs)

    def forward(self, images: Tensor, teacher: Tensor | None = None) -> Scores:
        latent = self.latent(self.trunk(images).mean(dim=(2, 3))).relu()
        read, _ = self.lstm(latent[:, None].expand(-1, self.outputs.max_length, -1))
        lengths = None if self.length is None else self.length(latent)
        return Scores(self.characters(read), lengths)
