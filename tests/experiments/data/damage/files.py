"""Damage to image files, and images that are odd but good."""

from __future__ import annotations

import errno
import struct
import zlib
from io import BytesIO
from typing import Any

import numpy as np
import torch
from PIL import Image

from experiments.data import decode
from experiments.data.images import Images
from experiments.limits import PIXELS
from tests.experiments.data.damage.bench import LABELLED, Check, case


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def paint(red: tuple[int, int, int] = (200, 0, 0)) -> Image.Image:
    """The left third in a colour, the rest white."""
    image = Image.new("RGB", (60, 34), "white")
    image.paste(red, (0, 0, 20, 34))
    return image


def shows(wanted: Image.Image, within: int = 0) -> Check:
    """3.jpg is this picture, give or take so many levels; the others are what they were."""

    def check(found: Images, plain: Images) -> None:
        assert found.readings == plain.readings
        for row, before, pixels, was in zip(
            found.rows, plain.rows, found.pixels, plain.pixels, strict=True
        ):
            assert (row.part, row.filename, row.label) == (
                before.part,
                before.filename,
                before.label,
            )
            if (row.part, row.filename) == ("train", "3.jpg"):
                seen = pixels.permute(1, 2, 0).numpy().astype(int)
                assert np.abs(seen - np.asarray(wanted, dtype=int)).max() <= within
            else:
                assert torch.equal(pixels, was)

    return check


UNREADABLE = f"{LABELLED}/3.jpg: not a readable image "
INSTEAD = "replace or remove it"
_NO_IMAGES = [
    ("text under an image's name", b"filename;value\n"),
    ("zero bytes under an image's name", bytes(2000)),
    ("SVG, PDF or a web page under an image's name", b"<svg xmlns='http://www.w3.org/2000/svg'/>"),
    ("SVG, PDF or a web page under an image's name", encoded(paint(), "PDF")),
    ("SVG, PDF or a web page under an image's name", b"<!DOCTYPE html><title>404</title>"),
]


@case("image file of zero length", UNREADABLE + "(it is empty)", INSTEAD)
def _(bench):
    bench.image.write_bytes(b"")


for _name, _content in _NO_IMAGES:

    @case(_name, UNREADABLE + "(of no known format)", INSTEAD, each=[_content])
    def _(bench, content):
        bench.image.write_bytes(content)


@case("text under an image's name", "validation_set/1.jpg: not a readable image")
def _(bench):
    (bench.folder / "cell_images/validation_set/1.jpg").write_bytes(b"nothing")


@case("PostScript under an image's name", UNREADABLE + "(a drawing)", INSTEAD)
def _(bench):
    bench.image.write_bytes(encoded(paint(), "EPS"))


_CUT = [
    (kind, part) for kind in ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP") for part in (0.4, 0.9)
]


@case("truncated image", UNREADABLE, INSTEAD, each=_CUT)
def _(bench, kind, part):
    with Image.open(bench.image) as image:
        content = encoded(image.convert("RGB"), kind)
    bench.image.write_bytes(content[: int(len(content) * part)])


@case(
    "PNG with a wrong checksum or a damaged bit",
    UNREADABLE,
    INSTEAD,
    each=[(b"IHDR", 17), (b"IDAT", 20)],
)
def _(bench, where, behind):
    content = bytearray(encoded(paint(), "PNG"))
    content[content.index(where) + behind] ^= 1
    bench.image.write_bytes(content)


