"""One image file: opened safely, as RGB, and what identifies it."""

from __future__ import annotations

import hashlib
import warnings
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from experiments.data.lists import lacks
from experiments.errors import UserError

# No cell has more; a file of a few bytes can claim any number.
MAX_PIXELS = 2**25
# An image of so many pixels, not compressed, at 16 bits a channel.
MAX_BYTES = MAX_PIXELS * 8
# What Pillow warns of is an error too, not a line on the terminal: a damaged file that it makes
# something of, and its own, far higher limit of pixels.
warnings.filterwarnings("error", category=UserWarning, module=r"PIL\.")
warnings.simplefilter("error", Image.DecompressionBombWarning)


class Decoded(NamedTuple):
    """pixels: (C, H, W) uint8. identity: a digest of the image as decoded, 32 bytes.

    content: a digest of the file that it was decoded from, 32 bytes.
    """

    pixels: npt.NDArray[np.uint8]
    identity: bytes
    content: bytes


def decode(source: Path | bytes, height: int, width: int, channels: int, pad: int = 0) -> Decoded:
    """Read one image and stretch it to this size. Raises UserError naming the file.

    source: a file, or what is in one.
    pad: black pixels that are put above and below it first.
    """
    if isinstance(source, Path):
        content = read_file(source)
        image = _rgb(str(source), content)
    else:
        content = source
        image = _rgb("the image", content)
    found = identity(image)
    if channels == 1:
        image = image.convert("L")
    image = ImageOps.expand(image, (0, pad))
    image = image.resize((width, height), Image.Resampling.BILINEAR)
    pixels = np.asarray(image).reshape(height, width, channels).transpose(2, 0, 1)
    return Decoded(pixels, found, digest(content))


def open_rgb(path: Path) -> Image.Image:
    """An image file as RGB, upright. Raises UserError naming the file."""
    return _rgb(str(path), read_file(path))


def read_file(path: Path) -> bytes:
    """An image file as it is. Raises UserError naming the file."""
    if lacking := lacks(path):
        raise UserError(f"{path}: {lacking}; replace or remove it")
    try:
        if (size := path.stat().st_size) > MAX_BYTES:
            raise UserError(f"{path}: {size} bytes are no cell; replace or remove it")
        return path.read_bytes()
    except OSError as error:
        reason = error.strerror or error
        raise UserError(f"{path}: cannot be read ({reason}); replace or remove it") from error


def digest(content: bytes) -> bytes:
    """Of an image file, 32 bytes."""
    return hashlib.sha256(content).digest()


def identity(image: Image.Image) -> bytes:
    """A digest of size and pixels: the same for two images that no reader could distinguish."""
    return hashlib.sha256(repr(image.size).encode() + image.tobytes()).digest()


def _rgb(name: str, content: bytes) -> Image.Image:
    try:
        with Image.open(BytesIO(content)) as file:
            if file.width * file.height > MAX_PIXELS:
                raise ValueError(f"{file.width}x{file.height} pixels are no cell")
            # Pillow would have another program draw it, where there is one.
            if file.format == "EPS":
                raise ValueError("a drawing")
            # A photo of several sizes in one file (MPO) is one image.
            if (frames := getattr(file, "n_frames", 1)) > 1 and file.format != "MPO":
                raise ValueError(f"it has {frames} frames")
            # What is white in 32 bits is declared by no format but this, which Pillow scales to 16.
            if file.mode == "F" or (file.mode == "I" and file.format != "PPM"):
                raise ValueError("its greys are 32-bit numbers")
            return _to_rgb(ImageOps.exif_transpose(file))
    except Exception as error:  # of any kind: damaged files make decoders raise what they like
        reason = " ".join(str(error).split()) or type(error).__name__
        if isinstance(error, UnidentifiedImageError):
            reason = "of no known format" if content else "it is empty"
        raise UserError(f"{name}: not a readable image ({reason}); replace or remove it") from error


def _to_rgb(image: Image.Image) -> Image.Image:
    """Any mode as RGB: 16-bit greys scaled, not cut off at white, and what is clear as paper."""
    if image.mode.startswith("I"):
        return Image.fromarray((np.asarray(image) // 256).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        clear = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", clear.size, "white"), clear)
    return image.convert("RGB")
