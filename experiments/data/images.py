"""Images of a data set: decoded, resized, and grouped by identical pixels."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, ImageOps
from torch import Tensor

from experiments.data import cache
from experiments.data.cells import Cells, Row
from experiments.errors import UserError

# No cell has more; a file of a few bytes can claim any number.
MAX_PIXELS = 2**25
_CHUNK = 512

# Pillow's own, far higher limit is an error too, not a line on the terminal.
warnings.simplefilter("error", Image.DecompressionBombWarning)

_Out = TypeVar("_Out")


@dataclass(frozen=True)
class Images:
    """All images of a data set.

    pixels: (N, C, H, W) uint8, resized; read from the cache's file as they are needed.
    rows: the N rows they belong to.
    groups: for each image the index of the first image with identical pixels as decoded.
    readings: as in Cells.
    digest: of every label, reading and image file as they are in the folder; the same on every
        machine.
    changed: images whose label was changed on purpose.
    """

    name: str
    pixels: Tensor
    rows: tuple[Row, ...]
    groups: tuple[int, ...]
    readings: dict[str, dict[str, str]]
    digest: str
    changed: frozenset[int] = frozenset()


class Decoded(NamedTuple):
    """pixels: (C, H, W) uint8. identity: a digest of the image as decoded, 32 bytes."""

    pixels: npt.NDArray[np.uint8]
    identity: bytes


def load_images(
    cells: Cells, height: int, width: int, channels: int, cache_folder: Path | None = None
) -> Images:
    """Every image at this size, decoded once where there is a cache folder.

    Raises UserError naming the file that cannot be read.
    """
    contents = list(each(_content, cells.rows))
    digest = hashlib.sha256()
    for row, content in zip(cells.rows, contents, strict=True):
        digest.update(f"{row.part}\0{row.filename}\0{row.label}\0".encode() + content)
    for reader, by_name in sorted(cells.readings.items()):
        digest.update(f"{reader}\0{sorted(by_name.items())}\0".encode())

    decoding = partial(_decode_row, height=height, width=width, channels=channels)
    table = cache.table(
        cache_folder, contents, (channels, height, width), lambda: each(decoding, cells.rows)
    )
    first: dict[bytes, int] = {}
    identities = table["identity"]
    groups = tuple(first.setdefault(identities[i].tobytes(), i) for i in range(len(cells.rows)))
    return Images(
        name=cells.name,
        pixels=torch.from_numpy(table["pixels"]),
        rows=cells.rows,
        groups=groups,
        readings=cells.readings,
        digest=digest.hexdigest()[:16],
    )


def each(work: Callable[[Row], _Out], rows: tuple[Row, ...]) -> Iterator[_Out]:
    """The work on every row in order, on all cores, with few results waiting."""
    with ThreadPoolExecutor() as pool:
        for start in range(0, len(rows), _CHUNK):
            yield from pool.map(work, rows[start : start + _CHUNK])


def decode(path: Path, height: int, width: int, channels: int) -> Decoded:
    """Read one image and stretch it to this size. Raises UserError naming the file."""
    image = open_rgb(path)
    found = identity(image)
    if channels == 1:
        image = image.convert("L")
    image = image.resize((width, height), Image.Resampling.BILINEAR)
    pixels = np.asarray(image).reshape(height, width, channels).transpose(2, 0, 1)
    return Decoded(pixels, found)


def open_rgb(path: Path) -> Image.Image:
    """An image file as RGB, upright. Raises UserError naming the file."""
    try:
        with Image.open(BytesIO(path.read_bytes())) as file:
            if file.width * file.height > MAX_PIXELS:
                raise ValueError(f"{file.width}x{file.height} pixels are no cell")
            # A photo of several sizes in one file (MPO) is one image.
            if (frames := getattr(file, "n_frames", 1)) > 1 and file.format != "MPO":
                raise ValueError(f"it has {frames} frames")
            return _to_rgb(ImageOps.exif_transpose(file))
    except Exception as error:  # of any kind: damaged files make decoders raise what they like
        if isinstance(error, MemoryError):
            raise
        reason = str(error).replace("\n", " ") or type(error).__name__
        raise UserError(f"{path}: not a readable image ({reason}); replace or remove it") from error


def identity(image: Image.Image) -> bytes:
    """A digest of size and pixels: alike for two images that no reader could tell apart."""
    return hashlib.sha256(repr(image.size).encode() + image.tobytes()).digest()


def _to_rgb(image: Image.Image) -> Image.Image:
    """Any mode as RGB: 16-bit greys scaled, not cut off at white, and what is clear as paper."""
    if image.mode.startswith("I"):
        levels = np.asarray(image)
        if levels.min() < 0 or levels.max() > 65535:
            raise ValueError("its greys are beyond 16 bits")
        return Image.fromarray((levels // 256).astype(np.uint8)).convert("RGB")
    if image.mode == "F":
        raise ValueError("its greys are floating-point numbers")
    if image.has_transparency_data:
        clear = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", clear.size, "white"), clear)
    return image.convert("RGB")


def _content(row: Row) -> bytes:
    try:
        return hashlib.sha256(row.path.read_bytes()).digest()
    except OSError as error:
        reason = error.strerror or error
        raise UserError(f"{row.path}: cannot be read ({reason}); replace or remove it") from error


def _decode_row(row: Row, height: int, width: int, channels: int) -> Decoded:
    return decode(row.path, height, width, channels)
