"""What weights have seen, image by image: from made splits, and from the command to the record."""

import csv
import shutil
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from analysis.record import LEARNT
from experiments.data.cells import Row
from experiments.data.images import Images
from experiments.data.splits import Split
from experiments.errors import UserError
from experiments.records.tracker import Tracker
from experiments.training import learnt as module
from experiments.training.learnt import Learnt, leaks, read_learnt, write_learnt

# Pictures by letters; those of each part, in order.
PARTS = ("train", "val", "test", "human")


def made(**parts: str) -> tuple[Images, Split]:
    """A data set with these pictures in each part."""
    pictures = [(part, picture) for part in PARTS for picture in parts.get(part, "")]
    rows = tuple(Row(part, f"{i}.jpg", "1", Path()) for i, (part, _) in enumerate(pictures))
    pixels = torch.zeros((len(rows), 1, 8, 8))
    images = Images("made", pixels, rows, tuple(picture for _, picture in pictures), {}, "d")
    at = {part: tuple(i for i, row in enumerate(rows) if row.part == part) for part in PARTS}
    return images, Split(**at, clean=frozenset())


def seen(trained: str = "", selected: str = "") -> Learnt:
    return Learnt(frozenset(trained), frozenset(selected))


@pytest.mark.parametrize(
    ("before", "found"),
    [
        (seen("ab", "v"), ""),  # a run of the same split
        (seen("xyz"), ""),  # of images that are not here
        (seen("av"), "1 validation images"),
        (seen("a", "t"), "1 test images"),  # that its epoch was chosen by is enough
        (seen("tu"), "2 test images"),
        (seen("hv"), "1 validation and 1 human-read images"),
        # The published lists have copies of test images in training: known to this run as well.
        (seen("abc", "vw"), ""),
    ],
)
def test_what_a_start_may_not_have_seen(before, found):
    images, split = made(train="abc", val="vw", test="tucw", human="hb")
    assert leaks(before, images, split) == found


def test_a_copy_of_a_test_image_that_only_the_start_has_is_refused():
    # The same lists, cut by another seed: `w`, in this run's validation part, was trained on.
    images, split = made(train="abc", val="vw", test="tcw")
    assert leaks(seen("abcw", "v"), images, split) == "1 validation images"


pictures = st.text("abcdefgh", max_size=8)


@given(st.tuples(pictures, pictures, pictures, pictures), pictures, pictures)
def test_no_judge_is_left_that_only_the_start_knows(parts, trained, selected):
    images, split = made(**dict(zip(PARTS, parts, strict=True)))
    train, val, test, human = map(set, parts)
    leaked = [
        bool(val & set(trained)),
        bool((test | human) & (set(trained) | set(selected)) - train - val),
    ]
    assert bool(leaks(seen(trained, selected), images, split)) == any(leaked)


def test_what_was_seen_comes_back_and_damage_is_named(tmp_path):
    wanted = Learnt(frozenset({"a" * 64, "c" * 64}), frozenset({"b" * 64, "c" * 64}))
    file = write_learnt(tmp_path, wanted)
    assert read_learnt(tmp_path) == wanted
    text = file.read_text()
    assert text.splitlines()[1:] == sorted(text.splitlines()[1:])
    for damaged in (
        "",
        text[:-20],
        text.replace("trained", "other"),
        text.replace("aa", "zz"),
        text.partition("\n")[2],
        text + '"',
        text + "\0",
    ):
        file.write_text(damaged)
        with pytest.raises(UserError, match=f"{LEARNT}: is damaged.*train it again"):
            read_learnt(tmp_path)
    file.write_bytes(text.encode() + b"\xff")
    with pytest.raises(UserError, match="is damaged"):
        read_learnt(tmp_path)
    file.unlink()
    assert read_learnt(tmp_path) is None


# --- from the command to the record


@pytest.fixture(scope="module")
def folder(make_cells, tmp_path_factory):
    """A folder without lists."""
    folder = tmp_path_factory.mktemp("csv") / "mine"
    published = make_cells(train=30, dev=10, human=0, duplicates=3, leaked=2, human_leaked=0)
    shutil.copytree(published / "cell_images/training_set", folder)
    shutil.copy(published / "cell_images/training_set_values.txt", folder / "labels.csv")
    return folder


SMALL = [
    f"--set={key}"
    for key in ("epochs=1", "batch_size=4", "width_stride=8", "hidden=8", "split=kfold", "folds=4")
]


@pytest.mark.slow
def test_a_run_that_saw_another_folds_test_part_is_no_start_whatever_became_of_the_data(
    cli, folder, tmp_path
):
    out = tmp_path / "out"

    def train(data, *settings):
        chosen = [f"--set={setting}" for setting in settings]
        return cli("train", "--preset", "smoke", "--data", data, "--out", out, *SMALL, *chosen)

    code, said, _ = train(folder, "fold=0")
    assert code == 0
    tracker = Tracker(out)
    first = said.split()[-1]
    run_hash = tracker.tags(first)["run_hash"]
    rows = csv.DictReader((tracker.artifacts(first) / LEARNT).read_text().splitlines())
    assert {row["use"] for row in rows} == {"trained", "selected"}

    # One label is corrected, one image is saved in another format, all get other names.
    corrected = tmp_path / "corrected"
    shutil.copytree(folder, corrected)
    file = corrected / "labels.csv"
    names, values = zip(*(r.split(";") for r in file.read_text().splitlines()[1:]), strict=True)
    Image.open(corrected / names[0]).save(corrected / "other.png")
    renamed = ["other.png", *(f"new{name}" for name in names[1:])]
    for name, new in zip(names[1:], renamed[1:], strict=True):
        (corrected / name).rename(corrected / new)
    labels = ["99", *values[1:]]
    pairs = zip(renamed, labels, strict=True)
    file.write_text("filename;value\n" + "".join(f"{name};{label}\n" for name, label in pairs))

    for data in (folder, corrected):
        for others in ((), ("image.width=80", "image.channels=3")):
            code, _, err = train(data, "fold=1", f"start={run_hash}", *others)
            assert (code, err.count("\n")) == (2, 1), err
            assert f"start: {run_hash} has learnt from" in err
            assert "test images" in err

    # The same fold of the same images goes on, and what both have seen is kept.
    shutil.rmtree(corrected)
    shutil.copytree(folder, corrected)
    file.write_text(file.read_text().replace(f"{names[0]};{values[0]}", f"{names[0]};99"))
    code, said, err = train(corrected, "fold=0", f"start={run_hash}")
    assert (code, err) == (0, "")
    then = read_learnt(tracker.artifacts(said.split()[-1]))
    assert then == read_learnt(tracker.artifacts(first))


def test_a_reader_of_the_suite_is_not_judged_by_what_it_has_learnt(monkeypatch):
    monkeypatch.setattr(module, "read_learnt", lambda _: seen("abt", "v"))
    module.refuse_learnt("one", *made(train="ab", val="v", test="uw"))
    with pytest.raises(UserError, match="one: has learnt from 1 test images of these"):
        module.refuse_learnt("one", *made(train="ab", val="v", test="tuw"))
    monkeypatch.setattr(module, "read_learnt", lambda _: None)
    with pytest.raises(UserError, match="one: has learnt from images that nobody knows"):
        module.refuse_learnt("one", *made(train="ab", val="v", test="uw"))
