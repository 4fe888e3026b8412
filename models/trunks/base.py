"""What a trunk of our own is: layers that make feature maps of images, known by a name."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from torch import nn

# Channels of the images (1 or 3) -> layers: images (N, channels, H, W), normalised, to feature maps
# (N, features, H', W'). Convolutions and pools only, so that their width strides can be taken away.
Layers = Callable[[int], nn.Module]

TRUNKS: dict[str, Layers] = {}

_Layers = TypeVar("_Layers", bound=Layers)


def register(name: str) -> Callable[[_Layers], _Layers]:
    """Make layers known as the backbone of this name."""

    def add(layers: _Layers) -> _Layers:
        if name in TRUNKS:
            raise ValueError(f"two backbones are called {name!r}")
        TRUNKS[name] = layers
        return layers

    return add
