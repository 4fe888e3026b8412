"""What is read from a data set's lists. What they are refused for: test_damage.py."""

from __future__ import annotations

import shutil

import pytest

from experiments.data.cells import read_cells
from experiments.errors import UserError
from tests.editing import replace_row, rewrite, rows_of

CHARSET = "0123456789.-"
VALUES = "cell_images/training_set_values.txt"
LABELLED = "cell_images/training_set"
HUMAN = "cell_images/validation_set"


@pytest.fixture
def folder(make_cells):
    return make_cells(train=6, dev=3, human=2, duplicates=0, leaked=0, human_leaked=0)


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
    cells = read_cells(folder, CHARSET)
    assert len(cells.rows) == before
    assert [(row.filename, row.label) for row in cells.unlisted] == [
        ("unlisted.jpg", "not even a number")
    ]


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


def test_a_folder_with_a_csv_file_has_labelled_images_alone(make_cells):
    folder = make_cells(train=6, dev=0, human=0, duplicates=0, leaked=0, human_leaked=0) / LABELLED
    (folder / "sub").mkdir()
    (folder / "6.jpg").rename(folder / "sub/6.jpg")
    labels = {"1.jpg": "007", "2.jpg": "1.0", "3.jpg": "-.5", "10.jpg": "8", "sub/6.jpg": "1,5"}
    (folder / "10.jpg").write_bytes((folder / "4.jpg").read_bytes())
    text = "".join(f'"{name}","{label}"\n' for name, label in reversed(labels.items()))
    (folder / "Labels.CSV").write_text(f"image,what it says\n{text}")
    cells = read_cells(folder, CHARSET + ",")
    assert cells.name == "training_set"
    # In the order of numbers, not of the list.
    assert [(row.part, row.filename, row.label) for row in cells.rows] == [
        ("labelled", name, label) for name, label in labels.items()
    ]
    assert [row.path for row in cells.rows] == [folder / name for name in labels]
    assert (cells.readings, cells.unlisted) == ({}, ())


def test_labels_of_a_charset_of_ones_own(folder):
    charset = "0123456789/,%ab é"
    labels = ["1/2", "1,5", "7%", "ba", "3 é"]
    for row, label in enumerate(labels, 2):
        replace_row(folder / VALUES, row, f"{row - 1}.jpg;{label}")
    replace_row(folder / VALUES, 7, "6.jpg;0")
    for row in (8, 9, 10):
        replace_row(folder / VALUES, row, f"{row - 1}.jpg;1")
    assert [row.label for row in read_cells(folder, charset).rows[:5]] == labels
    with pytest.raises(UserError, match=r"row 6: 5\.jpg .*'é' is not in the charset"):
        read_cells(folder, charset[:-1])


def test_rows_are_counted_as_an_editor_does(folder):
    # Blank lines have numbers too.
    values = folder / VALUES
    rewrite(values, ["filename;value", "", "", *rows_of(values)[1:]])
    replace_row(values, 6, "3.jpg;x")
    with pytest.raises(UserError, match=r"row 6: 3\.jpg"):
        read_cells(folder, CHARSET)
