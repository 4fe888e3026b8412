"""A model reads images."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from analysis.metrics import exact_match
from losses import Objective, Reading, Targets
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


def validate(
    model: Reader, objective: Objective, pixels: Tensor, texts: list[str]
) -> dict[str, float]:
    """The mean loss and the exact match on images with these labels."""
    targets = objective.encode(texts)
    readings: list[Reading] = []
    total = 0.0
    for scores in score(model, pixels):
        at = slice(len(readings), len(readings) + len(scores.steps))
        batch = Targets(targets.classes[at], targets.lengths[at])
        total += objective.loss(scores, batch)["total"].item() * len(scores.steps)
        readings += objective.decode(scores.cpu())
    exact = exact_match(texts, [reading.text for reading in readings])
    return {"val.loss": total / len(texts), "val.exact_match": exact}


def label_losses(
    model: Reader, objective: Objective, pixels: Tensor, texts: list[str]
) -> list[float]:
    """-log P(label) of each image, natural logarithm: how unlikely the model finds its label.

    A decoder that reads its own output is given the label; infinite for one it can never emit.
    """
    losses: list[float] = []
    device = next(model.parameters()).device
    with torch.inference_mode():
        for images in torch.split(pixels, BATCH):
            labels = texts[len(losses) : len(losses) + len(images)]
            teacher = objective.encode(labels).classes.to(device)
            scores = model.eval()(to_input(images, device), teacher)
            losses += (-objective.log_probability(scores.cpu(), labels)).tolist()
    return losses
