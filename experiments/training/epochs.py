"""What a training is shown: the batches of an epoch, in the seed's order, and their labels."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import count
from typing import NamedTuple

import torch
from torch import Tensor
from torch.autograd.profiler import record_function

from experiments.data.images import Images
from experiments.data.joined import joined
from experiments.errors import UserError
from experiments.seeding import derive, generator
from experiments.settings.config import RunConfig
from experiments.training.build import learnable
from experiments.training.inference import to_input
from losses import Objective, Targets
from models import Reader


class Batch(NamedTuple):
    """Augmented images (N, C, H, W), float32 in 0..1 on the device, and their encoded labels.

    With two views of each image all first ones come first, then all second ones in the same order.
    """

    inputs: Tensor
    targets: Targets


class Epochs:
    """The epochs of a training. Seed and number decide all of one, so that it needs no past."""

    def __init__(
        self,
        config: RunConfig,
        images: Images,
        at: tuple[int, ...],
        model: Reader,
        objective: Objective,
        device: torch.device,
    ) -> None:
        """at: the images to learn from. model, objective: those that learn."""
        self._config, self._objective, self._device = config, objective, device
        self._pixels, self._texts = labelled(images, at)
        self._targets = objective.encode(self._texts)
        self._fits = learnable(config, model, objective)

    def batches(self, epoch: int) -> Iterator[Batch]:
        """The whole batches of an epoch; the rest waits for the next epoch's order."""
        config = self._config
        # Dropout draws from the global stream.
        torch.manual_seed(derive(config.seed, "dropout", epoch))
        pixels, targets = self._shown(epoch)
        order = torch.randperm(len(pixels), generator=generator(config.seed, "order", epoch))
        augmentation = config.augmentation
        draws = augmentation.draw(
            len(pixels), partial(generator, config.seed, "augmentation", epoch)
        )
        views = [draws]
        if config.consistency:
            others = augmentation.draw(
                len(pixels), partial(generator, config.seed, "second view", epoch)
            )
            views.append(augmentation.in_place_of(draws, others))
        for number in range(count_batches(config, len(pixels))):
            at = order[number * config.batch_size : (number + 1) * config.batch_size]
            with record_function("augmentation"):
                images = to_input(pixels[at], self._device)
                inputs = torch.cat([augmentation.augment(images, view[at]) for view in views])
            again = at.repeat(len(views))
            yield Batch(inputs, Targets(targets.classes[again], targets.lengths[again]))

    def without_end(self) -> Iterator[Batch]:
        """The batches of one epoch after the other."""
        for epoch in count():
            yield from self.batches(epoch)

    def _shown(self, epoch: int) -> tuple[Tensor, Targets]:
        """The images of an epoch, before augmentation, and their labels."""
        if not self._config.joined:
            return self._pixels, self._targets
        pixels, texts = joined(
            self._pixels,
            self._texts,
            self._config.joined,
            self._fits,
            generator(self._config.seed, "joined", epoch),
        )
        return pixels, self._objective.encode(texts)


def labelled(images: Images, at: tuple[int, ...]) -> tuple[Tensor, list[str]]:
    """The pixels and labels of a part of the images, which has labels."""
    return images.pixels[list(at)], [images.rows[i].label or "" for i in at]


def count_batches(config: RunConfig, images: int) -> int:
    """How many whole batches an epoch has. Raises UserError where there is none."""
    if images < config.batch_size:
        raise UserError(
            f"the training part has {images} images and a batch {config.batch_size}: "
            "add images or set batch_size"
        )
    return images // config.batch_size
