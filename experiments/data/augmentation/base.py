"""The contract of an augmentation: how strong it is, what it draws, and what it does to images."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import ClassVar

import torch
from torch import Tensor

from experiments.schema import Frozen, has_its_name
from losses import Range
from losses.plugins import Plugins


class Augmentation(Frozen, ABC):
    """What is done to training images. The fields of a subclass are its strengths, with defaults.

    name: that under which it is registered.
    """

    name: str

    # The strengths that a search tries, and from where to where.
    ranges: ClassVar[Mapping[str, Range]] = {}
    # How many uniform numbers an image each part of it uses. Each part has a random stream of its
    # own, named by it: whatever else there is, it draws what it draws, and augmentations that share
    # a part draw the same for it.
    parts: ClassVar[Mapping[str, int]] = {}
    # The parts that move what is written: they are the same in two views of an image, so that a
    # column of features stands for the same place in both.
    moving: ClassVar[frozenset[str]] = frozenset()

    @abstractmethod
    def augment(self, images: Tensor, draws: Tensor) -> Tensor:
        """Other images of the same shape; those given are left as they are.

        images: (N, C, H, W) in 0..1. draws: (N, D) in 0..1, as of `draw`.
        """

    def draw(self, count: int, stream: Callable[[str], torch.Generator]) -> Tensor:
        """(count, D) numbers in 0..1 for so many images.

        stream: the name of a part -> where its numbers come from.
        """
        parts = [torch.rand((count, n), generator=stream(p)) for p, n in self.parts.items()]
        return torch.cat([torch.empty((count, 0)), *parts], dim=1)

    def in_place_of(self, draws: Tensor, others: Tensor) -> Tensor:
        """Other draws (N, D), but with what is written where those given have it."""
        sizes = list(self.parts.values())
        both = (torch.split(each, sizes, dim=1) for each in (draws, others))
        pairs = zip(self.parts, *both, strict=True)
        kept = [old if part in self.moving else new for part, old, new in pairs]
        return torch.cat([torch.empty((len(draws), 0)), *kept], dim=1)

    def drawn(self, part: str, draws: Tensor, images: Tensor) -> Tensor:
        """(N, size) numbers of a part, where the images are."""
        of_parts = torch.split(draws, list(self.parts.values()), dim=1)
        return dict(zip(self.parts, of_parts, strict=True))[part].to(images.device)


AUGMENTATIONS: Plugins[type[Augmentation]] = Plugins("augmentations", check=has_its_name)
register = AUGMENTATIONS.register
