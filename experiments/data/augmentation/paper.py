"""What pen, paper and scanner do: faded ink, grain, ruled lines, uneven light, blur, JPEG."""

from __future__ import annotations

import math
from collections.abc import Mapping
from io import BytesIO
from typing import ClassVar, Literal

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from pydantic import Field
from torch import Tensor

from experiments.data.augmentation.base import Augmentation, register
from experiments.data.augmentation.fields import each, noise, places, smooth
from experiments.schema import Fraction
from losses import Range

_FIELD = (2, 3)  # points of uneven light or fading
_LINES = 3


@register("paper")
class Paper(Augmentation):
    """Each part from nothing up to its strength.

    fading: how much of its difference from the paper the ink loses.
    lines: darkness of borders and rules. light: depth of a shadow, as a fraction.
    blur: standard deviation, as a fraction of the height.
    noise: standard deviation, as a fraction of the image's own.
    jpeg: points of quality lost, of 100.
    """

    ranges: ClassVar[Mapping[str, Range]] = {
        "fading": Range(0, 0.9),
        "lines": Range(0, 1),
        "light": Range(0, 0.8),
        "blur": Range(0, 0.05),
        "noise": Range(0, 0.8),
    }
    parts: ClassVar[Mapping[str, int]] = {
        "fading": 1 + math.prod(_FIELD),
        "noise": 2,
        "lines": 3 * _LINES,
        "light": 1 + math.prod(_FIELD),
        "blur": 1,
        "jpeg": 1,
    }

    name: Literal["paper"] = "paper"
    fading: Fraction = 0.5
    lines: Fraction = 0.5
    light: Fraction = 0.4
    blur: float = Field(0.025, ge=0, le=0.2)
    noise: Fraction = 0.4
    jpeg: int = Field(50, ge=0, le=99)

    def augment(self, images: Tensor, draws: Tensor) -> Tensor:
        """The images as worse paper and a worse scanner would give them."""
        fading, grain, lines, light, blur, jpeg = (
            self.drawn(part, draws, images) for part in self.parts
        )
        images = _fade(images, fading, self.fading)
        # Before the lines, which are no measure of how much noise the ink bears.
        images = noise(images, grain, self.noise)
        images = _rule(images, lines, self.lines)
        images = _light(images, light, self.light)
        return _jpeg(_blur(images, blur, self.blur), jpeg, self.jpeg)


def _patches(drawn: Tensor, images: Tensor) -> Tensor:
    """(N, 1, H, W) in 0..1, smooth: in each image up to a height of its own."""
    fields = smooth(drawn[:, 1:].reshape(-1, 1, *_FIELD), images)
    return each(drawn[:, 0]) * (fields + 1) / 2


def _fade(images: Tensor, drawn: Tensor, strength: float) -> Tensor:
    """What is darker than paper comes nearer to it, more in some places than in others."""
    amount = strength * _patches(drawn, images)
    # Ink covers less than half of a cell.
    level = images.flatten(2).median(dim=2).values[:, :, None, None]
    return images + amount * (level - images).clamp(min=0)


def _rule(images: Tensor, drawn: Tensor, strength: float) -> Tensor:
    """Dark lines: a border above or below, one left or right, and a paler rule anywhere."""
    height, width = images.shape[2:]
    place, tilt, darkness = drawn.reshape(-1, _LINES, 3).unbind(dim=2)
    tilt = 0.03 * (2 * tilt - 1)
    # The outer tenth of either side.
    border = torch.where(place < 0.5, 0.2 * place, 0.8 + 0.2 * place)
    down, across = places(images)
    right, below = across - width / 2, down - height / 2
    distances = (
        down - each(border[:, 0] * height) + each(tilt[:, 0]) * right,
        across - each(border[:, 1] * width) + each(tilt[:, 1]) * below,
        down - each(place[:, 2] * height) + each(tilt[:, 2]) * right,
    )
    thickness = height / 34  # a pixel of the published cells
    for i, (distance, share) in enumerate(zip(distances, (1, 1, 0.3), strict=True)):
        cover = (thickness / 2 + 0.5 - distance.abs()).clamp(0, 1)
        images = images * (1 - cover * each(strength * share * darkness[:, i]))
    return images


def _light(images: Tensor, drawn: Tensor, strength: float) -> Tensor:
    """A shadow, deeper in some places than in others."""
    return images * (1 - strength * _patches(drawn, images))


def _blur(images: Tensor, drawn: Tensor, strength: float) -> Tensor:
    """Gaussian blur, cut off at three of the largest deviations, with the border repeated."""
    count, channels, height, width = images.shape
    # At the least a deviation so small that a pixel has no neighbour.
    deviation = (drawn * strength * height).clamp(min=1e-3)
    radius = math.ceil(3 * strength * height)
    at = torch.arange(-radius, radius + 1, device=images.device)
    weights = F.softmax(-((at / deviation) ** 2) / 2, dim=1)
    kernels = weights.repeat_interleave(channels, dim=0)[:, None, None]  # (N * C, 1, 1, K)
    planes = F.pad(images.reshape(1, -1, height, width), [radius] * 4, mode="replicate")
    planes = F.conv2d(planes, kernels, groups=count * channels)
    planes = F.conv2d(planes, kernels.mT, groups=count * channels)
    return planes.reshape(images.shape)


def _jpeg(images: Tensor, drawn: Tensor, strength: int) -> Tensor:
    """Written as JPEG and read again; those that lose no quality stay as they are."""
    losses = (drawn[:, 0] * strength).round().int().tolist()
    pixels = (images * 255).round().byte().cpu().numpy()
    read = [
        _coded(image, 100 - loss) if loss else image
        for image, loss in zip(pixels, losses, strict=True)
    ]
    lossy = torch.tensor(losses, device=images.device) > 0
    decoded = torch.from_numpy(np.stack(read)).to(images.device)
    return torch.where(each(lossy), decoded / 255, images)


def _coded(pixels: np.ndarray, quality: int) -> np.ndarray:
    """(C, H, W) uint8 as JPEG gives it back; C is 1 or 3."""
    file = BytesIO()
    # Pillow wants grey without an axis of channels, and colours in the last one.
    drawn = pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0)
    Image.fromarray(drawn).save(file, format="JPEG", quality=quality)
    with Image.open(file) as image:
        return np.asarray(image).reshape(*pixels.shape[1:], len(pixels)).transpose(2, 0, 1)
