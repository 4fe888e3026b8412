"""Augmentation of training images: an image's own draws decide all that happens to it.

Nothing is drawn from a global stream, and nothing depends on the other images of a batch. Paper is
taken to be lighter than ink. Batched torch and Pillow's JPEG: torchvision's transforms draw once a
call, kornia's for a whole batch from the global stream, with a slower JPEG for colours alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from io import BytesIO

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from experiments.data.strengths import Affine
from experiments.settings.config import RunConfig

# Uniform numbers an image that each part may use; settings that share a part draw the same values
# for it. A new part comes last, so that those before it go on to draw what they drew.
_MESH = (4, 7)  # points of an elastic displacement, down and across
_FIELD = (2, 3)  # points of uneven light or fading
_LINES = 3
_PARTS = {
    "affine": 6,
    "elastic": 2 * math.prod(_MESH),
    "contrast": 1,
    "noise": 2,
    "erasing": 5,
    "fading": 1 + math.prod(_FIELD),
    "lines": 3 * _LINES,
    "light": 1 + math.prod(_FIELD),
    "blur": 1,
    "jpeg": 1,
}
DRAWS = sum(_PARTS.values())


def draw(count: int, generator: torch.Generator) -> Tensor:
    """(count, DRAWS) numbers in 0..1: the augmentation of every training image in one epoch."""
    parts = [torch.rand((count, size), generator=generator) for size in _PARTS.values()]
    return torch.cat(parts, dim=1)


def none(images: Tensor, draws: Tensor, config: RunConfig) -> Tensor:
    """The images as they are."""
    return images


def affine(images: Tensor, draws: Tensor, config: RunConfig) -> Tensor:
    """Rotation, translation, scale and shear about the centre, with the border repeated outside.

    images: (N, C, H, W). draws: (N, DRAWS) in 0..1. Returns (N, C, H, W).
    """
    return _sample(images, _affine_grid(images, draws, config.affine))


def strong(images: Tensor, draws: Tensor, config: RunConfig) -> Tensor:
    """As affine, with elastic distortion, contrast, noise and an erased rectangle.

    images: (N, C, H, W) in 0..1. draws: (N, DRAWS) in 0..1. Returns (N, C, H, W) in 0..1.
    """
    strengths = config.strong
    grid = _affine_grid(images, draws, strengths) + _elastic(images, draws, strengths.elastic)
    images = _contrast(_sample(images, grid), draws, strengths.contrast)
    return _erase(_noise(images, draws, strengths.noise), draws, strengths.erasing)


def paper(images: Tensor, draws: Tensor, config: RunConfig) -> Tensor:
    """What pen, paper and scanner do: faded ink, grain, ruled lines, uneven light, blur, JPEG.

    images: (N, C, H, W) in 0..1. draws: (N, DRAWS) in 0..1. Returns (N, C, H, W) in 0..1.
    """
    strengths = config.paper
    images = _fade(images, draws, strengths.fading)
    # Before the lines, which are no measure of how much noise the ink bears.
    images = _noise(images, draws, strengths.noise)
    images = _rule(images, draws, strengths.lines)
    images = _light(images, draws, strengths.light)
    return _jpeg(_blur(images, draws, strengths.blur), draws, strengths.jpeg)


AUGMENTATIONS: dict[str, Callable[[Tensor, Tensor, RunConfig], Tensor]] = {
    "none": none,
    "affine": affine,
    "strong": strong,
    "paper": paper,
}


def _drawn(part: str, draws: Tensor, images: Tensor) -> Tensor:
    """(N, size) numbers of a part, where the images are."""
    by_part = dict(zip(_PARTS, torch.split(draws, list(_PARTS.values()), dim=1), strict=True))
    return by_part[part].to(images.device)


def _each(numbers: Tensor) -> Tensor:
    """(N,) as (N, 1, 1, 1): a number an image."""
    return numbers[:, None, None, None]


def _places(images: Tensor) -> tuple[Tensor, Tensor]:
    """The middles of the pixels: (H, 1) from the top and (1, W) from the left."""
    height, width = images.shape[2:]
    down = torch.arange(height, device=images.device) + 0.5
    across = torch.arange(width, device=images.device) + 0.5
    return down[:, None], across[None, :]


def _smooth(points: Tensor, images: Tensor) -> Tensor:
    """(N, K, h, w) numbers in 0..1 -> smooth fields (N, K, H, W) in -1..1 through all of them."""
    size = list(images.shape[2:])
    fields = F.interpolate(points * 2 - 1, size=size, mode="bicubic", align_corners=True)
    return fields.clamp(-1, 1)


def _patches(part: str, draws: Tensor, images: Tensor) -> Tensor:
    """(N, 1, H, W) in 0..1, smooth: in each image up to a height of its own."""
    drawn = _drawn(part, draws, images)
    fields = _smooth(drawn[:, 1:].reshape(-1, 1, *_FIELD), images)
    return _each(drawn[:, 0]) * (fields + 1) / 2


def _affine_grid(images: Tensor, draws: Tensor, ranges: Affine) -> Tensor:
    """(N, H, W, 2): where in the input each pixel of the output comes from, -1..1."""
    height, width = images.shape[2:]
    drawn = _drawn("affine", draws, images)
    # Pixels, not the -1..1 of the sampling grid, so that a rotation stays one in a flat cell.
    signed = drawn * 2 - 1
    angle = signed[:, 0] * math.radians(ranges.degrees)
    shear = torch.tan(signed[:, 1] * math.radians(ranges.shear))
    low, high = ranges.scale
    scale = low + drawn[:, 2] * (high - low)
    shift_x = signed[:, 3] * ranges.translate * width
    shift_y = signed[:, 4] * ranges.translate * height
    # Sampling needs the way back, from the output to the input: rotation and shear inverted.
    cos, sin = torch.cos(angle) / scale, torch.sin(angle) / scale
    a, b = cos + shear * sin, sin - shear * cos
    c, d = -sin, cos
    ratio = height / width
    theta = torch.stack(
        [
            torch.stack([a, b * ratio, -(a * shift_x + b * shift_y) * 2 / width], dim=1),
            torch.stack([c / ratio, d, -(c * shift_x + d * shift_y) * 2 / height], dim=1),
        ],
        dim=1,
    )
    return F.affine_grid(theta, list(images.shape), align_corners=False)


def _elastic(images: Tensor, draws: Tensor, strength: float) -> Tensor:
    """(N, H, W, 2): a smooth displacement to add to a sampling grid."""
    height, width = images.shape[2:]
    points = _drawn("elastic", draws, images).reshape(-1, 2, *_MESH)
    pixels = _smooth(points, images) * strength * height
    return torch.stack([pixels[:, 0] * 2 / width, pixels[:, 1] * 2 / height], dim=3)


def _sample(images: Tensor, grid: Tensor) -> Tensor:
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)


def _contrast(images: Tensor, draws: Tensor, strength: float) -> Tensor:
    """Every pixel further from the image's mean, or nearer."""
    factor = 1 + strength * (2 * _drawn("contrast", draws, images) - 1)
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    return (mean + _each(factor[:, 0]) * (images - mean)).clamp(0, 1)