@case("JPEG with a damaged bit")
def _(bench):
    content = bytearray(bench.image.read_bytes())
    content[len(content) * 2 // 3] ^= 4
    bench.image.write_bytes(content)

    def check(found, plain):
        assert found.digest != plain.digest
        damaged = [
            i
            for i, (a, b) in enumerate(zip(found.pixels, plain.pixels, strict=True))
            if not torch.equal(a, b)
        ]
        assert [found.rows[i].path for i in damaged] == [bench.image]

    return check


@case("EXIF data damaged", UNREADABLE, INSTEAD)
def _(bench):
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a cell " * 20
    bench.image.write_bytes(encoded(paint(), "JPEG", exif=exif.tobytes()[:-60]))


@case(
    "animation, or several pages",
    UNREADABLE + "(it has 2 frames)",
    INSTEAD,
    each=["GIF", "WEBP", "PNG", "TIFF"],
)
def _(bench, kind):
    other = paint((0, 200, 0))
    bench.image.write_bytes(encoded(paint(), kind, save_all=True, append_images=[other]))


@case(
    "greys of 32 bits", UNREADABLE + "(its greys are 32-bit numbers)", each=[np.float32, np.int32]
)
def _(bench, kind):
    bench.image.write_bytes(encoded(Image.fromarray(np.full((34, 60), 200, dtype=kind)), "TIFF"))


@case("more pixels than any cell", UNREADABLE + "(8000x8000 pixels are no cell: ", PIXELS.variable)
def _(bench):
    bench.image.write_bytes(encoded(Image.new("1", (8000, 8000)), "PNG"))


@case("more pixels than any cell", UNREADABLE, PIXELS.variable, INSTEAD)
def _(bench):
    # Some bytes that claim 2 ** 60 pixels.
    head = b"IHDR" + struct.pack(">IIBBBBB", 2**30, 2**30, 8, 2, 0, 0, 0)
    head = struct.pack(">I", 13) + head + struct.pack(">I", zlib.crc32(head))
    bench.image.write_bytes(b"\x89PNG\r\n\x1a\n" + head + encoded(paint(), "PNG")[33:])


@case("more bytes than any cell", f"{LABELLED}/3.jpg: ", "bytes are no cell", PIXELS.variable)
def _(bench):
    with bench.image.open("wb") as file:
        file.truncate(8 * PIXELS.default + 1)  # one hole


@case("more pixels in its inside than the file says", UNREADABLE)
def _(bench):
    # An icon: its head says 48x48, the PNG in it has 81 million pixels.
    inside = encoded(Image.new("1", (9000, 9000)), "PNG")
    head = struct.pack("<HHHBBBBHHII", 0, 1, 1, 48, 48, 0, 0, 1, 32, len(inside), 22)
    bench.image.write_bytes(head + inside)


@case("more pixels than any cell, and a raised limit")
def _(bench):
    bench.patch.setenv(PIXELS.variable, "70000000")
    bench.image.write_bytes(encoded(Image.new("L", (8000, 8000), 200), "PNG"))
    return shows(Image.new("RGB", (60, 34), (200, 200, 200)))


_TWELVE = [("L", "PNG", 4095), ("L", "TIFF", 1023), ("RGB", "PNG", 4095), ("L", "PNG", 16383)]


@case("16 bits with the values of 12", UNREADABLE, "nearly black", INSTEAD, each=_TWELVE)
def _(bench, mode, kind, white):
    levels = np.linspace(0, white, 34 * 60).astype(np.uint16).reshape(34, 60)
    if mode == "RGB":  # Pillow writes none: each sample as two bytes, in rows without a filter
        samples = np.repeat(levels[:, :, None], 3, axis=2).astype(">u2").tobytes()
        rows = b"".join(b"\0" + samples[i * 360 : (i + 1) * 360] for i in range(34))
        parts = [
            (b"IHDR", struct.pack(">IIBBBBB", 60, 34, 16, 2, 0, 0, 0)),
            (b"IDAT", zlib.compress(rows)),
            (b"IEND", b""),
        ]
        chunks = b"".join(
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
            for name, body in parts
        )
        bench.image.write_bytes(b"\x89PNG\r\n\x1a\n" + chunks)
    else:
        bench.image.write_bytes(encoded(Image.fromarray(levels), kind))


@case("image not ours to read", "3.jpg: cannot be read (Permission denied)", INSTEAD)
def _(bench):
    bench.deny("read_bytes", errno.EACCES, bench.image.__eq__)


@case("image that memory does not suffice for", UNREADABLE + "(MemoryError)")
def _(bench):
    true = decode._to_rgb

    def failing(image):
        if image.size == (7, 7):
            raise MemoryError
        return true(image)

    bench.image.write_bytes(encoded(Image.new("RGB", (7, 7)), "PNG"))
    bench.patch.setattr(decode, "_to_rgb", failing)


@case("another format than the name says", each=["PNG", "BMP", "GIF", "TIFF", "WEBP", "PPM", "TGA"])
def _(bench, kind):
    options = {"lossless": True} if kind == "WEBP" else {}
    bench.image.write_bytes(encoded(paint(), kind, **options))
    return shows(paint())


@case("CMYK")
def _(bench):
    bench.image.write_bytes(encoded(paint().convert("CMYK"), "JPEG", quality=100))
    return shows(paint(), within=10)


_MODES = ["1", "L", "P", "LA", "RGBA"]


@case("black and white, grey, palette or alpha", each=_MODES)
def _(bench, mode):
    black = paint((0, 0, 0))
    bench.image.write_bytes(encoded(black.convert(mode), "PNG"))
    return shows(black)


@case("greys of 16 bits", each=["PNG", "TIFF", "PPM"])
def _(bench, kind):
    levels = np.linspace(0, 65535, 34 * 60).round().astype(np.uint16).reshape(34, 60)
    bench.image.write_bytes(encoded(Image.fromarray(levels), kind))
    return shows(Image.fromarray((levels / 257).round().astype(np.uint8)).convert("RGB"), within=1)


@case("transparency", each=["RGBA", "LA", "P"])
def _(bench, mode):
    # Ink in black, and paper that is black too, but clear.
    cell = Image.new("RGBA", (60, 34), (0, 0, 0, 0))
    cell.paste((0, 0, 0, 255), (0, 0, 20, 34))
    bench.image.write_bytes(encoded(cell.convert(mode), "PNG"))
    return shows(paint((0, 0, 0)))


@case("image of one pixel")
def _(bench):
    bench.image.write_bytes(encoded(Image.new("RGB", (1, 1), (9, 8, 7)), "PNG"))
    return shows(Image.new("RGB", (60, 34), (9, 8, 7)))


@case("image of another size")
def _(bench):
    bench.image.write_bytes(encoded(paint().resize((600, 340), Image.Resampling.NEAREST), "PNG"))
    return shows(paint(), within=40)  # at the edge it is smoothed


@case("photo that EXIF says to turn")
def _(bench):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise by a quarter
    turned = paint().transpose(Image.Transpose.ROTATE_90)
    assert turned.size == (34, 60)
    bench.image.write_bytes(encoded(turned, "PNG", exif=exif))
    return shows(paint())
