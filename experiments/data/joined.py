"""Training images made of two: what is written in them stands side by side, and so do the labels.

Long numbers are rare among cells; two short ones make one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

_MARGIN = 3.0  # columns that are kept on either side of what is written
# How dark a column is at least for something to be written there, as a part of the darkest one.
_WRITTEN = 0.35
_LINE = 0.9  # the part of its height, without the margins, over which only a table's line is dark
# Among the characters that a charset may have, a number has these once at most.
_NUMBER = re.compile(r"-?[^-.,]*[.,]?[^-.,]*")


def joined(
    pixels: Tensor,
    texts: Sequence[str],
    share: float,
    fits: Callable[[str], bool],
    stream: torch.Generator,
) -> tuple[Tensor, list[str]]:
    """The images and their labels, of which about this share have another's text behind their own.

    An image whose text would not fit, or would be no number any more, stays as it is. Those given
    are left as they are.

    pixels: (N, C, H, W) uint8. fits: whether a text can be learnt. stream: decides all by chance.
    """
    count = len(texts)
    chosen = torch.rand(count, generator=stream) < share
    others = torch.randint(count, (count,), generator=stream)
    room = torch.rand(count, generator=stream)
    both = [text + texts[other] for text, other in zip(texts, others.tolist(), strict=True)]
    at = torch.tensor(
        [
            i
            for i in chosen.nonzero()[:, 0].tolist()
            if _NUMBER.fullmatch(both[i]) and fits(both[i])
        ],
        dtype=torch.int64,
    )
    pixels, texts = pixels.clone(), list(texts)
    pixels[at] = side_by_side(pixels[at], pixels[others[at]], room[at])
    for i in at.tolist():
        texts[i] = both[i]
    return pixels, texts


def side_by_side(first: Tensor, second: Tensor, room: Tensor) -> Tensor:
    """What is written in the first images, then what is written in the second, at the same size.

    Narrower where both together have no place. The second have the first one's paper.

    first, second: (N, C, H, W) uint8. room: (N,) in 0..1, the part of the room left over that is
    in front.
    """
    width = first.shape[3]
    left, one = _written(first)
    start, other = _written(second)
    both = one + other
    squeeze = (both / width).clamp(min=1)
    offset = room * (width - both / squeeze)
    # Where in the text, in columns of the originals, the middle of each new column is.
    columns = (torch.arange(width) + 0.5 - offset[:, None]) * squeeze[:, None]
    ahead = _columns(first, left[:, None] + columns)
    behind = _columns(second, start[:, None] + columns - one[:, None])
    lighter = _paper(first) - _paper(second)
    joined = torch.where((columns < one[:, None])[:, None, None], ahead, behind + lighter)
    return joined.round().clamp(0, 255).to(torch.uint8)


def _paper(images: Tensor) -> Tensor:
    """(N, C, 1, 1): the median of each image, float32."""
    return images.float().flatten(2).median(dim=2).values[..., None, None]


def _written(images: Tensor) -> tuple[Tensor, Tensor]:
    """(N,) where what is written begins, and how wide it is, in columns, with a margin.

    All of an image where nothing is found.
    """
    height, width = images.shape[2:]
    rows = slice(height // 8, height - height // 8)
    depth = (_paper(images) - images.float()).mean(dim=1)[:, rows]  # (N, H, W)
    dark = depth >= _WRITTEN * depth.amax(dim=(1, 2), keepdim=True)
    # The line of a table that runs from top to bottom is no character.
    share = dark.float().mean(dim=1)  # (N, W)
    written = (share > 0) & (share < _LINE)
    written |= ~written.any(dim=1, keepdim=True)
    places = torch.arange(width).expand_as(written)
    first = torch.where(written, places, width).amin(dim=1) - _MARGIN
    last = torch.where(written, places, -1).amax(dim=1) + 1 + _MARGIN
    first, last = first.clamp(min=0), last.clamp(max=width)
    return first, last - first


def _columns(images: Tensor, places: Tensor) -> Tensor:
    """(N, C, H, W) float32: at each place (N, W), in columns, the mean of the two next to it."""
    width = images.shape[3]
    centre = (places - 0.5).clamp(0, width - 1)
    low = centre.floor().long()
    weight = (centre - low)[:, None, None]
    values = images.float()

    def take(column: Tensor) -> Tensor:
        return values.gather(3, column.clamp(max=width - 1)[:, None, None].expand_as(values))

    return take(low) * (1 - weight) + take(low + 1) * weight
