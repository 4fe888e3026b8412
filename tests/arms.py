"""Every arm that there is, found by itself: each loss with each of its options, on each decoder."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, get_args, get_origin, get_type_hints

import torch

import losses
import models
from losses import Objective, Targets
from models import Reader, Scores

CHARSET = "0123456789.-"
MAX_LENGTH = 6
HEIGHT, WIDTH, STRIDE = 32, 64, 4
LABELS = ["7", "42", "1.5", "-3", "100", "2024", "-0.66", "918273"]


class Arm(NamedTuple):
    """A loss with options other than its defaults, a decoder and a backbone."""

    loss: str
    options: dict[str, Any]
    decoder: str
    backbone: str = "small_cnn"

    def __str__(self) -> str:
        options = [f"{name}={value}" for name, value in self.options.items()]
        return "-".join([self.loss, *options, self.decoder, self.backbone])

    def objective(self) -> Objective:
        return losses.OBJECTIVES[self.loss](charset=CHARSET, max_length=MAX_LENGTH, **self.options)

    def model(self) -> tuple[str, str, models.Outputs]:
        """All that its model is built from."""
        objective = self.objective()
        outputs = models.Outputs(
            objective.num_classes,
            objective.length_classes,
            MAX_LENGTH,
            objective.column_classes,
            objective.column_source,
        )
        return self.backbone, self.decoder, outputs

    def make(self, seed: int = 0, layers: int = 1, channels: int = 1) -> tuple[Objective, Reader]:
        """The objective and an untrained model for it, of images with so many channels."""
        backbone, decoder, outputs = self.model()
        torch.manual_seed(seed)
        model = models.build(backbone, STRIDE, decoder, outputs, channels=channels, layers=layers)
        return self.objective(), model


def variants(loss: str) -> list[dict[str, Any]]:
    """The defaults, then every option changed by itself, where the loss takes it."""
    objective = losses.OBJECTIVES[loss]
    found: list[dict[str, Any]] = [{}]
    for name, default in objective.option_defaults().items():
        hint = get_type_hints(objective)[name]
        if get_origin(hint) is Literal:
            values = [value for value in get_args(hint) if value != default]
        elif hint is bool:
            values = [not default]
        else:
            values = [0.0, default / 2] if default else [0.5]
        for value in values:
            try:
                objective(charset=CHARSET, max_length=MAX_LENGTH, **{name: value})
            except ValueError:
                continue
            found.append({name: value})
    return found


def decoders_of(objective: Objective) -> list[str]:
    """The decoders that have what the objective asks for."""
    return [
        name
        for name, reader in models.DECODERS.items()
        if reader.layout == objective.layout
        and (reader.has_columns or not objective.column_classes)
    ]


def arms_of(loss: str) -> list[Arm]:
    return [
        arm
        for options in variants(loss)
        for decoder in decoders_of(Arm(loss, options, "").objective())
        for arm in [Arm(loss, options, decoder)]
    ]


ARMS = [arm for loss in losses.OBJECTIVES for arm in arms_of(loss)]
DEFAULT_ARMS = [arm for arm in ARMS if not arm.options]
# A torchvision backbone under each default arm.
ON_MOBILENET = [arm._replace(backbone="mobilenet_v3_small") for arm in DEFAULT_ARMS]
# One arm for each different model: most options of a loss leave the model as it is.
MODELS = list({arm.model(): arm for arm in reversed(ARMS + ON_MOBILENET)}.values())


def steps_of(objective: Objective, width: int = WIDTH) -> int:
    """How many steps the scores of images of this width have to have."""
    return {"columns": width // STRIDE, "slots": MAX_LENGTH}[objective.layout]


def drawn(labels: list[str]) -> torch.Tensor:
    """Images (N, 1, H, W) in 0..1: a random 16 x 8 glyph a character, from left to right."""
    stream = torch.Generator().manual_seed(11)
    glyphs = (torch.rand(len(CHARSET), 16, 8, generator=stream) < 0.5).float()
    images = torch.full((len(labels), 1, HEIGHT, WIDTH), 0.1)
    for image, label in zip(images, labels, strict=True):
        for place, character in enumerate(label):
            at = slice(2 + 10 * place, 10 + 10 * place)
            image[0, 8:24, at] = glyphs[CHARSET.index(character)]
    return (images + 0.05 * torch.rand(images.shape, generator=stream)).clamp(0, 1)


def train_step(
    model: Reader, objective: Objective, images: torch.Tensor, labels: list[str]
) -> dict[str, torch.Tensor]:
    """The parts of the loss, with the labels as teacher input."""
    targets: Targets = objective.encode(labels)
    return objective.loss(model.train()(images, targets.classes), targets)


def evaluate(model: Reader, images: torch.Tensor) -> Scores:
    """Scores without teacher."""
    with torch.inference_mode():
        scores: Scores = model.eval()(images)
    return scores


def steps_to_overfit(arm: Arm, most: int = 300) -> int | None:
    """After how many steps all eight are read exactly; None if they never are."""
    objective, model = arm.make()
    images = drawn(LABELS)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    for step in range(1, most + 1):
        total = train_step(model, objective, images, LABELS)["total"]
        optimizer.zero_grad()
        total.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        if step % 10 == 0:
            readings = objective.decode(evaluate(model, images))
            if [reading.text for reading in readings] == LABELS:
                return step
    return None


def same(one: Scores, other: Scores) -> bool:
    """Whether all heads say the same, bit for bit."""
    return all(
        a is b or (a is not None and b is not None and torch.equal(a, b))
        for a, b in zip(one, other, strict=True)
    )
