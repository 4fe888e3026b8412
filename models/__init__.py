"""Models: images (N, C, H, W) in 0..1 -> scores (N, steps, classes), and those of auxiliary heads.

A model knows its classes only as a number: what they mean belongs to the loss.
"""

from __future__ import annotations

from typing import Literal

import torch

from models.backbones import BackboneError, backbone_names, build_trunk, refuse_transformers
from models.cost import Cost, count_parameters, measure
from models.decoders import DECODERS, Outputs, Reader, Scores
from models.trunks import TRUNKS

__all__ = [
    "DECODERS",
    "TRUNKS",
    "BackboneError",
    "Cost",
    "Outputs",
    "Reader",
    "Scores",
    "backbone_names",
    "build",
    "count_parameters",
    "count_steps",
    "default_decoder",
    "measure",
    "refuse_transformers",
]


def default_decoder(layout: str) -> str:
    """The decoder that has the layout's own name."""
    return next(n for n, reader in DECODERS.items() if n == reader.layout == layout)


def build(
    backbone: str,
    width_stride: int,
    decoder: str,
    outputs: Outputs,
    *,
    channels: int = 1,
    hidden: int | None = None,
    layers: int = 1,
    pretrained: Literal["none", "imagenet"] = "none",
) -> Reader:
    """A reader: the backbone's trunk under the decoder. Raises BackboneError.

    width_stride: how many pixels of the image's width one column of features stands for.
    channels: of the images, 1 or 3.
    hidden: the decoder's width; None for its default.
    layers: the decoder's LSTMs on top of each other.
    """
    trunk = build_trunk(backbone, width_stride, pretrained, channels)
    reader = DECODERS[decoder]
    return reader(trunk, outputs, hidden or reader.default_hidden, layers)


def count_steps(model: Reader, image_shape: tuple[int, int, int]) -> tuple[int, int]:
    """How many steps the scores have for images of this shape (C, H, W), and how many columns.

    The columns are those of the auxiliary column head, 0 without one.
    """
    was_training = model.training
    with torch.no_grad():
        scores: Scores = model.eval()(
            torch.zeros((1, *image_shape), device=next(model.parameters()).device)
        )
    model.train(was_training)
    columns = 0 if scores.columns is None else scores.columns.shape[1]
    return int(scores.steps.shape[1]), int(columns)
