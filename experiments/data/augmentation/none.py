"""No augmentation."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from experiments.data.augmentation.base import Augmentation, register


@register("none")
class Nothing(Augmentation):
    """The images as they are."""

    name: Literal["none"] = "none"

    def augment(self, images: Tensor, draws: Tensor) -> Tensor:  # noqa: ARG002
        """The images themselves."""
        return images
