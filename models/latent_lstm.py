"""The published decoder: the whole image as one latent vector, unrolled by an LSTM."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.backbones import Trunk
from models.reader import Outputs, Reader, length_head


class LatentLSTMReader(Reader):
    """Scores (N, max_length, num_classes) from one latent vector an image.

    The features' average goes through a linear layer and a ReLU to the latent, which is the LSTM's
    first hidden state; its cell and its first input are zero. Each step is given the one-hot class
    of the step before: the teacher's where there is one, else its own best (greedy).

    Source: github.com/mochangheng/crnn-crossentropy-pytorch, 2019; one-directional as in its code.

    hidden: size of the latent and of the LSTM.
    """

    layout: ClassVar[Literal["columns", "slots"]] = "slots"
    default_hidden: ClassVar[int] = 512

    def __init__(self, trunk: Trunk, outputs: Outputs, hidden: int) -> None:
        super().__init__(trunk, outputs, hidden)
        self.latent = nn.Linear(trunk.channels, hidden)
        self.lstm = nn.LSTM(outputs.num_classes, hidden, batch_first=True)
        self.characters = nn.Linear(hidden, outputs.num_classes)
        self.length = length_head(hidden, outputs.length_classes)

    def forward(
        self, images: Tensor, teacher: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        latent = self.latent(self.trunk(images).mean(dim=(2, 3))).relu()
        lengths = None if self.length is None else self.length(latent)
        state = (latent[None].contiguous(), torch.zeros_like(latent)[None])
        first = latent.new_zeros((len(latent), 1, self.outputs.num_classes))
        if teacher is not None:
            given = F.one_hot(teacher[:, :-1], self.outputs.num_classes).to(latent.dtype)
            hidden, _ = self.lstm(torch.cat([first, given], dim=1), state)
            return self.characters(hidden), lengths
        scores, step = [], first
        for _ in range(self.outputs.max_length):
            hidden, state = self.lstm(step, state)
            scores.append(self.characters(hidden))
            best = scores[-1].argmax(dim=-1)
            step = F.one_hot(best, self.outputs.num_classes).to(latent.dtype)
        return torch.cat(scores, dim=1), lengths
