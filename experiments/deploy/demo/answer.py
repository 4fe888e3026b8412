"""What a reader says of one image and how it came to it, for the demo's page."""

from __future__ import annotations

import base64
import math
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from analysis.record import SETTINGS
from experiments.deploy.model import Trained, load_model, pixels_of
from experiments.deploy.reading.choice import artifacts_of_reader
from experiments.settings.presets import load_run
from experiments.training.inference import to_input
from losses import Objective

# Readings that are listed.
_BEST = 10


class Shown(NamedTuple):
    """A reader and what the page calls it.

    name: as its user chose it. about: what it is, in a few words.
    """

    name: str
    about: str
    trained: Trained


def load_shown(name: str, out: Path) -> Shown:
    """A reader that comes with the suite, or a run's. Raises UserError."""
    artifacts = artifacts_of_reader(name, out)
    config = load_run(config=artifacts / SETTINGS)
    about = f"loss {config.loss}, decoder {config.decoder}, backbone {config.backbone}"
    return Shown(name, about, load_model(artifacts))


def answer(shown: Shown, content: bytes) -> dict[str, Any]:
    """The reading of an image file and what led to it, as JSON. Raises UserError.

    Keys: name; text; confidence of the text and of its `characters`, in 0..1; `best`, the most
    probable texts with their probabilities; `layout` of the scores, columns or slots; `classes`,
    the name of each; `steps`, a row of class probabilities a column, or a position up to the one
    where the text ends; `attention`, for each of these positions how it is spread over the columns,
    null for a decoder without; `image`, what the reader was given: width, height, and in base64
    three bytes a pixel.
    """
    model, objective, size = shown.trained
    pixels = pixels_of(content, size)
    with torch.inference_mode():
        images = to_input(pixels[None], next(model.parameters()).device)
        scores = model(images).cpu()
        attention = model.attend(images)
    reading = objective.decode(scores)[0]
    steps = scores.steps[0].double().softmax(dim=-1)
    # Behind its end nothing of a text is read.
    used = len(steps) if objective.layout == "columns" else len(reading.text) + 1
    return {
        "name": shown.name,
        "text": reading.text,
        "confidence": reading.confidence,
        "characters": reading.characters,
        "best": [
            {"text": found.text, "probability": math.exp(found.log_p)}
            for found in objective.best_texts(scores, _BEST)[0]
        ],
        "layout": objective.layout,
        "classes": _class_names(objective),
        "steps": steps[:used].tolist(),
        "attention": None if attention is None else attention[0, :used].tolist(),
        "image": _image(pixels),
    }


def _class_names(objective: Objective) -> list[str]:
    """The characters, and the class behind them where there is one."""
    behind = "blank" if objective.layout == "columns" else "stop"
    return [*objective.charset, *[behind] * (objective.num_classes - len(objective.charset))]


def _image(pixels: Tensor) -> dict[str, Any]:
    _, height, width = pixels.shape
    rgb = pixels.expand(3, -1, -1).permute(1, 2, 0).contiguous().numpy()
    return {
        "width": width,
        "height": height,
        "rgb": base64.b64encode(rgb.tobytes()).decode("ascii"),
    }