def _noise(images: Tensor, draws: Tensor, strength: float) -> Tensor:
    """Normal noise, the same in all channels, in proportion to the image's own contrast: what
    black ink bears would drown faint pencil.
    """
    drawn = _drawn("noise", draws, images)
    # A stream an image, with all the bits that a uniform number has as its seed.
    fields = [
        torch.randn(images.shape[2:], generator=torch.Generator().manual_seed(int(u * 2**24)))
        for u in drawn[:, 0].tolist()
    ]
    deviation = images.std(dim=(1, 2, 3), keepdim=True) * _each(strength * drawn[:, 1])
    return (images + deviation * torch.stack(fields)[:, None].to(images.device)).clamp(0, 1)


def _erase(images: Tensor, draws: Tensor, strength: float) -> Tensor:
    """In every second image a rectangle in one grey between its darkest and lightest (arXiv
    1708.04896).
    """
    height, width = images.shape[2:]
    area, aspect, top, left, grey = _drawn("erasing", draws, images).unbind(dim=1)
    # None of less than half the area: a small one could be taken for a point.
    side = torch.sqrt(torch.where(area < 0.5, 0, area) * strength * height * width)
    stretch = 2 ** (aspect - 0.5)  # up to twice as high as wide, or as wide as high
    tall = (side * stretch).floor().clamp(max=height)
    wide = (side / stretch).floor().clamp(max=width)
    down, across = _places(images)
    from_top = down - _each((top * (height - tall + 1)).floor())
    from_left = across - _each((left * (width - wide + 1)).floor())
    inside = (from_top > 0) & (from_top < _each(tall)) & (from_left > 0) & (from_left < _each(wide))
    low, high = images.amin(dim=(1, 2, 3)), images.amax(dim=(1, 2, 3))
    return torch.where(inside, _each(low + grey * (high - low)), images)


