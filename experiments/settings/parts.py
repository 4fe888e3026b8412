"""What a run's settings are made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from experiments.data.augmentation import AUGMENTATIONS
from experiments.optimizers import OPTIMIZERS
from experiments.schema import Frozen

# Settings that are one of several kinds, each with settings of its own.
CHOICES: Mapping[str, Mapping[str, type[Frozen]]] = {
    "augmentation": AUGMENTATIONS,
    "optimizer": OPTIMIZERS,
}


class ImageSize(Frozen):
    """What the model sees: pixels, and 1 (grey) or 3 (RGB) channels.

    pad: black pixels above and below an image, before it is stretched to this size; the published
        system has 26, so that a cell of 60x34 is stretched less on its way to a square.
    """

    height: int = Field(32, ge=8, le=2048)
    width: int = Field(64, ge=8, le=2048)
    channels: Literal[1, 3] = 1
    pad: int = Field(0, ge=0, le=1000)


# What has keys of its own below its key, or below its name where it is one of several kinds.
PARTS: dict[str, type[Frozen]] = {
    "image": ImageSize,
    **AUGMENTATIONS,
    **OPTIMIZERS,
}
