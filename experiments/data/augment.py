"""Augmentation of training batches: drawn independently for each image, applied to the batch."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from experiments.config import Affine

# Uniform numbers an image that an augmentation may use; the same for all, so that two settings
# that share a part draw the same values for it.
DRAWS = 6


def draw(count: int, generator: torch.Generator) -> Tensor:
    """(count, DRAWS) numbers in 0..1: the augmentation of every training image in one epoch."""
    return torch.rand((count, DRAWS), generator=generator)


def none(images: Tensor, draws: Tensor, ranges: Affine) -> Tensor:
    """The images as they are."""
    return images


def affine(images: Tensor, draws: Tensor, ranges: Affine) -> Tensor:
    """Rotation, translation, scale and shear about the centre, with the border repeated outside.

    images: (N, C, H, W). draws: (N, DRAWS) in 0..1. Returns (N, C, H, W).
    """
    _, _, height, width = images.shape
    # Pixels, not the -1..1 of the sampling grid, so that a rotation stays one in a flat cell.
    signed = draws * 2 - 1
    angle = signed[:, 0] * math.radians(ranges.degrees)
    shear = torch.tan(signed[:, 1] * math.radians(ranges.shear))
    low, high = ranges.scale
    scale = low + draws[:, 2] * (high - low)
    shift_x = signed[:, 3] * ranges.translate * width
    shift_y = signed[:, 4] * ranges.translate * height
    # Sampling needs the way back, from the output to the input: rotation and shear inverted.
    cos, sin = torch.cos(angle) / scale, torch.sin(angle) / scale
    a, b = cos + shear * sin, sin - shear * cos
    c, d = -sin, cos
    ratio = height / width
    theta = torch.stack(
        [
            torch.stack([a, b * ratio, -(a * shift_x + b * shift_y) * 2 / width], dim=1),
            torch.stack([c / ratio, d, -(c * shift_x + d * shift_y) * 2 / height], dim=1),
        ],
        dim=1,
    )
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)


AUGMENTATIONS: dict[str, Callable[[Tensor, Tensor, Affine], Tensor]] = {
    "none": none,
    "affine": affine,
}
