"""The labelled folder: written at once, taken up again, and nothing of others touched."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from experiments.data.cells import read_cells
from experiments.data.images import load_images
from experiments.deploy.review.labels import Labelled
from experiments.errors import UserError

IMAGES = "cell_images/training_set"


@pytest.fixture(scope="module")
def cells(make_cells):
    return make_cells(train=24, dev=6, val=8, human=2)


@pytest.fixture
def images(cells):
    return sorted((cells / IMAGES).iterdir())[:6]


def as_read(folder):
    """What the suite itself reads in the folder."""
    rows = read_cells(folder, "0123456789.-").rows
    return {row.filename: row.label for row in rows}


def test_what_is_labelled_is_a_data_set(images, tmp_path):
    labelled = Labelled(tmp_path / "new", images)
    assert not (tmp_path / "new").exists()  # before there is an answer
    labelled.label(3, "12.5")
    labelled.label(0, "-7")
    labelled.label(3, "12.6")  # thought better of
    assert as_read(tmp_path / "new") == {images[0].name: "-7", images[3].name: "12.6"}
    assert {file.name for file in (tmp_path / "new").iterdir()} == {
        "labels.csv",
        images[0].name,
        images[3].name,
    }
    for number in (0, 3):
        copy = tmp_path / "new" / images[number].name
        assert copy.read_bytes() == images[number].read_bytes()
    made = read_cells(tmp_path / "new", "0123456789.-")
    assert load_images(made, 32, 60, 1).pixels.shape == (2, 1, 32, 60)


def test_a_review_goes_on_where_it_was_stopped(images, tmp_path):
    folder = tmp_path / "new"
    Labelled(folder, images).label(1, "12")
    shutil.copy(images[2], folder)  # stopped between an image and its row
    again = Labelled(folder, images)
    assert again.values == {1: "12"}
    again.label(2, "3")
    assert Labelled(folder, images).values == {1: "12", 2: "3"}
    assert len(as_read(folder)) == 2


@pytest.mark.parametrize("what", ["a file", "another name", "another image", "another list"])
def test_what_is_of_somebody_else_is_refused_and_stays(what, images, tmp_path):
    folder = tmp_path / "new"
    if what == "a file":
        folder.write_text("mine")
    else:
        Labelled(folder, images).label(0, "1")
    if what == "another name":
        (folder / "notes.txt").write_text("mine")
    elif what == "another image":
        shutil.copy(images[4], folder / images[0].name)
    elif what == "another list":
        (folder / "labels.csv").write_text("filename;value\n999.jpg;1\n")
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    with pytest.raises(UserError, match="another"):
        Labelled(folder, images)
    assert {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()} == before
    with pytest.raises(UserError, match="no such folder"):
        Labelled(tmp_path / "no/new", images)


def test_an_image_that_came_there_meanwhile_is_not_written_over(images, tmp_path):
    folder = tmp_path / "new"
    labelled = Labelled(folder, images)
    labelled.label(0, "1")
    (folder / images[1].name).write_bytes(b"mine")
    with pytest.raises(UserError, match="another image"):
        labelled.label(1, "2")
    assert (folder / images[1].name).read_bytes() == b"mine"
    assert as_read(folder) == {images[0].name: "1"}


def test_every_image_has_a_name_that_a_list_can_hold(images, tmp_path):
    names = ["a/1.png", "b/1.png", "b/1.PNG", "c/x;y.png", 'c/"q".png', "c/n\nl.png", "c/ s.png"]
    names += ["c/labels.csv", "c/=1.png", "c/ä ö.png", "c/a,b.png"]
    files = []
    for number, name in enumerate(names):
        file = tmp_path / "from" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(images[number % len(images)], file)
        files.append(file)
    labelled = Labelled(tmp_path / "new", files)
    for number in range(len(files)):
        labelled.label(number, str(number))
    found = as_read(tmp_path / "new")
    assert sorted(found.values(), key=int) == [str(number) for number in range(len(files))]
    for name, label in found.items():
        copy: Path = tmp_path / "new" / name
        assert copy.read_bytes() == files[int(label)].read_bytes()
    assert Labelled(tmp_path / "new", files).values == labelled.values
    assert {"1.png", "=1.png", "ä ö.png"} <= found.keys()


def test_of_two_reviews_in_one_folder_neither_loses_an_answer(images, tmp_path):
    first, second = Labelled(tmp_path / "new", images), Labelled(tmp_path / "new", images)
    first.label(0, "1")
    first.label(1, "2")
    with pytest.raises(UserError, match="something else has written it"):
        second.label(2, "3")
    first.label(3, "4")
    kept = {images[0].name: "1", images[1].name: "2", images[3].name: "4"}
    assert as_read(tmp_path / "new") == kept


def test_answers_of_several_threads_are_all_kept(images, tmp_path):
    for turn in range(20):
        labelled = Labelled(tmp_path / f"{turn}", images)
        with ThreadPoolExecutor(len(images)) as threads:
            for asked in [threads.submit(labelled.label, n, str(n)) for n in range(len(images))]:
                asked.result()
        assert Labelled(tmp_path / f"{turn}", images).values == {
            number: str(number) for number in range(len(images))
        }


def test_what_a_killed_review_was_writing_is_in_nobodys_way(images, tmp_path):
    folder = tmp_path / "new"
    Labelled(folder, images).label(0, "1")
    hidden = [folder / ".labels.csv.0123456789abcdef.making", folder / ".DS_Store"]
    for file in hidden:
        file.write_text("half")
    again = Labelled(folder, images)
    again.label(1, "2")
    assert as_read(folder) == {images[0].name: "1", images[1].name: "2"}
    assert hidden[1].read_text() == "half"
