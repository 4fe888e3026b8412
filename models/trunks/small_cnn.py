"""A convolutional trunk made for two CPU cores."""

from __future__ import annotations

from torch import nn

from models.trunks.base import register
from models.trunks.blocks import Residual, convolution


@register("small_cnn")
def small_cnn(channels: int) -> nn.Sequential:
    """0.5 M parameters; strides 16 in height and 8 in width as built."""
    return nn.Sequential(
        *convolution(channels, 24, stride=2),
        *convolution(24, 48),
        nn.MaxPool2d((2, 2)),
        Residual(48),
        *convolution(48, 96),
        nn.MaxPool2d((2, 2)),
        Residual(96),
        *convolution(96, 128),
        nn.MaxPool2d((2, 1)),
    )
