"""The trunk of CRNN, the classic of text recognition (Shi et al., arXiv:1507.05717)."""

from __future__ import annotations

from torch import nn

from models.trunks.base import register


@register("crnn")
def crnn(channels: int) -> nn.Sequential:
    """Table 1 of the paper: seven convolutions, two of them normalised, a ReLU behind each.

    5.6 M parameters; strides 16 in height and 4 in width: the last two pools are 2 high and 1 wide,
    for narrow characters. An image of 32x100 gives 1x25 features. (The paper's last convolution is
    unpadded and leaves 24, its authors' code pads and has 26; here no trunk loses columns.)
    The whole net is this under decoder=columns with hidden=256 and layers=2. The paper's
    images are grey.
    """
    return nn.Sequential(
        *_conv(channels, 64),
        nn.MaxPool2d(2),
        *_conv(64, 128),
        nn.MaxPool2d(2),
        *_conv(128, 256),
        *_conv(256, 256),
        nn.MaxPool2d((2, 1)),
        *_conv(256, 512, normalise=True),
        *_conv(512, 512, normalise=True),
        nn.MaxPool2d((2, 1)),
        nn.Conv2d(512, 512, 2),
        nn.ReLU(inplace=True),
    )


def _conv(inside: int, outside: int, normalise: bool = False) -> list[nn.Module]:
    layers: list[nn.Module] = [nn.Conv2d(inside, outside, 3, padding=1)]
    if normalise:
        layers.append(nn.BatchNorm2d(outside))
    return [*layers, nn.ReLU(inplace=True)]
