"""Ink on paper: what makes a drawing look like a cell that was scanned."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageFilter

WIDTH, HEIGHT = 60, 34
# Ink is drawn at this many times the size, then reduced.
DRAWN = 2


def digit_ink(digit: np.ndarray) -> Image.Image:
    """A 28x28 digit as ink to draw with: 40 high, cropped in width."""
    glyph = Image.fromarray(digit)
    left, _, right, _ = glyph.getbbox() or (0, 0, 28, 28)
    return glyph.crop((left, 0, right, 28)).resize((round((right - left) * 40 / 28), 40))


def on_paper(ink: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Grey ink (120, 68), 255 where it covers, as a dark, blurred, noisy cell (60, 34) RGB."""
    ink = ink.rotate(rng.normal(0, 2), Image.Resampling.BILINEAR)
    ink = ink.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 1.3)))
    covered = np.asarray(ink.resize((WIDTH, HEIGHT), Image.Resampling.BOX), dtype=float) / 255
    paper = _paper(rng)
    darkness = rng.uniform(0.3, 0.8)
    grey = paper * (1 - darkness * covered) + rng.normal(0, rng.uniform(1, 5), paper.shape)
    return Image.fromarray(grey.clip(0, 255).astype(np.uint8)).convert("RGB")


def _paper(rng: np.random.Generator) -> np.ndarray:
    """(34, 60) grey values: uneven light, ruled borders near the edges."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    slope = rng.normal(0, 8, 2)
    paper: np.ndarray = (
        rng.uniform(140, 225) + slope[0] * (x / WIDTH - 0.5) + slope[1] * (y / HEIGHT - 0.5)
    )
    paper = paper + np.cumsum(rng.normal(0, 0.8, HEIGHT))[:, None]
    for _ in range(rng.integers(0, 3)):
        paper[int(rng.choice([0, 1, 2, HEIGHT - 3, HEIGHT - 2, HEIGHT - 1]))] *= rng.uniform(
            0.6, 0.9
        )
    if rng.random() < 0.6:
        paper[:, int(rng.choice([0, 1, WIDTH - 2, WIDTH - 1]))] *= rng.uniform(0.6, 0.9)
    return paper