def _fade(images: Tensor, draws: Tensor, strength: float) -> Tensor:
    """What is darker than paper comes nearer to it, more in some places than in others."""
    amount = strength * _patches("fading", draws, images)
    # Ink covers less than half of a cell.
    level = images.flatten(2).median(dim=2).values[:, :, None, None]
    return images + amount * (level - images).clamp(min=0)


def _rule(images: Tensor, draws: Tensor, strength: float) -> Tensor:
    """Dark lines: a border above or below, one left or right, and a paler rule anywhere."""
    height, width = images.shape[2:]
    drawn = _drawn("lines", draws, images).reshape(-1, _LINES, 3)
    place, tilt, darkness = drawn[:, :, 0], 0.03 * (2 * drawn[:, :, 1] - 1), drawn[:, :, 2]
    # The outer tenth of either side.
    border = torch.where(place < 0.5, 0.2 * place, 0.8 + 0.2 * place)
    down, across = _places(images)
    right, below = across - width / 2, down - height / 2
    distances = (
        down - _each(border[:, 0] * height) + _each(tilt[:, 0]) * right,
        across - _each(border[:, 1] * width) + _each(tilt[:, 1]) * below,
        down - _each(place[:, 2] * height) + _each(tilt[:, 2]) * right,
    )
    thickness = height / 34  # a pixel of the published cells
    for i, (distance, share) in enumerate(zip(distances, (1, 1, 0.3), strict=True)):
        cover = (thickness / 2 + 0.5 - distance.abs()).clamp(0, 1)
        images = images * (1 - cover * _each(strength * share * darkness[:, i]))
    return images


def _light(images: Tensor, draws: Tensor, strength: float) -> Tensor:
    """A shadow, deeper in some places than in others."""
    return images * (1 - strength * _patches("light", draws, images))


def _blur(images: Tensor, draws: Tensor, strength: float) -> Tensor:
    """Gaussian blur, cut off at three of the largest deviations, with the border repeated."""
    count, channels, height, width = images.shape
    # At the least a deviation so small that a pixel has no neighbour.
    deviation = (_drawn("blur", draws, images) * strength * height).clamp(min=1e-3)
    radius = math.ceil(3 * strength * height)
    at = torch.arange(-radius, radius + 1, device=images.device)
    weights = F.softmax(-((at / deviation) ** 2) / 2, dim=1)
    kernels = weights.repeat_interleave(channels, dim=0)[:, None, None]  # (N * C, 1, 1, K)
    planes = F.pad(images.reshape(1, -1, height, width), [radius] * 4, mode="replicate")
    planes = F.conv2d(planes, kernels, groups=count * channels)
    planes = F.conv2d(planes, kernels.mT, groups=count * channels)
    return planes.reshape(images.shape)


def _jpeg(images: Tensor, draws: Tensor, strength: int) -> Tensor:
    """Written as JPEG and read again; those that lose no quality stay as they are."""
    losses = (_drawn("jpeg", draws, images)[:, 0] * strength).round().int().tolist()
    pixels = (images * 255).round().byte().cpu().numpy()
    read = [
        _coded(image, 100 - loss) if loss else image
        for image, loss in zip(pixels, losses, strict=True)
    ]
    lossy = torch.tensor(losses, device=images.device) > 0
    decoded = torch.from_numpy(np.stack(read)).to(images.device)
    return torch.where(_each(lossy), decoded / 255, images)


def _coded(pixels: np.ndarray, quality: int) -> np.ndarray:
    """(C, H, W) uint8 as JPEG gives it back; C is 1 or 3."""
    file = BytesIO()
    # Pillow wants grey without an axis of channels, and colours in the last one.
    drawn = pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0)
    Image.fromarray(drawn).save(file, format="JPEG", quality=quality)
    with Image.open(file) as image:
        return np.asarray(image).reshape(*pixels.shape[1:], len(pixels)).transpose(2, 0, 1)
