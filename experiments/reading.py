"""A model reads images."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from losses import Objective, Reading
from models import Reader, Scores

BATCH = 256


def to_input(pixels: Tensor, device: torch.device) -> Tensor:
    """uint8 pixels (N, C, H, W) -> what models take: float32 in 0..1 on the device."""
    return pixels.to(device).float() / 255


def score(model: Reader, pixels: Tensor) -> Iterator[Scores]:
    """Scores, batch by batch of BATCH images, in evaluation mode."""
    was_training = model.training
    model.eval()
    device = next(model.parameters()).device
    with torch.inference_mode():
        for batch in torch.split(pixels, BATCH):
            yield model(to_input(batch, device))
    model.train(was_training)


def read(model: Reader, objective: Objective, pixels: Tensor) -> list[Reading]:
    """A reading of every image. pixels: (N, C, H, W) uint8."""
    return [r for scores in score(model, pixels) for r in objective.decode(scores.cpu())]


def label_losses(
    model: Reader, objective: Objective, pixels: Tensor, texts: list[str]
) -> list[float]:
    """The loss of each image's label by itself: how unlikely the model finds it."""
    losses: list[float] = []
    for batch in score(model, pixels):
        for i in range(len(batch.steps)):
            alone = Scores(*(None if s is None else s[i : i + 1].cpu() for s in batch))  # type: ignore[arg-type]
            target = objective.encode([texts[len(losses)]])
            losses.append(objective.loss(alone, target)["total"].item())
    return losses
