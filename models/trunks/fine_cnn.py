"""A trunk that sees points two pixels wide, in pencil as in ink, for two CPU cores."""

from __future__ import annotations

from torch import nn

from models.trunks.base import register
from models.trunks.blocks import Residual, convolution

# Variance of what an image is normalised by, where a pixel is 1/0.226 of a unit: an image whose
# deviation is below 0.02 of the range from black to white stays nearly empty.
_EPSILON = 0.01


@register("fine_cnn")
def fine_cnn(channels: int) -> nn.Sequential:
    """As small_cnn, with three changes.

    Every image is brought to one brightness and contrast first. The first layer answers at every
    pixel, where small_cnn's answers at every other one: in cells of 60x34 pixels a decimal point is
    two pixels wide; the layers that see most places are narrower instead. The last layer reads
    windows of four rows at an eighth of the height, where small_cnn has another 3x3 convolution and
    takes the maximum of two: what stands above what is kept, as with the rows at an eighth in
    SVTRv2 (arXiv:2411.15858).

    0.27 M parameters; strides 16 in height and 8 in width as built.
    """
    return nn.Sequential(
        nn.InstanceNorm2d(channels, eps=_EPSILON),
        *convolution(channels, 16),
        *convolution(16, 32, stride=2),
        nn.MaxPool2d((2, 2)),
        Residual(32),
        *convolution(32, 96),
        nn.MaxPool2d((2, 2)),
        Residual(96),
        nn.Conv2d(96, 128, (4, 1), stride=(2, 1), padding=(1, 0), bias=False),
        nn.BatchNorm2d(128),
        nn.ReLU(inplace=True),
    )
