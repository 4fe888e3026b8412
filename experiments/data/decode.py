"""One image file: opened safely, as RGB, and what identifies it."""

from __future__ import annotations

import hashlib
import warnings
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from experiments.errors import UserError

# No cell has more; a file of a few bytes can claim any number.
MAX_PIXELS = 2**25
# Pillow's own, far higher limit is an error too, not a line on the terminal.
warnings.simplefilter("error", Image.DecompressionBombWarning)


class Decoded(NamedTuple):
    """pixels: (C, H, W) uint8. identity: a digest of the image as decoded, 32 bytes."""

    pixels: npt.NDArray[np.uint8]
    identity: bytes


def decode(source: Path | bytes, height: int, width: int, channels: int) -> Decoded:
    """Read one image, a file or what is in one, and stretch it to this size. Raises UserError."""
    image = open_rgb(source)
    found = identity(image)
    if channels == 1:
        image = image.convert("L")
    image = image.resize((width, height), Image.Resampling.BILINEAR)
    pixels = np.asarray(image).reshape(height, width, channels).transpose(2, 0, 1)
    return Decoded(pixels, found)


def open_rgb(source: Path | bytes) -> Image.Image:
    """An image file, or what is in one, as RGB, upright. Raises UserError naming the file."""
    try:
        content = source.read_bytes() if isinstance(source, Path) else source
        with Image.open(BytesIO(content)) as file:
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
        name = source if isinstance(source, Path) else "the image"
        raise UserError(f"{name}: not a readable image ({reason}); replace or remove it") from error


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
