"""A convolutional trunk made for two CPU cores."""

from __future__ import annotations

from torch import Tensor, nn

from models.trunks.base import register


class _Residual(nn.Module):
    """Two 3x3 convolutions around a shortcut (He et al., 2016)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *_conv(channels, channels),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
        )
        self.activation = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.activation(x + self.body(x))
        return out


def _conv(inside: int, outside: int) -> list[nn.Module]:
    return [
        nn.Conv2d(inside, outside, 3, padding=1, bias=False),
        nn.BatchNorm2d(outside),
        nn.ReLU(inplace=True),
    ]


@register("small_cnn")
def small_cnn(channels: int) -> nn.Sequential:
    """0.5 M parameters; strides 16 in height and 8 in width as built."""
    return nn.Sequential(
        nn.Conv2d(channels, 24, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(24),
        nn.ReLU(inplace=True),
        *_conv(24, 48),
        nn.MaxPool2d((2, 2)),
        _Residual(48),
        *_conv(48, 96),
        nn.MaxPool2d((2, 2)),
        _Residual(96),
        *_conv(96, 128),
        nn.MaxPool2d((2, 1)),
    )
