"""A trained model, from what its run kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from analysis.record import SETTINGS, WEIGHTS, read_object
from experiments.data.decode import decode
from experiments.errors import UserError
from experiments.settings.config import run_config
from experiments.settings.parts import ImageSize
from experiments.training.build import build
from experiments.training.inference import BATCH, read
from losses import Objective, Reading
from models import Reader


class Trained(NamedTuple):
    """A run's model, its objective and its image size."""

    model: Reader
    objective: Objective
    size: ImageSize

    def read(self, pixels: npt.NDArray[np.uint8]) -> list[Reading]:
        """A reading of every image. pixels: (N, C, H, W)."""
        return read(self.model, self.objective, torch.from_numpy(pixels))


def load_model(artifacts: Path) -> Trained:
    """The trained model of a run, from its weights and its settings. Raises UserError."""
    try:
        settings = read_object(artifacts / SETTINGS)
        # The weights come from the run, not from where its training began.
        config = run_config(settings, {"pretrained": "none"})
        model, objective = build(config)
        weights = load_file(artifacts / WEIGHTS)
        model.load_state_dict(weights)
    except (UserError, SafetensorError, RuntimeError, OSError, ValueError) as error:
        raise UserError(f"{artifacts}: cannot be loaded ({error}); train the run again") from error
    if not all(tensor.isfinite().all() for tensor in weights.values()):
        raise UserError(f"{artifacts / WEIGHTS}: not all of it are numbers; train the run again")
    return Trained(model.eval(), objective, config.image)


def read_images(trained: Trained, sources: Sequence[Path | bytes]) -> Iterator[Reading]:
    """Readings of image files, or of what is in them, in order. Raises UserError.

    Memory holds the pixels of one batch, however many images there are.
    """
    for start in range(0, len(sources), BATCH):
        batch = [pixels_of(source, trained.size) for source in sources[start : start + BATCH]]
        yield from read(trained.model, trained.objective, torch.stack(batch))


def pixels_of(source: Path | bytes, size: ImageSize) -> Tensor:
    """An image as a model of this size is trained on it: (C, H, W) uint8. Raises UserError."""
    decoded = decode(source, size.height, size.width, size.channels, size.pad)
    return torch.from_numpy(decoded.pixels.copy())
