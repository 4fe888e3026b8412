"""What every split must keep apart, on data sets with copies anywhere."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from experiments.config import RunConfig
from experiments.data import splits
from experiments.data.cells import Row, read_cells
from experiments.data.images import Images, load_images
from experiments.errors import UserError

modest = settings(deadline=None, max_examples=100)


def images_of(listed: list[tuple[str, int]]) -> Images:
    """A data set of which only parts and copies matter. listed: (part, what is on it) an image."""
    rows = tuple(
        Row(part, f"{number}.jpg", None if part == "human" else "1", Path(f"{number}.jpg"))
        for number, (part, _) in enumerate(listed, 1)
    )
    pictures = [picture for _, picture in listed]
    groups = tuple(pictures.index(picture) for picture in pictures)
    return Images("made", torch.zeros((len(rows), 1, 8, 8)), rows, groups, {}, "d")


@st.composite
def data_sets(draw, own_val=None):
    """Up to 60 images of few different pictures, so that copies are everywhere."""
    own_val = draw(st.booleans()) if own_val is None else own_val
    counts = [
        ("train", draw(st.integers(8, 30))),
        ("val", draw(st.integers(1, 10)) if own_val else 0),
        ("dev", draw(st.integers(1, 12))),
        ("human", draw(st.integers(0, 8))),
    ]
    different = draw(st.integers(12, 80))
    return images_of(
        [(part, draw(st.integers(1, different))) for part, count in counts for _ in range(count)]
    )


def make_split(images, kind, fraction, seed, **settings):
    config = RunConfig(split=kind, val_fraction=fraction, seed=seed, **settings)
    try:
        return splits.make_split(images, config)
    except UserError:
        # Nothing is left to learn from, or to judge by: told, and no split.
        reject()


def at(images, part):
    return [i for i, row in enumerate(images.rows) if row.part == part]


def groups_of(images, indices):
    return {images.groups[i] for i in indices}


def names(images, indices):
    return {images.rows[i].filename for i in indices}


fractions = st.floats(0.01, 0.5)
seeds = st.integers(0, 1000)
kinds = st.sampled_from(["published", "clean"])


@given(data_sets(), kinds, fractions, seeds)
@modest
def test_nothing_is_learnt_from_that_is_selected_on(images, kind, fraction, seed):
    split = make_split(images, kind, fraction, seed)
    assert not groups_of(images, split.train) & groups_of(images, split.val)
    assert not set(split.train) & set(split.val)
    assert not (set(split.train) | set(split.val)) & (set(split.test) | set(split.human))
    for part in (split.train, split.val, split.test, split.human):
        assert len(set(part)) == len(part)


@given(data_sets(own_val=False), kinds, fractions, seeds)
@modest
def test_a_val_part_that_is_cut_leaves_no_training_image_out(images, kind, fraction, seed):
    split = make_split(images, kind, fraction, seed)
    assert sorted(split.train + split.val) == at(images, "train")
    assert split.val  # there is always something to select on


@given(data_sets(own_val=True), kinds, fractions, seeds)
@modest
def test_a_val_list_of_ones_own_is_taken_as_it_is(images, kind, fraction, seed):
    split = make_split(images, kind, fraction, seed)
    assert list(split.val) == at(images, "val")
    # Of the training list only copies of its images are missing.
    held = groups_of(images, split.val)
    assert list(split.train) == [i for i in at(images, "train") if images.groups[i] not in held]
    # Neither fraction nor seed has anything to decide.
    assert make_split(images, kind, 1 - fraction, seed + 1) == split


@given(data_sets(), fractions, seeds)
@modest
def test_the_published_test_part_is_the_dev_list_in_its_order(images, fraction, seed):
    split = make_split(images, "published", fraction, seed)
    assert list(split.test) == at(images, "dev")
    assert list(split.human) == at(images, "human")


@given(data_sets(), fractions, seeds)
@modest
def test_the_clean_test_part_has_no_copy_of_what_training_may_see(images, fraction, seed):
    split = make_split(images, "clean", fraction, seed)
    seen = groups_of(images, at(images, "train") + at(images, "val"))
    assert not groups_of(images, split.test) & seen
    # It leaves out no other image, and the human part stays whole.
    assert list(split.test) == [i for i in at(images, "dev") if images.groups[i] not in seen]
    assert list(split.human) == at(images, "human")


@given(data_sets(), kinds, fractions, seeds)
@modest
def test_clean_names_the_leak_free_images_of_test_and_human(images, kind, fraction, seed):
    split = make_split(images, kind, fraction, seed)
    # A copy in a part that is not learnt from in this run counts too: the same for every seed.
    # (All labels are alike here, so there are no conflicts.)
    pictures = [images.groups[i] for i in at(images, "train") + at(images, "val")]
    wanted = {
        i for i in at(images, "dev") + at(images, "human") if pictures.count(images.groups[i]) == 0
    }
    assert split.clean == wanted


@given(data_sets(), fractions, seeds)
@modest
def test_the_two_splits_learn_from_the_same_images(images, fraction, seed):
    published = make_split(images, "published", fraction, seed)
    clean = make_split(images, "clean", fraction, seed)
    assert (published.train, published.val) == (clean.train, clean.val)
    assert published.clean == clean.clean


@given(data_sets(), kinds, fractions, seeds)
@modest
def test_the_same_settings_give_the_same_split(images, kind, fraction, seed):
    assert make_split(images, kind, fraction, seed) == make_split(images, kind, fraction, seed)


@given(data_sets(), kinds, fractions, seeds, st.randoms(use_true_random=False))
@modest
def test_the_order_of_rows_decides_nothing(images, kind, fraction, seed, random):
    order = list(range(len(images.rows)))
    random.shuffle(order)
    shuffled_groups = [images.groups[i] for i in order]
    shuffled = Images(
        "made",
        images.pixels,
        tuple(images.rows[i] for i in order),
        # Groups are named by their first image: in another order they have other names.
        tuple(shuffled_groups.index(group) for group in shuffled_groups),
        {},
        "d",
    )
    one, other = (make_split(i, kind, fraction, seed) for i in (images, shuffled))
    for part in ("train", "val", "test", "human", "clean"):
        assert names(images, getattr(one, part)) == names(shuffled, getattr(other, part)), part


@given(data_sets(own_val=False), fractions, seeds)
@modest
def test_the_val_part_is_as_large_as_asked_for_to_within_one_group(images, fraction, seed):
    split = make_split(images, "published", fraction, seed)
    train = at(images, "train")
    sizes = [sum(images.groups[i] == group for i in train) for group in groups_of(images, train)]
    wanted = fraction * len(train)
    assert wanted <= len(split.val) < wanted + max(sizes)


@pytest.mark.parametrize("fraction", [0.05, 0.1, 0.25])
def test_the_val_share_of_many_images_is_the_fraction(fraction):
    images = images_of([("train", i // 2) for i in range(2000)] + [("dev", -1)])
    split = make_split(images, "published", fraction, seed=3)
    assert len(split.val) / 2000 == pytest.approx(fraction, abs=0.001)


def test_seeds_give_different_val_parts_that_cover_the_list_evenly():
    images = images_of([("train", i) for i in range(200)] + [("dev", -1)])
    parts = [set(make_split(images, "published", 0.1, seed).val) for seed in range(40)]
    assert len({frozenset(part) for part in parts}) == 40
    # Two draws of 20 of 200 have 2 in common on average; nothing like the same part again.
    shared = [len(a & b) for n, a in enumerate(parts) for b in parts[:n]]
    assert sum(shared) / len(shared) == pytest.approx(2, abs=0.3)
    # Each image is in with chance 0.1: after 40 draws hardly any (1.5%) has never been.
    assert len(set.union(*parts)) > 185


def test_a_larger_fraction_adds_to_the_smaller_val_part():
    images = images_of([("train", i // 3) for i in range(90)] + [("dev", -1)])
    small, large = (make_split(images, "published", f, seed=5).val for f in (0.1, 0.4))
    assert set(small) < set(large)


def test_copies_in_files_are_kept_together(make_cells):
    # The same through files: training images 8 and 9 are copies of 0 and 1, the last two dev
    # images and the last human one are copies of 0 and 1 too.
    folder = make_cells(train=10, dev=5, human=3, duplicates=2, leaked=2, human_leaked=1)
    images = load_images(read_cells(folder, "0123456789.-"), 16, 30, 1)
    parts = set()
    for seed in range(20):
        split = make_split(images, "clean", 0.3, seed)
        for one, copy in ((0, 8), (1, 9)):
            assert (one in split.val) == (copy in split.val)
        assert split.test == (10, 11, 12)
        assert split.clean == {10, 11, 12, 15, 16}
        parts.add(0 in split.val)
    assert parts == {True, False}


@given(data_sets(own_val=False), fractions, seeds)
@modest
def test_something_is_left_to_learn_from(images, fraction, seed):
    # True where no single picture is much of the list: one group may overshoot the fraction.
    train = at(images, "train")
    counts = [sum(images.groups[i] == g for i in train) for g in groups_of(images, train)]
    if fraction * len(train) + max(counts) <= len(train):
        assert make_split(images, "published", fraction, seed).train
