"""Several models, and several views of an image, read it together.

Models of different losses and layouts have no scores in common that could be averaged, but each
can say how probable it finds a given text. The candidates are what any voice, a model with a view,
reads there by itself, or, where readings have to fit a format, the most probable text that fits;
the reading is the candidate with the highest mean log-probability over all voices (the logarithmic
opinion pool, Genest and Zidek, 1986).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import fmean
from typing import NamedTuple

import torch
from torch import Tensor

from experiments.data.augmentation.affine import Affine
from experiments.deploy.reading.formats import in_format
from experiments.seeding import generator
from experiments.settings.config import RunConfig
from experiments.training.inference import BATCH, to_input
from losses import Objective, Reading
from losses.best_first import Grammar
from models import Reader, Scores

# Small beside the published training augmentation: a view has to stay a cell as it is scanned.
VIEWS = Affine(degrees=3, translate=0.03, scale=(0.97, 1.03), shear=1)

# What a text that a voice can never emit counts as: other voices' choices stay in an order.
_IMPOSSIBLE = -700.0
# Where no voice finds a text that fits.
_NOTHING = Reading("", 0.0)


class Member(NamedTuple):
    """A trained model with its objective and its settings."""

    model: Reader
    objective: Objective
    config: RunConfig


@dataclass(frozen=True)
class Together:
    """What was read, and what that took.

    readings: an image each; the confidence is the geometric mean of the voices' probabilities, that
        of a character the mean of those of the voices that read this text by themselves.
    seconds: of all; alone: of each member by itself, the images as they are.
    """

    readings: list[Reading]
    seconds: float
    alone: list[float]


def read_together(
    members: Sequence[Member],
    pixels: Sequence[Tensor],
    views: int = 1,
    ranges: Affine = VIEWS,
    on_batch: Callable[[], None] = lambda: None,
    grammar: Grammar | None = None,
) -> Together:
    """Read every image with every member and view.

    pixels: for each member the same images at its own size, (N, C, H, W) uint8.
    views: of each image; the first is the image as it is, each other is moved within `ranges`, in
        a way that the member's seed decides and that is the same for every image.
    on_batch: called after each batch of BATCH images.
    grammar: what every reading has to fit; where no voice finds such a text it is empty, with a
        confidence of 0.
    """
    readings, alone = list[Reading](), [0.0] * len(members)
    started = time.perf_counter()
    with torch.inference_mode():
        for at in range(0, len(pixels[0]), BATCH):
            voices = []
            for number, (member, images) in enumerate(zip(members, pixels, strict=True)):
                device = next(member.model.parameters()).device
                inputs = to_input(images[at : at + BATCH], device)
                for view in range(views):
                    began = time.perf_counter()
                    seen = _seen(inputs, member.config, view, ranges)
                    voices.append(_Voice.hear(member, seen, grammar))
                    if view == 0:
                        alone[number] += time.perf_counter() - began
            readings += _agree(voices, grammar)
            on_batch()
    return Together(readings, time.perf_counter() - started, alone)


def _seen(inputs: Tensor, config: RunConfig, view: int, ranges: Affine) -> Tensor:
    """The images (N, C, H, W) in 0..1 as this view has them."""
    if view == 0:
        return inputs
    draws = ranges.draw(1, partial(generator, config.seed, "view", view))
    return ranges.augment(inputs, draws.expand(len(inputs), -1))


class _Voice(NamedTuple):
    """A member's say on a batch of images: its scores, and what it reads of them.

    free: its own texts, which the scores of an autoregressive model go on from. readings: the same
    but for what has to fit a format.
    """

    member: Member
    inputs: Tensor
    scores: Scores
    free: list[str]
    readings: list[Reading]

    @classmethod
    def hear(cls, member: Member, inputs: Tensor, grammar: Grammar | None) -> _Voice:
        scores = member.model.eval()(inputs).cpu()
        free = readings = member.objective.decode(scores)
        if grammar is not None:
            readings = in_format(member.objective, scores, grammar)
        return cls(member, inputs, scores, [reading.text for reading in free], readings)

    def log_probability(self, rows: list[int], texts: list[str]) -> Tensor:
        """(K,) float64: of each text in the image with this number."""
        model, objective, _ = self.member
        log_p = objective.log_probability(self.scores.rows(rows), texts)
        if model.autoregressive:
            # Its scores go on from its own reading; those of another text come from giving it
            # that. An empty text gives nothing, and a longer one than it has steps is impossible.
            others = [
                k
                for k, (row, text) in enumerate(zip(rows, texts, strict=True))
                if text != self.free[row] and 1 <= len(text) <= objective.max_length
            ]
            if others:
                forced_texts = [texts[k] for k in others]
                teacher = objective.encode(forced_texts).classes.to(self.inputs.device)
                forced = model(self.inputs[[rows[k] for k in others]], teacher).cpu()
                log_p[others] = objective.log_probability(forced, forced_texts)
        return log_p


def _agree(voices: list[_Voice], grammar: Grammar | None) -> list[Reading]:
    """The candidate of each image that all voices together find the most probable."""
    count = len(voices[0].readings)
    # In the order of the voices: of equally probable candidates the first is taken.
    candidates = [list(dict.fromkeys(v.readings[i].text for v in voices)) for i in range(count)]
    if grammar is not None:
        candidates = [[t for t in of_image if grammar.fits(t)] for of_image in candidates]
    if not any(candidates):
        return [_NOTHING] * count
    rows = [i for i, texts in enumerate(candidates) for _ in texts]
    texts = [text for of_image in candidates for text in of_image]
    said = torch.stack([voice.log_probability(rows, texts) for voice in voices])
    means = said.clamp(min=_IMPOSSIBLE).mean(dim=0)
    by_image = torch.split(means, [len(of_image) for of_image in candidates])
    readings = list[Reading]()
    for of_image, scores in zip(candidates, by_image, strict=True):
        if not of_image:
            readings.append(_NOTHING)
            continue
        best = int(scores.argmax())
        text = of_image[best]
        alone = [v.readings[len(readings)] for v in voices]
        # What had to be changed to fit has no probabilities of its characters.
        each = zip(*(r.characters for r in alone if r.text == text and r.characters), strict=True)
        characters = tuple(map(fmean, each))
        readings.append(Reading(text, float(scores[best].exp()), characters))
    return readings
