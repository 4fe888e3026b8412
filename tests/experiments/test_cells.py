"""The published layout: what is read from it, what it is refused for, and what identifies it."""

from __future__ import annotations

import re
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import transforms

from experiments.data.cells import read_cells
from experiments.data.images import load_images
from experiments.errors import UserError

CHARSET = "0123456789.-"
VALUES = "cell_images/training_set_values.txt"
LABELLED = "cell_images/training_set"
HUMAN = "cell_images/validation_set"
SIZE = (34, 60, 3)  # the size that the cells have: nothing is resized


def load(folder, size=SIZE):
    return load_images(read_cells(folder, CHARSET), *size)


def rows_of(file):
    """The lines of a list, to be changed and written back."""
    return file.read_text().splitlines()


def rewrite(file, rows):
    file.write_text("".join(f"{row}\n" for row in rows))


def replace_row(file, number, row):
    """Put another row in; rows are counted from 1, as an editor does."""
    rows = rows_of(file)
    rows[number - 1] = row
    rewrite(file, rows)


def refused(folder, *words, charset=CHARSET):
    """Reading fails with one line that has all of these words."""
    with pytest.raises(UserError) as caught:
        load_images(read_cells(folder, charset), *SIZE)
    message = str(caught.value)
    assert "\n" not in message
    assert [word for word in words if word not in message] == []
    return message


@pytest.fixture
def folder(make_cells):
    return make_cells(train=6, dev=3, human=2, duplicates=0, leaked=0, human_leaked=0)


# --- what is read


def test_every_listed_image_comes_with_its_part_and_label(make_cells):
    folder = make_cells(train=6, val=2, dev=3, human=2, name="mine")
    cells = read_cells(folder, CHARSET)
    assert cells.name == "mine"
    assert [row.part for row in cells.rows] == (
        ["train"] * 6 + ["val"] * 2 + ["dev"] * 3 + ["human"] * 2
    )
    labels = dict(row.split(";") for row in rows_of(folder / VALUES)[1:])
    for row in cells.rows:
        if row.part == "human":
            assert (row.label, row.path) == (None, folder / HUMAN / row.filename)
        else:
            assert (row.label, row.path) == (
                labels[row.filename],
                folder / LABELLED / row.filename,
            )
    for part in ("train", "val", "dev"):
        listed = [line.split()[0] for line in rows_of(folder / f"crnn_labels/{part}.txt")]
        assert [row.filename for row in cells.rows if row.part == part] == listed


def test_labels_stay_the_texts_that_they_are(folder):
    values = folder / VALUES
    replace_row(values, 2, "1.jpg;007")
    replace_row(values, 3, "2.jpg;1.0")
    replace_row(values, 4, "3.jpg;-.5")
    labels = {row.filename: row.label for row in read_cells(folder, CHARSET).rows[:3]}
    assert labels == {"1.jpg": "007", "2.jpg": "1.0", "3.jpg": "-.5"}


def test_labelled_images_in_no_list_are_left_alone(folder):
    before = len(read_cells(folder, CHARSET).rows)
    with (folder / VALUES).open("a") as values:
        values.write("unlisted.jpg;not even a number\n")
    (folder / LABELLED / "stray.jpg").write_bytes(b"no image")
    assert len(load(folder).rows) == before


def test_readings_are_read_and_their_images_are_the_human_part(folder):
    output = folder / "output"
    rewrite(output / "human1.txt", ["filename;value", "10.jpg;1.5", "9.jpg;"])
    rewrite(output / "human2.txt", ["filename;value", "10.jpg;?", "2.jpg;7;8"])
    (output / "output1.txt").unlink()
    (output / "output2.txt").unlink()
    for name in ("9.jpg", "10.jpg"):
        shutil.copy(folder / HUMAN / "2.jpg", folder / HUMAN / name)
    cells = read_cells(folder, CHARSET)
    # A person may write anything, or nothing; only labels are learnt and must be in the charset.
    assert cells.readings == {
        "human1": {"10.jpg": "1.5", "9.jpg": ""},
        "human2": {"10.jpg": "?", "2.jpg": "7;8"},
    }
    human = [row.filename for row in cells.rows if row.part == "human"]
    assert human == ["2.jpg", "9.jpg", "10.jpg"]  # in the order of numbers, not of text


def test_val_list_and_readings_are_optional(make_cells):
    folder = make_cells(human=0, human_leaked=0)
    cells = read_cells(folder, CHARSET)
    assert {row.part for row in cells.rows} == {"train", "dev"}
    assert cells.readings == {}


def test_a_bom_and_crlf_are_accepted(folder):
    plain = load(folder)
    for file in [*folder.rglob("*.txt")]:
        text = file.read_text().replace("\n", "\r\n")
        file.write_bytes(b"\xef\xbb\xbf" + text.encode() + b"\r\n")
    dressed = load(folder)
    assert dressed.rows == plain.rows
    assert dressed.readings == plain.readings
    assert dressed.digest == plain.digest


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


def test_nothing_is_written_into_the_folder(folder):
    def listing():
        return {
            path: (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else b"")
            for path in [folder, *folder.rglob("*")]
        }

    before = listing()
    load(folder)
    assert listing() == before


# --- what a user can put right


def test_a_missing_folder_says_how_to_name_one(tmp_path):
    refused(tmp_path / "nowhere", str(tmp_path / "nowhere"), "no such folder", "--data")


