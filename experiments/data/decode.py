"""One image file: opened safely, as RGB, and what identifies it."""

from __future__ import annotations

import hashlib
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

from experiments.data.lists import lacks
from experiments.errors import UserError
from experiments.limits import PIXELS

# Of an image of the most pixels, not compressed, at 16 bits a channel.
_BYTES_A_PIXEL = 8
# From so many pixels on, images are decoded one at a time: memory holds few copies of one, however
# many cores there are.
_LARGE = 2**21
_one_large = threading.Lock()
# The brightest of a whole image of 16 bits; below it, nobody would see what is on it.
_NEARLY_BLACK = 64
# What Pillow warns of is an error too, not a line on the terminal: a damaged file that it makes
# something of, and an image in a file's inside that is far larger than the file says.
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
    name, content = (
        (str(source), read_file(source)) if isinstance(source, Path) else ("the image", source)
    )
    with _opened(name, content) as opened:
        found = identity(opened)
        image = opened.convert("L") if channels == 1 else opened
        if pad:
            image = ImageOps.expand(image, (0, pad))
        image = image.resize((width, height), Image.Resampling.BILINEAR)
    pixels = np.asarray(image).reshape(height, width, channels).transpose(2, 0, 1)
    return Decoded(pixels, found, digest(content))


def open_rgb(path: Path) -> Image.Image:
    """An image file as RGB, upright. Raises UserError naming the file."""
    with _opened(str(path), read_file(path)) as image:
        return image


def read_file(path: Path) -> bytes:
    """An image file as it is. Raises UserError naming the file."""
    if lacking := lacks(path):
        raise UserError(f"{path}: {lacking}; replace or remove it")
    try:
        refuse_size(str(path), path.stat().st_size)
        return path.read_bytes()
    except OSError as error:
        reason = error.strerror or error
        raise UserError(f"{path}: cannot be read ({reason}); replace or remove it") from error


def refuse_size(name: str, size: int) -> None:
    """Raise UserError for an image of more bytes than the most pixels take."""
    if size > PIXELS.value() * _BYTES_A_PIXEL:
        raise UserError(
            f"{name}: {size} bytes are no cell; replace or remove it, or raise the limit, the "
            f"environment variable {PIXELS.variable}"
        )


def digest(content: bytes) -> bytes:
    """Of an image file, 32 bytes."""
    return hashlib.sha256(content).digest()


def identity(image: Image.Image) -> bytes:
    """A digest of size and pixels: the same for two images that no reader could distinguish."""
    whole = hashlib.sha256(repr(image.size).encode())
    whole.update(image.tobytes())
    return whole.digest()


@contextmanager
def _opened(name: str, content: bytes) -> Iterator[Image.Image]:
    """The image as RGB, upright. A large one is held alone, by whichever thread came first."""
    with ExitStack() as held:
        yield _rgb(name, content, lambda: held.enter_context(_one_large))


def _rgb(name: str, content: bytes, on_large: Callable[[], object]) -> Image.Image:
    # Beyond its own limit Pillow refuses, also what is packed inside of another format. It is one
    # of the whole process, a notebook's say: left alone but where the user allows more than it.
    if Image.MAX_IMAGE_PIXELS is not None and PIXELS.value() > Image.MAX_IMAGE_PIXELS:
        Image.MAX_IMAGE_PIXELS = PIXELS.value()
    try:
        with Image.open(BytesIO(content)) as file:
            _refuse_many_pixels(file)
            if file.width * file.height > _LARGE:
                on_large()
            # Pillow would have another program draw it, where there is one.
            if file.format == "EPS":
                raise ValueError("a drawing")
            # A photo of several sizes in one file (MPO) is one image.
            if (frames := getattr(file, "n_frames", 1)) > 1 and file.format != "MPO":
                raise ValueError(f"it has {frames} frames")
            # What is white in 32 bits is declared by no format but this, which Pillow scales to 16.
            if file.mode == "F" or (file.mode == "I" and file.format != "PPM"):
                raise ValueError("its greys are 32-bit numbers")
            # Pillow scales a PGM by the white that it declares.
            deep = file.format != "PPM" and _sixteen_bits(file)
            image = _to_rgb(ImageOps.exif_transpose(file))
            _refuse_many_pixels(image)  # in its inside there may be more than its head says
            if deep and np.asarray(image).max() < _NEARLY_BLACK:
                raise ValueError(
                    "its 16-bit values stay below a quarter of white, as those of a 12-bit scanner "
                    "do, so it would be nearly black: scale them, or save it with 8 bits"
                )
            return image
    except Exception as error:  # of any kind: damaged files make decoders raise what they like
        reason = " ".join(str(error).split()) or type(error).__name__
        if isinstance(error, Image.DecompressionBombWarning | Image.DecompressionBombError):
            reason = f"its pixels are far more than {PIXELS.variable} allows"
        if isinstance(error, UnidentifiedImageError):
            reason = "of no known format" if content else "it is empty"
        raise UserError(f"{name}: not a readable image ({reason}); replace or remove it") from error


def _refuse_many_pixels(image: Image.Image) -> None:
    if why := PIXELS.exceeded(image.width * image.height):
        raise ValueError(f"{image.width}x{image.height} pixels are no cell: {why}")


def _sixteen_bits(file: ImageFile.ImageFile) -> bool:
    """Whether a channel of this file has 16 bits; of colours Pillow keeps the upper 8."""
    return file.mode.startswith("I;16") or any(
        ";16" in (mode := str(tile[3])) and "BGR;16" not in mode for tile in file.tile
    )


def _to_rgb(image: Image.Image) -> Image.Image:
    """Any mode as RGB: 16-bit greys scaled, not cut off at white, and what is clear as paper."""
    if image.mode.startswith("I"):
        return Image.fromarray((np.asarray(image) // 256).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        clear = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", clear.size, "white"), clear)
    return image.convert("RGB")
