"""Decoded images in one memory-mapped file, so that no run decodes them again.

The file is records and nothing else, one an image: a digest of the image file, the digest of the
image as decoded, a checksum, and the pixels. Its name is a digest of everything that it was made
from, so another image or size is another file. Where it is short, or a record is not what belongs
there, it is made anew. Nothing in it is parsed. A safetensors file would need all pixels in memory
to be written, and checks of ours besides: it has none.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import PIL

from experiments.data.decode import Decoded
from experiments.errors import UserError
from experiments.files import lock, whole

# Raise it when the same image file begins to give other pixels.
VERSION = 1

Table = npt.NDArray[Any]


def table(
    folder: Path | None,
    contents: list[bytes],
    shape: tuple[int, int, int],
    decoded: Callable[[], Iterable[Decoded]],
    pad: int = 0,
) -> Table:
    """A record an image, with the fields `identity` and `pixels` (C, H, W).

    folder: where the cache is kept; None for a table in memory.
    contents: a digest of each image file, 32 bytes.
    decoded: gives the images in this order, where there is no whole cache yet.
    pad: what they were padded by before they got this shape.
    Raises UserError where the folder cannot be written.
    """
    record = np.dtype(
        [("content", "u1", 32), ("identity", "u1", 32), ("check", "<u4"), ("pixels", "u1", shape)]
    )
    if folder is None:
        return _records(record, contents, decoded())
    about = f"{VERSION} Pillow {PIL.__version__} {shape} {pad}".encode()
    file = folder / f"{hashlib.sha256(about + b''.join(contents)).hexdigest()[:16]}.records"
    try:
        # The second of two processes waits, and finds what the first has made.
        with lock(file.with_suffix(".lock")):
            if (found := _open(file, record, contents)) is not None:
                return found
            with whole(file, alone=True) as making, making.open("wb") as handle:
                for content, image in zip(contents, decoded(), strict=True):
                    handle.write(_records(record, [content], [image]).tobytes())
            return _map(file, record, len(contents))
    except OSError as error:
        reason = error.strerror or error
        raise UserError(
            f"{file}: the images cannot be kept there ({reason}); set OUT (--out) to a folder that "
            "can be written and has room"
        ) from error


def _map(file: Path, record: np.dtype[Any], count: int) -> Table:
    # Copy on write: torch wants memory that it could write to; the file stays as it is.
    return np.memmap(file, dtype=record, mode="c", shape=(count,))


def _open(file: Path, record: np.dtype[Any], contents: list[bytes]) -> Table | None:
    """The whole cache; None where there is none, or where a bit of it is not as it was made."""
    try:
        found = _map(file, record, len(contents))
    except (OSError, ValueError):
        return None
    for content, row in zip(contents, found, strict=True):
        if row["content"].tobytes() != content or row["check"] != _check(row):
            return None
    return found


def _records(record: np.dtype[Any], contents: list[bytes], images: Iterable[Decoded]) -> Table:
    made: Table = np.zeros(len(contents), dtype=record)
    for row, content, image in zip(made, contents, images, strict=True):
        row["content"] = np.frombuffer(content, dtype=np.uint8)
        row["identity"] = np.frombuffer(image.identity, dtype=np.uint8)
        row["pixels"] = image.pixels
        row["check"] = _check(row)
    return made


def _check(row: Any) -> int:
    return zlib.crc32(row["pixels"].tobytes(), zlib.crc32(row["identity"].tobytes()))
