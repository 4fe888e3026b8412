"""A part of a data set, and how much of it a reader reads right."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from experiments.data.images import Images
from experiments.deploy.reading.predict import BATCH, ImageReader
from experiments.training.epochs import labelled


class Part(NamedTuple):
    """Images and their labels. pixels: (N, C, H, W) uint8."""

    pixels: npt.NDArray[np.uint8]
    labels: Sequence[str]

    @classmethod
    def of(cls, images: Images, at: tuple[int, ...]) -> Part:
        """The images at these places, which have labels."""
        pixels, labels = labelled(images, at)
        return cls(pixels.numpy(), labels)

    def right(self, reader: ImageReader) -> npt.NDArray[np.bool_]:
        """(N,) whether the reader reads the label, every character of it."""
        texts = [
            text
            for start in range(0, len(self.pixels), BATCH)
            for text, *_ in reader.read(self.pixels[start : start + BATCH])
        ]
        return np.array([text == label for text, label in zip(texts, self.labels, strict=True)])
