"""Images of a data set: decoded, resized, and grouped by identical pixels."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor

from experiments.data import cache
from experiments.data.cells import Cells, Row
from experiments.data.decode import Decoded, decode, digest, read_file
from experiments.errors import UserError

_CHUNK = 512

_Out = TypeVar("_Out")


@dataclass(frozen=True)
class Images:
    """All images of a data set.

    pixels: (N, C, H, W) uint8, resized; read from the cache's file as they are needed.
    rows: the N rows they belong to.
    identities: of each image 64 hex digits of its pixels as decoded, before any resizing: the same
        for every image size, file name and data set.
    readings: as in Cells.
    digest: of every label, reading and image file as they are in the folder; the same on every
        machine.
    changed: images whose label was changed on purpose.
    """

    name: str
    pixels: Tensor
    rows: tuple[Row, ...]
    identities: tuple[str, ...]
    readings: dict[str, dict[str, str]]
    digest: str
    changed: frozenset[int] = frozenset()

    @cached_property
    def groups(self) -> tuple[int, ...]:
        """For each image the index of the first one with identical pixels."""
        first: dict[str, int] = {}
        return tuple(first.setdefault(one, i) for i, one in enumerate(self.identities))


def load_images(
    cells: Cells,
    height: int,
    width: int,
    channels: int,
    cache_folder: Path | None = None,
    pad: int = 0,
) -> Images:
    """Every image at this size, decoded once where there is a cache folder.

    pad: black pixels that are put above and below each image first.

    Raises UserError naming the file that cannot be read.
    """
    contents = list(each(_content, cells.rows))
    decoding = partial(_decode_row, height=height, width=width, channels=channels, pad=pad)
    shape = (channels, height, width)
    table = cache.table(
        cache_folder, contents, shape, lambda: _decoded(cells, contents, decoding), pad
    )
    return Images(
        name=cells.name,
        pixels=torch.from_numpy(table["pixels"]),
        rows=cells.rows,
        identities=tuple(one.tobytes().hex() for one in table["identity"]),
        readings=cells.readings,
        digest=_digest(cells, contents),
    )


def data_digest(cells: Cells) -> str:
    """16 hex digits of every label, reading and image file."""
    return _digest(cells, list(each(_content, cells.rows)))


def _digest(cells: Cells, contents: list[bytes]) -> str:
    whole = hashlib.sha256()
    for row, content in zip(cells.rows, contents, strict=True):
        whole.update(f"{row.part}\0{row.filename}\0{row.label}\0".encode() + content)
    for reader, by_name in sorted(cells.readings.items()):
        whole.update(f"{reader}\0{sorted(by_name.items())!a}\0".encode())
    return whole.hexdigest()[:16]


def each(work: Callable[[Row], _Out], rows: tuple[Row, ...]) -> Iterator[_Out]:
    """The work on every row in order, on all cores, with few results waiting."""
    with ThreadPoolExecutor() as pool:
        for start in range(0, len(rows), _CHUNK):
            yield from pool.map(work, rows[start : start + _CHUNK])


def _content(row: Row) -> bytes:
    return digest(read_file(row.path))


def _decoded(
    cells: Cells, contents: list[bytes], decoding: Callable[[Row], Decoded]
) -> Iterator[Decoded]:
    """The images of these contents: no others may come into the cache under their digests."""
    for row, content, image in zip(cells.rows, contents, each(decoding, cells.rows), strict=True):
        if image.content != content:
            raise UserError(f"{row.path}: was changed while it was read; run it again")
        yield image


def _decode_row(row: Row, height: int, width: int, channels: int, pad: int) -> Decoded:
    return decode(row.path, height, width, channels, pad)
