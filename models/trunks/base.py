"""What a trunk of our own is: layers that make feature maps of images, known by a name."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from models.plugins import Plugins

# Channels of the images (1 or 3) -> layers: images (N, channels, H, W), normalised, to feature maps
# (N, features, H', W'). Convolutions and pools only, so that their width strides can be taken away.
Layers = Callable[[int], nn.Module]

TRUNKS: Plugins[Layers] = Plugins("backbones")
register = TRUNKS.register
