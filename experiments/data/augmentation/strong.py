"""As affine, with elastic distortion, contrast, noise and an erased rectangle."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from experiments.data.augmentation.affine import Movement, sample
from experiments.data.augmentation.base import register
from experiments.data.augmentation.fields import each, noise, places, smooth
from experiments.schema import Fraction
from losses import Range

_MESH = (4, 7)  # points of an elastic displacement, down and across


@register("strong")
class Strong(Movement):
    """A movement, and what comes on top.

    elastic: displacement of the points of a coarse mesh, either way, as a fraction of the height.
    contrast: change of the distance from the mean, either way, as a fraction.
    noise: standard deviation, as a fraction of the image's own.
    erasing: area of a rectangle in every second image, from half of this to this, as a fraction.
    """

    ranges: ClassVar[Mapping[str, Range]] = {
        **Movement.ranges,
        "elastic": Range(0, 0.1),
        "contrast": Range(0, 0.8),
        "noise": Range(0, 0.8),
        "erasing": Range(0, 0.1),
    }
    parts: ClassVar[Mapping[str, int]] = {
        **Movement.parts,
        "elastic": 2 * math.prod(_MESH),
        "contrast": 1,
        "noise": 2,
        "erasing": 5,
    }

    moving: ClassVar[frozenset[str]] = Movement.moving | {"elastic"}

    name: Literal["strong"] = "strong"
    elastic: float = Field(0.05, ge=0, le=0.2)
    contrast: Fraction = 0.4
    noise: Fraction = 0.4
    erasing: Fraction = 0.03

    def augment(self, images: Tensor, draws: Tensor) -> Tensor:
        """The images moved, bent, and then with other greys."""
        elastic, contrast, grain, erasing = (
            self.drawn(part, draws, images) for part in ("elastic", "contrast", "noise", "erasing")
        )
        grid = self.grid(images, draws) + _elastic(images, elastic, self.elastic)
        images = _contrast(sample(images, grid), contrast, self.contrast)
        return _erase(noise(images, grain, self.noise), erasing, self.erasing)


def _elastic(images: Tensor, drawn: Tensor, strength: float) -> Tensor:
    """(N, H, W, 2): a smooth displacement to add to a sampling grid."""
    height, width = images.shape[2:]
    points = drawn.reshape(-1, 2, *_MESH)
    pixels = smooth(points, images) * strength * height
    return torch.stack([pixels[:, 0] * 2 / width, pixels[:, 1] * 2 / height], dim=3)


def _contrast(images: Tensor, drawn: Tensor, strength: float) -> Tensor:
    """Every pixel further from the image's mean, or nearer."""
    factor = 1 + strength * (2 * drawn - 1)
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    return (mean + each(factor[:, 0]) * (images - mean)).clamp(0, 1)


def _erase(images: Tensor, drawn: Tensor, strength: float) -> Tensor:
    """In every second image a rectangle in one grey between its darkest and lightest (arXiv
    1708.04896).
    """
    height, width = images.shape[2:]
    area, aspect, top, left, grey = drawn.unbind(dim=1)
    # None of less than half the area: a small one could be taken for a point.
    side = torch.sqrt(torch.where(area < 0.5, 0, area) * strength * height * width)
    stretch = 2 ** (aspect - 0.5)  # up to twice as high as wide, or as wide as high
    tall = (side * stretch).floor().clamp(max=height)
    wide = (side / stretch).floor().clamp(max=width)
    down, across = places(images)
    from_top = down - each((top * (height - tall + 1)).floor())
    from_left = across - each((left * (width - wide + 1)).floor())
    inside = (from_top > 0) & (from_top < each(tall)) & (from_left > 0) & (from_left < each(wide))
    low, high = images.amin(dim=(1, 2, 3)), images.amax(dim=(1, 2, 3))
    return torch.where(inside, each(low + grey * (high - low)), images)
