"""Brightness: every pixel lighter or darker by the same amount."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from torch import Tensor

from experiments.data.augmentation.base import Augmentation, register
from experiments.schema import Fraction
from losses import Range


@register("template_augmentation")
class TemplateAugmentation(Augmentation):
    """All pixels of an image move by up to `brightness`, either way."""

    name: Literal["template_augmentation"] = "template_augmentation"
    brightness: Fraction = 0.2

    ranges: ClassVar[Mapping[str, Range]] = {"brightness": Range(0, 0.5)}
    # One number an image, from a random stream of this name.
    parts: ClassVar[Mapping[str, int]] = {"brightness": 1}

    def augment(self, images: Tensor, draws: Tensor) -> Tensor:
        """The images, lighter or darker."""
        drawn = self.drawn("brightness", draws, images) * 2 - 1
        return (images + self.brightness * drawn[:, :, None, None]).clamp(0, 1)
