"""What our trunks are built of."""

from __future__ import annotations

from torch import Tensor, nn

# Variance of what an image is normalised by, where a pixel is 1/0.226 of a unit: an image whose
# deviation is below 0.02 of the range from black to white stays nearly empty.
_EPSILON = 0.01


class Residual(nn.Module):
    """Two 3x3 convolutions around a shortcut (He et al., 2016)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *convolution(channels, channels),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
        )
        self.activation = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.activation(x + self.body(x))
        return out


def convolution(inside: int, outside: int, stride: int = 1) -> list[nn.Module]:
    """A 3x3 convolution, normalised over the batch, and a ReLU."""
    return [
        nn.Conv2d(inside, outside, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(outside),
        nn.ReLU(inplace=True),
    ]


def even_contrast(channels: int) -> nn.Module:
    """Every image brought to one brightness and contrast: pencil is seen as ink is."""
    return nn.InstanceNorm2d(channels, eps=_EPSILON)