@pytest.mark.parametrize("name", [VALUES, "crnn_labels/train.txt", "crnn_labels/dev.txt"])
def test_a_missing_list_is_named(folder, name):
    (folder / name).unlink()
    refused(folder, str(folder / name), "no such file", "README")


@pytest.mark.parametrize(
    "name", [VALUES, "crnn_labels/train.txt", "crnn_labels/dev.txt", "output/human1.txt"]
)
@pytest.mark.parametrize("blank", ["", "\n \n"])
def test_an_empty_list_is_named(folder, name, blank):
    (folder / name).write_text(blank)
    refused(folder, str(folder / name), "empty", "add at least one")


def test_a_header_alone_is_an_empty_list(folder):
    (folder / VALUES).write_text("filename;value\n")
    refused(folder, str(folder / VALUES), "empty")


def test_an_empty_val_list_is_no_val_list_of_ones_own(folder):
    (folder / "crnn_labels/val.txt").write_text("")
    refused(folder, "val.txt", "empty")


def test_a_list_that_is_no_text_is_named(folder):
    (folder / VALUES).write_bytes(b"filename;value\n1.jpg;\xff\n")
    refused(folder, str(folder / VALUES), "UTF-8")


def test_a_label_outside_the_charset_is_named_with_its_row(folder):
    replace_row(folder / VALUES, 4, "3.jpg;1,5")
    refused(folder, f"{folder / VALUES}, row 4: 3.jpg", "'1,5'", "','", CHARSET, "set charset")


def test_a_larger_charset_takes_it(folder):
    replace_row(folder / VALUES, 4, "3.jpg;1,5")
    assert read_cells(folder, CHARSET + ",").rows[2].label == "1,5"


def test_rows_are_counted_as_an_editor_does(folder):
    # Blank lines have numbers too.
    values = folder / VALUES
    rewrite(values, ["filename;value", "", "", *rows_of(values)[1:]])
    replace_row(values, 6, "3.jpg;x")
    refused(folder, "row 6: 3.jpg")


def test_an_empty_label_is_named_with_its_row(folder):
    replace_row(folder / VALUES, 3, "2.jpg;")
    refused(folder, f"{folder / VALUES}, row 3: 2.jpg", "empty label")


def test_a_row_without_a_semicolon_is_named(folder):
    replace_row(folder / VALUES, 3, "2.jpg,17")
    refused(folder, f"{folder / VALUES}, row 3", "'2.jpg,17'", "filename;value")


def test_a_row_without_a_file_name_is_named(folder):
    replace_row(folder / VALUES, 3, ";17")
    refused(folder, f"{folder / VALUES}, row 3", "filename;value")


def test_a_row_of_readings_without_a_semicolon_is_named(folder):
    replace_row(folder / "output/human1.txt", 2, "12")
    refused(folder, f"{folder / 'output/human1.txt'}, row 2", "filename;value")


def test_two_values_for_one_image_are_refused(folder):
    with (folder / VALUES).open("a") as values:
        values.write("2.jpg;-0.12\n")
    refused(folder, "2.jpg", "second value", "row 11")


def test_the_same_value_twice_does_no_harm(folder):
    before = load(folder)
    rows = rows_of(folder / VALUES)
    rewrite(folder / VALUES, [*rows, rows[1]])
    assert load(folder).digest == before.digest


def test_a_listed_image_without_a_value_is_named(folder):
    with (folder / "crnn_labels/dev.txt").open("a") as dev:
        dev.write("99.jpg 1 2\n")
    refused(folder, f"{folder / 'crnn_labels/dev.txt'}, row 4: 99.jpg", "no value", str(VALUES))


@pytest.mark.parametrize(("part", "row"), [("train", 7), ("dev", 4)])
def test_a_file_name_in_two_lists_or_twice_in_one_is_named(folder, part, row):
    with (folder / f"crnn_labels/{part}.txt").open("a") as file:
        file.write("2.jpg\n")
    refused(folder, f"{part}.txt, row {row}: 2.jpg", "already in the train list", "keep one")


@pytest.mark.parametrize("name", [f"{LABELLED}/2.jpg", f"{HUMAN}/2.jpg"])
def test_a_listed_image_that_is_absent_is_named(folder, name):
    (folder / name).unlink()
    refused(folder, str(folder / name), "absent", "remove its rows")


def test_a_truncated_jpeg_is_named(folder):
    file = folder / LABELLED / "5.jpg"
    content = file.read_bytes()
    file.write_bytes(content[: len(content) * 2 // 3])
    refused(folder, str(file), "not a readable image", "replace or remove it")


@pytest.mark.parametrize("content", [b"", b"filename;value\n", b"\xff\xd8\xff\xe0"])
def test_what_is_no_image_is_named(folder, content):
    file = folder / LABELLED / "5.jpg"
    file.write_bytes(content)
    refused(folder, str(file), "not a readable image")


def test_a_human_image_that_cannot_be_read_is_named(folder):
    file = folder / HUMAN / "1.jpg"
    file.write_bytes(b"nothing")
    refused(folder, str(file), "not a readable image")


def test_a_values_file_without_its_header_is_refused(make_cells):
    folder = make_cells()
    values = folder / "cell_images/training_set_values.txt"
    values.write_text("\n".join(values.read_text().splitlines()[1:]))
    with pytest.raises(UserError, match=r"row 1.*no header.*put filename;value first"):
        read_cells(folder, "0123456789.-")
