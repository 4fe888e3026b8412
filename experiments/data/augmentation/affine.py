"""Rotation, translation, scale and shear about the centre, with the border repeated outside."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field, field_validator
from torch import Tensor

from experiments.data.augmentation.base import Augmentation, register
from experiments.schema import Fraction, Positive
from losses import Range


class Movement(Augmentation):
    """What moves an image as a whole; the defaults are the published ones.

    degrees, shear: up to this angle either way. translate: fraction of the side. scale: factors.
    """

    ranges: ClassVar[Mapping[str, Range]] = {
        "degrees": Range(0, 20),
        "translate": Range(0, 0.2),
        "shear": Range(0, 20),
    }
    parts: ClassVar[Mapping[str, int]] = {"affine": 5}
    moving: ClassVar[frozenset[str]] = frozenset({"affine"})

    degrees: float = Field(10, ge=0, le=180)
    translate: Fraction = 0.1
    scale: tuple[Positive, Positive] = (0.95, 1.1)
    shear: float = Field(3, ge=0, lt=90)

    @field_validator("scale")
    @classmethod
    def _lower_first(cls, scale: tuple[float, float]) -> tuple[float, float]:
        if scale[0] > scale[1]:
            raise ValueError("the lower factor comes first")
        return scale

    def grid(self, images: Tensor, draws: Tensor) -> Tensor:
        """(N, H, W, 2): where in the input each pixel of the output comes from, -1..1."""
        height, width = images.shape[2:]
        drawn = self.drawn("affine", draws, images)
        # Pixels, not the -1..1 of the sampling grid, so that a rotation stays one in a flat cell.
        signed = drawn * 2 - 1
        angle = signed[:, 0] * math.radians(self.degrees)
        shear = torch.tan(signed[:, 1] * math.radians(self.shear))
        low, high = self.scale
        scale = low + drawn[:, 2] * (high - low)
        shift_x = signed[:, 3] * self.translate * width
        shift_y = signed[:, 4] * self.translate * height
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
        return F.affine_grid(theta, list(images.shape), align_corners=False)


@register("affine")
class Affine(Movement):
    """The movement alone."""

    name: Literal["affine"] = "affine"

    def augment(self, images: Tensor, draws: Tensor) -> Tensor:
        """The images moved."""
        return sample(images, self.grid(images, draws))


def sample(images: Tensor, grid: Tensor) -> Tensor:
    """Images taken from where a grid (N, H, W, 2) says, the border repeated outside."""
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)
