"""Three strided convolutions."""

from __future__ import annotations

from torch import nn

from models.trunks.base import register
from models.trunks.blocks import convolution


@register("template_backbone")
def template_backbone(channels: int) -> nn.Sequential:
    """24,000 parameters; strides 8 in height and width as built."""
    return nn.Sequential(
        *convolution(channels, 16, stride=2),
        *convolution(16, 32, stride=2),
        *convolution(32, 64, stride=2),
    )
