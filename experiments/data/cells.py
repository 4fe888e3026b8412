"""The published layout of a data set: lists, labels, human readings and images.

    cell_images/training_set_values.txt   filename;value, with a header row
    cell_images/training_set/             the images of these rows
    crnn_labels/train.txt, dev.txt        a row an image: its file name first, the rest is ignored
    crnn_labels/val.txt                   optional: a validation part of your own
    cell_images/validation_set/           optional: the images that people read
    output/human1.txt, human2.txt         optional: what two people read, filename;value
    output/output1.txt, output2.txt       optional: what a published model read

Nothing is ever written here.
"""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from experiments.errors import UserError

READERS = ("human1", "human2", "output1", "output2")

_VALUES = "cell_images/training_set_values.txt"
_LABELLED = "cell_images/training_set"
_HUMAN = "cell_images/validation_set"


@dataclass(frozen=True)
class Row:
    """An image that a list names. `part` is train, val, dev or human; only human has no label."""

    part: str
    filename: str
    label: str | None
    path: Path


@dataclass(frozen=True)
class Cells:
    """What a folder says, before any image is opened.

    readings: reader -> file name -> what that reader read in the human part.
    """

    name: str
    rows: tuple[Row, ...]
    readings: dict[str, dict[str, str]]


@dataclass(frozen=True)
class Images:
    """All images of a data set in memory.

    pixels: (N, C, H, W) uint8, resized.
    rows: the N rows they belong to.
    groups: for each image the index of the first image with identical pixels as decoded.
    readings: as in Cells.
    digest: of every label, reading and image file; the same on every machine.
    """

    name: str
    pixels: Tensor
    rows: tuple[Row, ...]
    groups: tuple[int, ...]
    readings: dict[str, dict[str, str]]
    digest: str


def read_cells(folder: Path, charset: str) -> Cells:
    """Read the lists of a data set. Raises UserError naming the file and row that is wrong."""
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; set DATA (--data) to a data set")
    values = _read_values(folder / _VALUES)
    rows: list[Row] = []
    listed: dict[str, str] = {}
    for part in ("train", "val", "dev"):
        file = folder / "crnn_labels" / f"{part}.txt"
        if part == "val" and not file.exists():
            continue
        for number, line in _lines(file, header=False):
            filename = _name_in(line, values)
            where = f"{file}, row {number}: {filename}"
            if filename in listed:
                raise UserError(f"{where} is already in the {listed[filename]} list; keep one")
            if filename not in values:
                raise UserError(f"{where} has no value; add it to {folder / _VALUES}")
            listed[filename] = part
            value_row, label = values[filename]
            _check_label(label, charset, f"{folder / _VALUES}, row {value_row}: {filename}")
            rows.append(Row(part, filename, label, folder / _LABELLED / filename))
    readings = {
        reader: {name: text for name, (_, text) in _read_values(file).items()}
        for reader in READERS
        if (file := folder / "output" / f"{reader}.txt").exists()
    }
    human = sorted({name for by_name in readings.values() for name in by_name}, key=_natural)
    rows += [Row("human", name, None, folder / _HUMAN / name) for name in human]
    for row in rows:
        if not row.path.is_file():
            raise UserError(f"{row.path}: listed but absent; add the image or remove its rows")
    return Cells(folder.resolve().name, tuple(rows), readings)


def load_images(cells: Cells, height: int, width: int, channels: int) -> Images:
    """Decode and resize every image. Raises UserError naming the file that cannot be read."""

    def load(row: Row) -> Decoded:
        return decode(row.path, height, width, channels)

    with ThreadPoolExecutor() as pool:
        loaded = list(pool.map(load, cells.rows))
    first: dict[bytes, int] = {}
    groups = tuple(first.setdefault(image.identity, i) for i, image in enumerate(loaded))
    digest = hashlib.sha256()
    for row, image in sorted(
        zip(cells.rows, loaded, strict=True), key=lambda pair: (pair[0].part, pair[0].filename)
    ):
        digest.update(f"{row.part}\0{row.filename}\0{row.label}\0".encode() + image.content)
    for reader, by_name in sorted(cells.readings.items()):
        digest.update(f"{reader}\0{sorted(by_name.items())}\0".encode())
    return Images(
        name=cells.name,
        pixels=torch.from_numpy(np.stack([image.pixels for image in loaded])),
        rows=cells.rows,
        groups=groups,
        readings=cells.readings,
        digest=digest.hexdigest()[:16],
    )


class Decoded(NamedTuple):
    """pixels: (C, H, W) uint8. identity, content: digests of the decoded image and of the file."""

    pixels: np.ndarray
    identity: bytes
    content: bytes


def decode(path: Path, height: int, width: int, channels: int) -> Decoded:
    """Read one image and stretch it to this size. Raises UserError naming the file."""
    try:
        content = path.read_bytes()
        with Image.open(BytesIO(content)) as file:
            image = _to_rgb(file)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UserError(f"{path}: not a readable image ({error}); replace or remove it") from error
    identity = hashlib.sha256(repr(image.size).encode() + image.tobytes()).digest()
    if channels == 1:
        image = image.convert("L")
    image = image.resize((width, height), Image.Resampling.BILINEAR)
    pixels = np.asarray(image).reshape(height, width, channels).transpose(2, 0, 1)
    return Decoded(pixels, identity, hashlib.sha256(content).digest())


def _to_rgb(image: Image.Image) -> Image.Image:
    """Any mode as RGB: 16-bit greys scaled, not cut off at white, and what is clear as paper."""
    if image.mode.startswith("I"):
        return Image.fromarray((np.asarray(image) // 256).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        clear = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", clear.size, "white"), clear)
    return image.convert("RGB")


def _read_values(file: Path) -> dict[str, tuple[int, str]]:
    """filename;value rows behind a header -> file name -> (row number, value)."""
    values: dict[str, tuple[int, str]] = {}
    for number, line in _lines(file, header=True):
        filename, separator, value = line.partition(";")
        if not separator or not filename:
            raise UserError(f"{file}, row {number}: {line!r} is not filename;value; correct it")
        if values.get(filename, (0, value))[1] != value:
            raise UserError(f"{file}, row {number}: {filename} has a second value; keep one")
        values[filename] = (number, value)
    return values


def _name_in(line: str, values: dict[str, tuple[int, str]]) -> str:
    """The file name at the begin of a list's row: the longest that has a value, spaces and all."""
    name = line
    while name not in values and " " in name:
        name = name.rpartition(" ")[0].rstrip()
    return name


def _lines(file: Path, header: bool) -> list[tuple[int, str]]:
    try:
        text = file.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise UserError(f"{file}: no such file; the README shows the layout") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file}: cannot be read as UTF-8 text ({error}); save it so") from error
    # A list without its header would lose its first image.
    lines = [(i, line.strip()) for i, line in enumerate(text.splitlines(), 1) if line.strip()]
    if header and lines and lines[0][1].lower() != "filename;value":
        raise UserError(f"{file}, row 1: {lines[0][1]!r} is no header; put filename;value first")
    if len(lines) <= header:
        raise UserError(f"{file}: the list is empty; add at least one image")
    return lines[header:]


def _check_label(label: str, charset: str, where: str) -> None:
    if not label:
        raise UserError(f"{where} has an empty label; add its value or remove it from the lists")
    for character in label:
        if character not in charset:
            raise UserError(
                f"{where} has the label {label!r}, and {character!r} is not in the charset "
                f"{charset!r}; correct the label or set charset"
            )


def _natural(filename: str) -> tuple[int, str]:
    return (len(filename), filename)
