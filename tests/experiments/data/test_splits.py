"""What every split must keep apart, on data sets with copies anywhere."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from experiments.data import splits
from experiments.data.cells import Row, read_cells
from experiments.data.images import Images, load_images
from experiments.errors import UserError
from experiments.settings.config import RunConfig

modest = settings(max_examples=100)


def images_of(listed: list[tuple[str, int]], labels: list[str] | None = None) -> Images:
    """A data set of which only parts, copies and labels matter.

    listed: (part, what is on it) an image. labels: one an image; without them all are alike.
    """
    labels = labels or ["1"] * len(listed)
    rows = tuple(
        Row(part, f"{number}.jpg", None if part == "human" else label, Path(f"{number}.jpg"))
        for number, ((part, _), label) in enumerate(zip(listed, labels, strict=True), 1)
    )
    pictures = tuple(f"picture {picture}" for _, picture in listed)
    return Images("made", torch.zeros((len(rows), 1, 8, 8)), rows, pictures, {}, "d")


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


@st.composite
def folders(draw, most=4):
    """Up to 60 labelled images in no list, of pictures of which up to `most` are copies."""
    counts = draw(st.lists(st.integers(1, most), min_size=12, max_size=20))
    pictures = [("labelled", number) for number, count in enumerate(counts) for _ in range(count)]
    labels = draw(st.lists(st.sampled_from("12"), min_size=len(pictures), max_size=len(pictures)))
    return images_of(draw(st.permutations(pictures)), labels)


def shuffled(images, random):
    """The same data set with its rows in another order."""
    order = list(range(len(images.rows)))
    random.shuffle(order)
    return Images(
        "made",
        images.pixels,
        tuple(images.rows[i] for i in order),
        tuple(images.identities[i] for i in order),
        {},
        "d",
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
    turned = shuffled(images, random)
    one, other = (make_split(i, kind, fraction, seed) for i in (images, turned))
    for part in ("train", "val", "test", "human", "clean"):
        assert names(images, getattr(one, part)) == names(turned, getattr(other, part)), part
    assert one.digest(images) == other.digest(turned)


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


# --- folds


@given(st.one_of(data_sets(), folders()), st.integers(2, 6), seeds)
@modest
def test_every_labelled_image_is_in_the_test_part_of_one_fold(images, folds, seed):
    labelled = [i for i, row in enumerate(images.rows) if row.part != "human"]
    splits = [
        make_split(images, "kfold", 0.2, seed, folds=folds, fold=fold) for fold in range(folds)
    ]
    assert sorted(i for split in splits for i in split.test) == labelled
    for split in splits:
        # Whole groups: nothing that is judged is learnt from or selected on, nor a copy of it.
        learnt = groups_of(images, split.train) | groups_of(images, split.val)
        assert not groups_of(images, split.test) & learnt
        assert not groups_of(images, split.train) & groups_of(images, split.val)
        assert sorted(split.train + split.val + split.test) == labelled
        assert list(split.human) == at(images, "human")
    sizes = [len(split.test) for split in splits]
    groups = [images.groups[i] for i in labelled]
    assert max(sizes) - min(sizes) <= max(groups.count(group) for group in groups)


@given(folders(), st.integers(2, 5), seeds, seeds, st.randoms(use_true_random=False))
@modest
def test_a_fold_depends_on_nothing_but_the_images(images, folds, seed, other, random):
    turned = shuffled(images, random)
    for fold in range(folds):
        one = make_split(images, "kfold", 0.2, seed, folds=folds, fold=fold)
        two = make_split(turned, "kfold", 0.3, other, folds=folds, fold=fold)
        assert names(images, one.test) == names(turned, two.test)
        assert names(images, one.clean) == names(turned, two.clean)


def test_the_folds_of_single_images_are_of_one_size():
    images = images_of([("labelled", number) for number in range(103)])
    tests = [make_split(images, "kfold", 0.1, 0, folds=5, fold=fold).test for fold in range(5)]
    assert sorted(map(len, tests)) == [20, 20, 21, 21, 21]
    # Nor are they runs of neighbours.
    assert all(len({i // 21 for i in test}) >= 4 for test in tests)


def test_more_folds_than_groups_are_refused_by_name():
    images = images_of([("labelled", number % 3) for number in range(30)])
    config = RunConfig(split="kfold", folds=4, fold=3)
    with pytest.raises(UserError, match=r"made: the test part of the split is empty.*folds"):
        splits.make_split(images, config)


# --- a folder without lists


@given(folders(), st.floats(0.05, 0.5), seeds, seeds, st.randoms(use_true_random=False))
@modest
def test_the_test_part_of_a_folder_is_whole_groups_and_the_same_for_all(
    images, fraction, seed, other, random
):
    turned = shuffled(images, random)
    one = make_split(images, "published", 0.2, seed, test_fraction=fraction)
    two = make_split(turned, "published", 0.4, other, test_fraction=fraction)
    assert names(images, one.test) == names(turned, two.test)
    rest = groups_of(images, one.train) | groups_of(images, one.val)
    assert not groups_of(images, one.test) & rest
    assert sorted(one.train + one.val + one.test) == list(range(len(images.rows)))
    largest = max(images.groups.count(group) for group in images.groups)
    wanted = fraction * len(images.rows)
    assert wanted <= len(one.test) < wanted + largest


def test_a_larger_test_fraction_adds_to_the_smaller_test_part():
    images = images_of([("labelled", number // 2) for number in range(200)])
    small, large = (
        make_split(images, "published", 0.1, 0, test_fraction=fraction).test
        for fraction in (0.1, 0.3)
    )
    assert (len(small), len(large)) == (20, 60)
    assert set(small) < set(large)


# --- labels that contradict each other


@given(folders(), st.sampled_from(["published", "clean", "kfold"]), seeds)
@modest
def test_identical_images_with_different_labels_judge_nobody_in_clean(images, kind, seed):
    split = make_split(images, kind, 0.2, seed)
    labels = {}
    for group, row in zip(images.groups, images.rows, strict=True):
        labels.setdefault(group, set()).add(row.label)
    doubtful = {group for group, found in labels.items() if len(found) > 1}
    assert splits.conflicting(images) == doubtful
    assert not groups_of(images, split.clean) & doubtful
    # Here nothing else keeps a test image out of it: its copies are all in the test part.
    sure = {i for i in split.test if images.groups[i] not in doubtful}
    assert split.clean == sure
    if kind == "clean":
        assert set(split.test) == sure


def test_a_conflict_with_a_training_image_or_among_people_s_images_counts_too():
    # Picture 1: two labels in training, and one that people read. Picture 2: a copy in dev.
    listed = [("train", 1), ("train", 1), ("human", 1), ("dev", 2), ("dev", 2), ("dev", 3)]
    listed += [("human", 3), ("human", 4), *(("train", number) for number in range(10, 30))]
    labels = ["1", "2", "", "5", "6", "7", "", "", *"1" * 20]
    split = make_split(images_of(listed, labels), "published", 0.2, 0)
    assert split.test == (3, 4, 5)
    assert split.clean == {5, 6, 7}


# --- the digest of a split


def test_the_digest_changes_when_any_image_moves_to_another_part():
    images = images_of([("train", 1), ("train", 2), ("train", 3), ("dev", 4), ("human", 5)])
    parts = {"train": (0, 1), "val": (2,), "test": (3,), "human": (4,), "clean": frozenset({3, 4})}

    def digest(**changed):
        return splits.Split(**(parts | changed)).digest(images)

    before = digest()
    moved = [
        digest(train=(0,), val=(1, 2)),
        digest(train=(0,)),
        digest(train=(0, 1, 2), val=()),
        digest(val=(), test=(2, 3)),
        digest(train=(0, 2), val=(1,)),
        digest(test=(), human=(3, 4)),
        digest(human=()),
        digest(clean=frozenset({3})),
        digest(clean=frozenset()),
    ]
    assert len({before, *moved}) == len(moved) + 1
    # Which image, not at which place.
    assert digest(train=(1, 0)) == before


def test_the_digest_tells_images_of_one_name_apart():
    rows = (Row("train", "1.jpg", "1", Path("a")), Row("human", "1.jpg", None, Path("b")))
    images = Images("made", torch.zeros((2, 1, 8, 8)), rows, ("a", "b"), {}, "d")
    one = splits.Split((0,), (), (1,), (), frozenset())
    other = splits.Split((1,), (), (0,), (), frozenset())
    assert one.digest(images) != other.digest(images)


PINNED = {
    ("published", 0): "8c33c5a6c121cb0b",
    ("published", 1): "9441083a501c678d",
    ("clean", 0): "7ea24259e9a5d55b",
    ("kfold", 0): "55b438bd3ec2190f",
}


@pytest.mark.parametrize(("kind", "seed"), PINNED)
def test_splits_are_the_same_on_every_machine(kind, seed):
    parts = ["train"] * 60 + ["dev"] * 20 + ["human"] * 5
    images = images_of([(part, number % 67) for number, part in enumerate(parts)])
    split = make_split(images, kind, 0.1, seed, folds=3, fold=2)
    assert split.digest(images) == PINNED[kind, seed]


def test_the_split_of_a_folder_is_the_same_on_every_machine():
    images = images_of([("labelled", number % 50) for number in range(60)])
    split = make_split(images, "published", 0.1, 0)
    numbers = [6, 7, 12, 16, 18, 22, 26, 27, 34, 41, 47, 56, 57]
    assert [images.rows[i].filename for i in split.test] == [f"{n}.jpg" for n in numbers]
    assert split.digest(images) == "1aa2424c73ee04c3"


# --- a few of the training images


@given(data_sets(), kinds, seeds, st.integers(1, 40), st.integers(1, 40), st.randoms())
@modest
def test_fewer_training_images_are_a_part_of_more_and_nothing_else_changes(
    images, kind, seed, few, more, random
):
    few, more = sorted((few, more))
    whole, less, least = (
        make_split(images, kind, 0.2, seed, train_images=count) for count in (0, more, few)
    )
    assert len(least.train) == min(few, len(whole.train))
    assert set(least.train) <= set(less.train) <= set(whole.train)
    for split in (less, least):
        assert replace(split, train=whole.train) == whole
    # The order of the lists has no say.
    other = shuffled(images, random)
    again = make_split(other, kind, 0.2, seed, train_images=few)
    assert names(other, again.train) == names(images, least.train)


def test_another_seed_has_other_images():
    images = images_of([("train", n) for n in range(200)] + [("val", 600), ("dev", 500)])
    first, second = (
        set(make_split(images, "published", 0.2, seed, train_images=50).train) for seed in (0, 1)
    )
    assert first != second


def test_who_measures_time_may_take_a_fold_and_else_what_is_learnt_from():
    images = images_of([("labelled", number) for number in range(30)])
    fold = RunConfig(split="kfold", folds=3, fold=1)
    assert splits.timed_split(images, fold) == splits.make_split(images, fold)
    clean = RunConfig(split="clean")
    assert splits.timed_split(images, clean) == splits.learning_split(images, clean)
