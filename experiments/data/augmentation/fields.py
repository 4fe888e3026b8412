"""What augmentations have in common: places, smooth fields and noise."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def each(numbers: Tensor) -> Tensor:
    """(N,) as (N, 1, 1, 1): a number an image."""
    return numbers[:, None, None, None]


def places(images: Tensor) -> tuple[Tensor, Tensor]:
    """The middles of the pixels: (H, 1) from the top and (1, W) from the left."""
    height, width = images.shape[2:]
    down = torch.arange(height, device=images.device) + 0.5
    across = torch.arange(width, device=images.device) + 0.5
    return down[:, None], across[None, :]


def smooth(points: Tensor, images: Tensor) -> Tensor:
    """(N, K, h, w) numbers in 0..1 -> smooth fields (N, K, H, W) in -1..1 through all of them."""
    size = list(images.shape[2:])
    fields = F.interpolate(points * 2 - 1, size=size, mode="bicubic", align_corners=True)
    return fields.clamp(-1, 1)


def noise(images: Tensor, drawn: Tensor, strength: float) -> Tensor:
    """Normal noise, the same in all channels, in proportion to the image's own contrast: what
    black ink bears would drown faint pencil.

    images: (N, C, H, W) in 0..1. drawn: (N, 2), of each image its field and how much of it.
    strength: the most that the standard deviation is, as a fraction of the image's own.
    """
    # A stream an image, with all the bits that a uniform number has as its seed.
    fields = [
        torch.randn(images.shape[2:], generator=torch.Generator().manual_seed(int(u * 2**24)))
        for u in drawn[:, 0].tolist()
    ]
    deviation = images.std(dim=(1, 2, 3), keepdim=True) * each(strength * drawn[:, 1])
    return (images + deviation * torch.stack(fields)[:, None].to(images.device)).clamp(0, 1)
