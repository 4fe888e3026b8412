"""The one place where the settings of a run become a model and its objective."""

from __future__ import annotations

from collections.abc import Callable

import torch

import models
from experiments.data.images import Images
from experiments.errors import UserError
from experiments.seeding import derive
from experiments.settings.config import RunConfig
from losses import CannotLearnError, Objective
from models import Reader


def build(config: RunConfig) -> tuple[Reader, Objective]:
    """An untrained model and its objective. The trunk's weights depend on the seed alone.

    Raises UserError for a backbone that cannot be had.
    """
    objective = config.objective()
    outputs = models.Outputs(
        num_classes=objective.num_classes,
        length_classes=objective.length_classes,
        max_length=config.max_length,
        column_classes=objective.column_classes,
        column_source=objective.column_source,
    )
    torch.manual_seed(derive(config.seed, "weights"))
    try:
        model = models.build(
            config.backbone,
            config.width_stride,
            config.decoder,
            outputs,
            channels=config.image.channels,
            hidden=config.hidden,
            layers=config.layers,
            pretrained=config.pretrained,
        )
    except models.BackboneError as error:
        raise UserError(str(error)) from error
    return model, objective


def build_for(config: RunConfig, images: Images) -> tuple[Reader, Objective]:
    """As `build`, for images with labels. Raises UserError naming a label that it never emits."""
    model, objective = build(config)
    steps, columns = _steps(config, model)
    for row in images.rows:
        if row.label is not None:
            try:
                objective.check(row.label, steps, columns)
            except CannotLearnError as error:
                raise UserError(f"{row.filename}: {error}") from error
    return model, objective


def learnable(config: RunConfig, model: Reader, objective: Objective) -> Callable[[str], bool]:
    """Whether the model can ever emit a text."""
    steps, columns = _steps(config, model)

    def fits(text: str) -> bool:
        try:
            objective.check(text, steps, columns)
        except CannotLearnError:
            return False
        return True

    return fits


def _steps(config: RunConfig, model: Reader) -> tuple[int, int]:
    """How many steps the scores have, and how many auxiliary columns."""
    size = config.image
    try:
        return models.count_steps(model, (size.channels, size.height, size.width))
    except RuntimeError as error:
        raise UserError(
            f"images of {size.height}x{size.width} are too small for {config.backbone}: "
            "raise image.height or image.width"
        ) from error
