"""Images of a data set: their pixels, groups and digest, and what decodes them."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import threading
import tracemalloc

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import transforms

from experiments.data import images as module
from experiments.data.cells import read_cells
from experiments.data.decode import decode, open_rgb
from experiments.data.images import data_digest, load_images
from experiments.errors import UserError
from tests.editing import replace_row, rewrite, rows_of

CHARSET = "0123456789.-"
VALUES = "cell_images/training_set_values.txt"
LABELLED = "cell_images/training_set"
HUMAN = "cell_images/validation_set"
SIZE = (34, 60, 3)  # the size that the cells have: nothing is resized


def load(folder, size=SIZE):
    return load_images(read_cells(folder, CHARSET), *size)


@pytest.fixture
def folder(make_cells):
    return make_cells(train=6, dev=3, human=2, duplicates=0, leaked=0, human_leaked=0)


# --- pixels


def test_pixels_are_those_of_the_file(folder):
    images = load(folder)
    assert images.pixels.dtype == torch.uint8
    assert images.pixels.shape == (len(images.rows), 3, 34, 60)
    for row, pixels in zip(images.rows, images.pixels, strict=True):
        with Image.open(row.path) as file:
            by_hand = torch.tensor(np.asarray(file).tolist(), dtype=torch.uint8)  # (H, W, C)
        assert torch.equal(pixels, by_hand.permute(2, 0, 1))


def test_grey_is_the_luma_of_the_colours(folder):
    grey = load(folder, (34, 60, 1)).pixels[:, 0].float()
    red, green, blue = load(folder).pixels.float().unbind(1)
    # ITU-R 601, rounded in one way or the other.
    assert (grey - (0.299 * red + 0.587 * green + 0.114 * blue)).abs().max() <= 1


def test_images_are_stretched_not_cut(folder):
    # Left half black, right half white, 100 x 20: so it stays at any size.
    cell = Image.new("L", (100, 20))
    cell.paste(255, (50, 0, 100, 20))
    first = read_cells(folder, CHARSET).rows[0].path
    cell.save(first, format="PNG")
    pixels = load(folder, (32, 64, 1)).pixels[0, 0]
    assert pixels.shape == (32, 64)
    assert pixels[:, :30].max() == 0
    assert pixels[:, 34:].min() == 255


def test_the_size_asked_for_is_height_then_width_then_channels(folder):
    assert load(folder, (16, 48, 1)).pixels.shape[1:] == (1, 16, 48)


def test_a_pad_is_what_the_published_transforms_give(folder):
    cells = read_cells(folder, CHARSET)
    # As published, on RGB: padded, then stretched to a square.
    published = transforms.Compose(
        [transforms.Pad((0, 26)), transforms.Resize((224, 224)), transforms.PILToTensor()]
    )
    pixels = load_images(cells, 224, 224, 3, pad=26).pixels
    for row, found in zip(cells.rows, pixels, strict=True):
        with Image.open(row.path) as file:
            assert torch.equal(found, published(file))
    # 26 of 86 rows are black above and below, and the cell is whole between them.
    assert pixels[:, :, :66].max() == 0
    assert pixels[:, :, -66:].max() == 0
    assert pixels[:, :, 70:-70].min() > 0


def test_a_grey_pad_is_black_too_and_no_pad_is_none(folder):
    cells = read_cells(folder, CHARSET)
    padded, plain = (load_images(cells, 54, 60, 1, pad=pad).pixels for pad in (10, 0))
    assert padded[:, :, :10].max() == padded[:, :, -10:].max() == 0
    assert torch.equal(padded[:, :, 10:-10], load(folder, (34, 60, 1)).pixels)
    assert torch.equal(plain, load(folder, (54, 60, 1)).pixels)


def test_the_cache_of_one_pad_is_not_taken_for_that_of_another(folder, tmp_path):
    cells = read_cells(folder, CHARSET)

    def cached(pad):
        return load_images(cells, 32, 60, 1, tmp_path, pad=pad).pixels

    fresh = {pad: load_images(cells, 32, 60, 1, pad=pad).pixels for pad in (0, 5)}
    for pad in (0, 5, 0, 5):
        assert torch.equal(cached(pad), fresh[pad])
    assert not torch.equal(fresh[0], fresh[5])
    assert len(list(tmp_path.glob("*.records"))) == 2


@pytest.mark.parametrize("kind", ["PNG", "BMP", "GIF", "TIFF", "WEBP", "PPM"])
def test_the_content_of_a_file_says_its_format(folder, kind):
    row = read_cells(folder, CHARSET).rows[0]
    with Image.open(row.path) as file:
        wanted = file.convert("RGB").quantize(64).convert("RGB")
    wanted.save(row.path, kind, **({"lossless": True} if kind == "WEBP" else {}))
    assert open_rgb(row.path).tobytes() == wanted.tobytes()


@pytest.mark.parametrize("turn", range(2, 9))
def test_a_photo_is_turned_upright(folder, turn):
    upright = Image.new("RGB", (60, 34), "white")
    upright.paste("red", (0, 0, 20, 9))
    # How the camera held it: the inverse of what EXIF 2.32 says is to be done.
    stored = {
        2: [Image.Transpose.FLIP_LEFT_RIGHT],
        3: [Image.Transpose.ROTATE_180],
        4: [Image.Transpose.FLIP_TOP_BOTTOM],
        5: [Image.Transpose.TRANSPOSE],
        6: [Image.Transpose.ROTATE_90],
        7: [Image.Transpose.TRANSVERSE],
        8: [Image.Transpose.ROTATE_270],
    }[turn]
    photo = upright
    for step in stored:
        photo = photo.transpose(step)
    exif = Image.Exif()
    exif[0x0112] = turn
    path = read_cells(folder, CHARSET).rows[0].path
    photo.save(path, "PNG", exif=exif)
    found = open_rgb(path)
    assert found.size == (60, 34)
    assert found.tobytes() == upright.tobytes()


@pytest.mark.parametrize(("bits", "white"), [(8, 255), (16, 65535)])
def test_greys_are_scaled_by_what_is_white_in_their_format(folder, bits, white):
    path = read_cells(folder, CHARSET).rows[0].path
    levels = np.array([[0, white // 2, white]], dtype=np.uint16 if bits == 16 else np.uint8)
    Image.fromarray(levels).save(path, "PNG")
    assert np.asarray(open_rgb(path))[0].tolist() == [[0] * 3, [127] * 3, [255] * 3]


def test_what_pillow_warns_of_is_an_error_without_pytest_as_well(folder):
    # pytest makes errors of all warnings, so: another process.
    path = read_cells(folder, CHARSET).rows[0].path
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a cell " * 20
    Image.new("RGB", (60, 34)).save(path, "JPEG", exif=exif.tobytes()[:-60])
    lines = [
        "import sys",
        "from pathlib import Path",
        "from experiments.data.decode import open_rgb",
        "from experiments.errors import UserError",
        "try:",
        "    open_rgb(Path(sys.argv[1]))",
        "except UserError as error:",
        "    print(error)",
    ]
    ended = subprocess.run(
        [sys.executable, "-c", "\n".join(lines), path], capture_output=True, text=True, check=True
    )
    assert f"{path}: not a readable image" in ended.stdout
    assert not ended.stderr


# --- many at once


def test_images_come_in_the_order_of_their_rows_however_long_each_takes(folder, monkeypatch):
    cells = read_cells(folder, CHARSET)
    wanted = load_images(cells, 8, 8, 1).pixels
    true, last = module.decode, threading.Event()

    def slow_first(path, *size):
        if path == cells.rows[0].path:
            assert last.wait(60)
        found = true(path, *size)
        if path == cells.rows[1].path:
            last.set()
        return found

    monkeypatch.setattr(module, "decode", slow_first)
    assert torch.equal(load_images(cells, 8, 8, 1).pixels, wanted)


def test_the_first_bad_image_is_named_whichever_is_found_first(folder):
    cells = read_cells(folder, CHARSET)
    for row in cells.rows[2:]:
        row.path.write_bytes(b"nothing")
    for _ in range(5):
        with pytest.raises(UserError, match=re.escape(f"{cells.rows[2].path}: ")):
            load_images(cells, 8, 8, 1)


def test_memory_does_not_hold_all_images_while_the_cache_is_made(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_CHUNK", 4)
    cells = read_cells(folder, CHARSET)
    rows = cells.rows * 20
    cells = type(cells)(cells.name, cells.folder, rows, {})
    size = 200 * 400 * 3
    tracemalloc.start()
    found = load_images(cells, 200, 400, 3, tmp_path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(found.pixels) == len(rows)
    # Some that wait, and one that is written in parts; not all of the 220.
    assert peak < 20 * size < len(rows) * size / 10


# --- images with identical pixels


def test_the_groups_of_the_made_data_set(make_cells):
    # Training images 5 and 6 (by index) are copies of 0 and 1, the last dev image and the last
    # human image of 0. Everything else stands alone.
    images = load(make_cells(train=7, dev=3, human=2, duplicates=2, leaked=1, human_leaked=1))
    assert images.groups == (0, 1, 2, 3, 4, 0, 1, 7, 8, 0, 10, 0)


def test_identical_pixels_share_a_group_whatever_the_file(folder):
    paths = [row.path for row in read_cells(folder, CHARSET).rows]
    with Image.open(paths[0]) as file:
        pixels = file.convert("RGB")
    pixels.save(paths[2], format="PNG")  # under its name of .jpg
    pixels.save(paths[4], format="BMP")
    images = load(folder)
    assert images.groups[:6] == (0, 1, 0, 3, 0, 5)
    # It is the image as decoded that counts, not the one that the model sees.
    assert load(folder, (8, 8, 1)).groups == images.groups


def test_one_pixel_more_or_less_makes_another_group(folder):
    paths = [row.path for row in read_cells(folder, CHARSET).rows]
    with Image.open(paths[0]) as file:
        pixels = file.convert("RGB")
    pixels.save(paths[1], format="PNG")
    red, green, blue = pixels.getpixel((30, 17))
    pixels.putpixel((30, 17), (red ^ 1, green, blue))
    pixels.save(paths[2], format="PNG")
    assert load(folder).groups[:3] == (0, 0, 2)


def test_the_same_bytes_in_another_shape_are_another_image(folder):
    paths = [row.path for row in read_cells(folder, CHARSET).rows]
    Image.new("RGB", (60, 34), (9, 9, 9)).save(paths[0], format="PNG")
    Image.new("RGB", (34, 60), (9, 9, 9)).save(paths[1], format="PNG")
    assert load(folder).groups[:2] == (0, 1)


# --- the digest


def test_the_digest_does_not_depend_on_place_name_or_size(folder, tmp_path):
    elsewhere = tmp_path / "under another name"
    shutil.copytree(folder, elsewhere)
    digest = load(folder).digest
    assert re.fullmatch("[0-9a-f]{16}", digest)
    assert load(elsewhere).digest == digest
    assert load(folder, (8, 16, 1)).digest == digest
    assert load(folder).digest == digest


def test_the_digest_does_not_depend_on_the_order_of_rows(folder):
    before = load(folder).digest
    for file in folder.rglob("*.txt"):
        rows = rows_of(file)
        header = rows[:1] if rows[0] == "filename;value" else []
        rewrite(file, header + rows[len(header) :][::-1])
    assert load(folder).digest == before


def _another_label(folder):
    replace_row(folder / VALUES, 2, "1.jpg;-9.9")


def _another_reading(folder):
    replace_row(folder / "output/human2.txt", 3, "2.jpg;-9.9")


def _a_reader_less(folder):
    (folder / "output/output2.txt").unlink()


def _two_readers_exchanged(folder):
    one, two = folder / "output/human1.txt", folder / "output/output1.txt"
    texts = two.read_text(), one.read_text()
    one.write_text(texts[0])
    two.write_text(texts[1])


def _another_pixel(folder):
    with Image.open(folder / LABELLED / "3.jpg") as file:
        image = file.convert("RGB")
    image.putpixel((0, 0), (1, 2, 3))
    image.save(folder / LABELLED / "3.jpg", format="PNG")


def _another_human_image(folder):
    shutil.copy(folder / LABELLED / "1.jpg", folder / HUMAN / "1.jpg")


def _moved_to_another_part(folder):
    train, dev = folder / "crnn_labels/train.txt", folder / "crnn_labels/dev.txt"
    *stay, moved = rows_of(train)
    rewrite(train, stay)
    rewrite(dev, [*rows_of(dev), moved])


def _two_images_exchanged(folder):
    one, two = folder / LABELLED / "1.jpg", folder / LABELLED / "2.jpg"
    contents = two.read_bytes(), one.read_bytes()
    one.write_bytes(contents[0])
    two.write_bytes(contents[1])


@pytest.mark.parametrize(
    "change",
    [
        _another_label,
        _another_reading,
        _a_reader_less,
        _two_readers_exchanged,
        _another_pixel,
        _another_human_image,
        _moved_to_another_part,
        _two_images_exchanged,
    ],
    ids=lambda change: change.__name__.strip("_").replace("_", " "),
)
def test_the_digest_changes_with_what_is_learnt_or_judged(folder, change):
    before = load(folder).digest
    change(folder)
    assert load(folder).digest != before


def ppm(levels: bytes) -> bytes:
    """Two pixels in a row, without a library that could write them otherwise."""
    assert len(levels) == 6
    return b"P6\n2 1\n255\n" + levels


def test_the_digest_of_a_fixed_data_set_is_the_same_on_every_machine(tmp_path):
    for name, levels in (("1.ppm", b"abcdef"), ("2.ppm", b"ABCDEF"), ("é 10.ppm", b"abcdef")):
        (tmp_path / name).write_bytes(ppm(levels))
    (tmp_path / "l.csv").write_text("f,v\n2.ppm,7\né 10.ppm,-1.5\n1.ppm,12\n", encoding="utf-8")
    cells = read_cells(tmp_path, CHARSET)
    found = load_images(cells, 8, 8, 1)
    assert found.digest == data_digest(cells) == "9c27bc7dabf72b34"
    assert found.groups == (0, 1, 0)


def test_nothing_is_written_into_the_folder(folder):
    def listing():
        return {
            path: (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else b"")
            for path in [folder, *folder.rglob("*")]
        }

    before = listing()
    load(folder)
    assert listing() == before


@pytest.mark.parametrize(("allowed", "limit"), [("200", 500), ("1000", 1000)])
def test_the_limit_that_pillow_has_for_the_process_is_only_ever_raised(
    folder, monkeypatch, allowed, limit
):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 500)
    monkeypatch.setenv("HEAD_TO_HEAD_MAX_PIXELS", allowed)
    image = folder / "small.png"
    Image.new("L", (10, 10)).save(image)
    decode(image, 8, 8, 1)
    assert limit == Image.MAX_IMAGE_PIXELS
