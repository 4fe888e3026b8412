"""Several trained models that read as one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from analysis.record import SETTINGS, read_object
from experiments.deploy.model import load_model
from experiments.deploy.reading.formats import parse_format
from experiments.deploy.reading.voting import Member, read_together
from experiments.errors import UserError
from experiments.settings.config import RunConfig, run_config
from experiments.settings.parts import ImageSize
from losses import Reading


def load_member(artifacts: Path) -> Member:
    """The trained model of a run with its settings. Raises UserError."""
    model, objective, _ = load_model(artifacts)
    return Member(model, objective, run_config(read_object(artifacts / SETTINGS), {}))


class TogetherReader:
    """Reads images with several models, as `read_together` does."""

    def __init__(
        self, artifacts: Sequence[Path], views: int = 1, text_format: str | None = None
    ) -> None:
        """views: of each image. text_format: what readings have to fit, as for `open_reader`.

        Raises UserError for models that cannot read together, and for what is no format.
        """
        self._members = [load_member(folder) for folder in artifacts]
        self._views = views
        first = self._members[0].config
        for folder, member in zip(artifacts[1:], self._members[1:], strict=True):
            for key in ("image", "charset"):
                if getattr(member.config, key) != getattr(first, key):
                    raise UserError(
                        f"{artifacts[0]} and {folder}: {key} is {_shown(first, key)} and "
                        f"{_shown(member.config, key)}; name runs that have it in common"
                    )
        self._grammar = None
        if text_format is not None:
            self._grammar = parse_format(text_format, first.charset)

    @property
    def size(self) -> ImageSize:
        """What all of them take."""
        return self._members[0].config.image

    def read(self, pixels: npt.NDArray[np.uint8]) -> list[Reading]:
        """A reading of every image. pixels: (N, C, H, W)."""
        images = torch.from_numpy(pixels)
        seen = [images] * len(self._members)
        return read_together(self._members, seen, self._views, grammar=self._grammar).readings


def _shown(config: RunConfig, key: str) -> str:
    value = getattr(config, key)
    if isinstance(value, ImageSize):
        return f"{value.width}x{value.height} pixels, {value.channels} channels, pad {value.pad}"
    return str(value)
