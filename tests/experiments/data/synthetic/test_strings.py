"""The embedded data set: the same bytes every time, fair parts, and labels like the published."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from experiments.data.cells import read_cells
from experiments.data.images import load_images
from experiments.data.synthetic.strings import (
    COUNTS,
    _cell,
    _load_digits,
    _pools,
    _text,
    ensure_strings,
)

CHARSET = "0123456789.-"
SMALL = {"train": 12, "val": 4, "dev": 5}


def files_of(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture(scope="module")
def parent(tmp_path_factory):
    return tmp_path_factory.mktemp("embedded")


@pytest.fixture(scope="module")
def folder(parent):
    return ensure_strings(parent, seed=3, counts=SMALL)


def test_the_same_seed_gives_the_same_bytes(folder, tmp_path):
    again = ensure_strings(tmp_path, seed=3, counts=SMALL)
    assert again != folder
    assert files_of(again) == files_of(folder)


def test_another_seed_gives_other_labels_and_images(folder, parent):
    other = ensure_strings(parent, seed=4, counts=SMALL)
    assert other != folder
    one, two = files_of(folder), files_of(other)
    assert one.keys() == two.keys()
    assert one["cell_images/training_set_values.txt"] != two["cell_images/training_set_values.txt"]
    images = [name for name in one if name.endswith(".jpg")]
    assert len(images) == 21
    assert all(one[name] != two[name] for name in images)


def test_another_size_is_another_folder_and_the_default_has_its_own(folder, parent):
    larger = ensure_strings(parent, seed=3, counts=SMALL | {"dev": 6})
    assert larger != folder
    assert len(list((larger / "cell_images/training_set").iterdir())) == 22
    assert set(COUNTS) == set(SMALL)


def test_it_is_read_like_any_other_data_set(folder):
    cells = read_cells(folder, CHARSET)
    assert cells.name == "strings"
    assert [row.part for row in cells.rows] == ["train"] * 12 + ["val"] * 4 + ["dev"] * 5
    # At its own size nothing is resized, so this is also the size of the files.
    images = load_images(cells, 34, 60, 3)
    for row in cells.rows:
        with Image.open(row.path) as file:
            assert (file.format, file.mode, file.size) == ("JPEG", "RGB", (60, 34))
    # Every cell is a drawing of its own, and none is an empty or flat one.
    assert images.groups == tuple(range(21))
    assert images.pixels.float().std(dim=(1, 2, 3)).min() > 3


def test_ink_is_darker_than_paper_and_longer_numbers_take_more_of_it(tmp_path):
    # The link from label to image, told coarsely: dark columns grow with the number of digits.
    folder = ensure_strings(tmp_path, seed=0, counts={"train": 150, "val": 1, "dev": 1})
    images = load_images(read_cells(folder, CHARSET), 34, 60, 1)
    inner = images.pixels[:, 0, 4:-4, 3:-3].float()
    paper = inner.flatten(1).median(dim=1).values
    dark = (inner.min(dim=1).values < paper[:, None] - 35).sum(dim=1)
    by_length = {
        length: np.mean(
            [d for d, row in zip(dark.tolist(), images.rows, strict=True) if digits(row) == length]
        )
        for length in (1, 2, 3)
    }
    assert by_length[1] < by_length[2] < by_length[3]


def digits(row):
    return sum(character.isdigit() for character in row.label)


# --- made once, and whole


def test_what_is_there_is_not_made_again(folder, parent, monkeypatch):
    # Not even beside it, to be thrown away: that takes a while at the full size.
    monkeypatch.delattr("experiments.data.synthetic.strings.write_strings")
    before = {path: path.stat().st_mtime_ns for path in [folder, *folder.rglob("*")]}
    assert ensure_strings(parent, seed=3, counts=SMALL) == folder
    assert {path: path.stat().st_mtime_ns for path in [folder, *folder.rglob("*")]} == before


def test_nothing_is_left_beside_the_data_set(folder):
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_what_a_killed_process_left_is_not_taken_for_the_data_set(folder, tmp_path):
    # Where another process would have been making it, half done.
    place = tmp_path / folder.parent.name
    half = place / "making-abc123"
    (half / "crnn_labels").mkdir(parents=True)
    (half / "crnn_labels/train.txt").write_text("1.jpg\n")
    found = ensure_strings(tmp_path, seed=3, counts=SMALL)
    assert found == place / folder.name
    assert files_of(found) == files_of(folder)


def test_a_failure_leaves_no_data_set_behind(tmp_path, monkeypatch):
    def broken(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("experiments.data.synthetic.strings._cell", broken)
    with pytest.raises(KeyboardInterrupt):
        ensure_strings(tmp_path, counts=SMALL)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    monkeypatch.undo()
    assert len(files_of(ensure_strings(tmp_path, counts=SMALL))) == 21 + 4


def test_one_that_another_process_finished_first_is_taken(folder, tmp_path, monkeypatch):
    def write_beside(making, *_):
        # While this process writes its own, another one renames its folder into place.
        (making / "ours.txt").write_text("ours")
        theirs = making.parent / folder.name
        theirs.mkdir()
        (theirs / "theirs.txt").write_text("theirs")

    monkeypatch.setattr("experiments.data.synthetic.strings.write_strings", write_beside)
    found = ensure_strings(tmp_path, seed=3, counts=SMALL)
    assert [path.name for path in found.iterdir()] == ["theirs.txt"]
    assert [path.name for path in found.parent.iterdir()] == [found.name]


# --- glyphs


def test_no_glyph_is_in_two_pools_and_none_is_lost():
    _, labels = _load_digits()
    for seed in (0, 1):
        pools = _pools(labels, seed)
        assert len(pools) == 3  # train, val, dev
        flat = np.concatenate([at for pool in pools for at in pool])
        assert sorted(flat.tolist()) == list(range(5000))
        for pool in pools:
            assert len(pool) == 10
            for digit, at in enumerate(pool):
                assert set(labels[at].tolist()) == {digit}
        assert [sum(map(len, pool)) for pool in pools] == [3500, 500, 1000]


def test_each_part_draws_from_a_pool_of_its_own(tmp_path, monkeypatch):
    used = []

    def spy(text, digits, pool, rng):
        used.append(frozenset(np.concatenate(pool).tolist()))
        return _cell(text, digits, pool, rng)

    monkeypatch.setattr("experiments.data.synthetic.strings._cell", spy)
    ensure_strings(tmp_path, counts={"train": 3, "val": 2, "dev": 2})
    train, val, dev = used[0], used[3], used[5]
    assert used == [train] * 3 + [val] * 2 + [dev] * 2
    assert not train & val
    assert not train & dev
    assert not val & dev


def test_the_seed_decides_which_glyphs_are_held_out():
    _, labels = _load_digits()
    one, two = (set(_pools(labels, seed)[2][7].tolist()) for seed in (0, 1))
    assert len(one) == len(two) == 100
    assert one != two


def test_glyphs_are_ink_on_nothing():
    digits, labels = _load_digits()
    assert digits.shape == (5000, 28, 28)
    assert np.bincount(labels).tolist() == [500] * 10
    # The edge is empty and the ink is in the middle, so it is ink that is told by large values.
    assert digits[:, 0].max() == 0
    assert digits[:, 12:16, 12:16].mean() > 60


# --- labels


def test_the_mix_of_labels_is_near_the_published_one():
    rng = np.random.default_rng(0)
    labels = [_text(rng) for _ in range(6000)]

    def percent(condition):
        return 100 * sum(map(condition, labels)) / len(labels)

    # Of the published data; a sample of 6,000 is within 1.3 points of its own mean.
    assert percent(lambda t: len(t) == 2) == pytest.approx(43, abs=2)
    assert percent(lambda t: len(t) == 3) == pytest.approx(25, abs=2)
    assert percent(lambda t: "." in t) == pytest.approx(29, abs=2)
    assert percent(lambda t: "-" in t) == pytest.approx(2, abs=0.7)
    assert percent(lambda t: any(a == b for a, b in pairwise(t))) == pytest.approx(23, abs=3)
    assert {len(t) for t in labels} <= set(range(1, 9))


def test_labels_are_numbers():
    rng = np.random.default_rng(1)
    for text in (_text(rng) for _ in range(2000)):
        float(text)  # raises for '1.2.3', '5-' and ''
        assert set(text) <= set(CHARSET)
        assert not text.endswith(".")
        assert text.lstrip("-")[0].isdigit()
