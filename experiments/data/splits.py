"""Which images a run learns from, selects on and is judged by.

    published   the lists as they are; a folder without lists has its test part cut by groups
    clean       the same without the test images that training also has, pixel by pixel, and
                without those whose identical copies carry different labels
    kfold       every labelled image is in the test part of one fold, whole groups at a time

Of the training part a run may learn from a few images alone (`train_images`); validation, test and
what counts as leak-free are the same for any number of them.

A group is all images with identical pixels. Which group goes where depends on file names, on the
seed for validation and for which images are the few, and on nothing else: not on the order of
lists, not on the machine.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

from experiments.data.cells import LABELLED_PARTS
from experiments.data.images import Images
from experiments.errors import UserError
from experiments.seeding import derive


class SplitSettings(Protocol):
    """What of a run's settings decides its split; see RunConfig."""

    @property
    def split(self) -> str: ...
    @property
    def seed(self) -> int: ...
    @property
    def val_fraction(self) -> float: ...
    @property
    def test_fraction(self) -> float: ...
    @property
    def folds(self) -> int: ...
    @property
    def fold(self) -> int: ...
    @property
    def train_images(self) -> int: ...


@dataclass(frozen=True)
class Split:
    """Indices into Images.

    train, val: what is learnt from, and what the epoch is selected on. No image stands in both.
    test: the judge of the run, read once.
    human: the images that people read.
    clean: those of test and human that have no identical image among the labelled images that the
        run may learn from or select on, and of which no two identical ones have different labels.
    """

    train: tuple[int, ...]
    val: tuple[int, ...]
    test: tuple[int, ...]
    human: tuple[int, ...]
    clean: frozenset[int]

    def digest(self, images: Images) -> str:
        """16 hex digits of which image is in which part."""
        text = hashlib.sha256()
        for part in ("train", "val", "test", "human", "clean"):
            rows = (images.rows[i] for i in getattr(self, part))
            text.update(f"{part}\0{sorted((r.part, r.filename) for r in rows)!a}\0".encode())
        return text.hexdigest()[:16]


def make_split(images: Images, config: SplitSettings) -> Split:
    """The run's split. Raises UserError where a part would be empty.

    The validation part is the data set's own where it has one, else cut from the training part.
    """
    split = _split(images, config)
    _not_empty(images, training=split.train, test=split.test)
    return split


def learning_split(images: Images, config: SplitSettings) -> Split:
    """Only what the run learns from and selects on: the same as in its split, and no judge.

    images: may lack the dev list and the human-read images. Raises UserError for folds, since the
    judge of one is what others learn from, and where the training part would be empty.
    """
    if config.split == "kfold":
        raise UserError(
            "split: in kfold every image is the judge of some fold, so nothing can be chosen "
            "there; set split=published or clean"
        )
    split = _split(images, config)
    _not_empty(images, training=split.train)
    return Split(split.train, split.val, (), (), frozenset())


def timed_split(images: Images, config: SplitSettings) -> Split:
    """What a run learns from and selects on, for whoever checks or times it and chooses nothing.

    As `learning_split`, and of folds the one that the settings name. Raises UserError.
    """
    if config.split == "kfold":
        return make_split(images, config)
    return learning_split(images, config)


def _split(images: Images, config: SplitSettings) -> Split:
    parts: dict[str, list[int]] = {part: [] for part in (*LABELLED_PARTS, "human")}
    for index, row in enumerate(images.rows):
        parts[row.part].append(index)
    human = parts["human"]
    labelled = [index for part in LABELLED_PARTS for index in parts[part]]
    own_val: list[int] = []
    if config.split == "kfold":
        test = _fold(images, labelled, config.folds, config.fold)
    elif parts["labelled"]:
        test = _cut(images, labelled, config.test_fraction, "test")
    else:
        test, own_val = parts["dev"], parts["val"]
    taken = set(test)
    # Copies of a published test image stay in training: that leak is what `clean` counts out.
    seen = {images.groups[i] for i in labelled if i not in taken}
    conflicts = conflicting(images)
    clean = frozenset(
        i
        for i in test + human
        if images.groups[i] not in seen and images.groups[i] not in conflicts
    )
    if config.split == "clean":
        test = [i for i in test if i in clean]
    train = [i for i in labelled if i not in taken]
    # An image that training also has would select for what was memorised.
    val = own_val or _cut(images, train, config.val_fraction, "validation", config.seed)
    held = {images.groups[i] for i in val}
    train = [i for i in train if images.groups[i] not in held]
    if config.train_images:
        train = _first(images, train, config.train_images, config.seed)
    return Split(tuple(train), tuple(val), tuple(test), tuple(human), clean)


def _not_empty(images: Images, **parts: tuple[int, ...]) -> None:
    for name, part in parts.items():
        if not part:
            raise UserError(
                f"{images.name}: the {name} part of the split is empty; add images that are not "
                "copies, or change split, folds, val_fraction or test_fraction"
            )


def conflicting(images: Images) -> set[int]:
    """The groups whose labelled images carry more than one label."""
    labels: dict[int, set[str]] = {}
    for group, row in zip(images.groups, images.rows, strict=True):
        if row.label is not None:
            labels.setdefault(group, set()).add(row.label)
    return {group for group, found in labels.items() if len(found) > 1}


def _cut(
    images: Images, pool: list[int], fraction: float, purpose: str, seed: int = 0
) -> list[int]:
    """Whole groups, in an order that seed and file names decide, up to the fraction."""
    held: list[int] = []
    for members in _shuffled(images, pool, purpose, seed):
        if len(held) >= fraction * len(pool):
            break
        held += members
    return sorted(held)


def _first(images: Images, pool: list[int], count: int, seed: int) -> list[int]:
    """So many, in an order that seed and file names decide: fewer are a part of more."""
    groups = _shuffled(images, pool, "first", seed)
    dealt = (
        i for of_group in groups for i in sorted(of_group, key=lambda i: images.rows[i].filename)
    )
    return sorted(islice(dealt, count))


def _fold(images: Images, pool: list[int], folds: int, fold: int) -> list[int]:
    """Each group goes to what is the smallest fold by then: none is larger than another by more
    than the largest group.

    Not scikit-learn's StratifiedGroupKFold: its folds would be others than those of finished runs,
    and would depend on the order of the images.
    """
    dealt: list[list[int]] = [[] for _ in range(folds)]
    for members in _shuffled(images, pool, "folds", 0):
        min(dealt, key=len).extend(members)
    return sorted(dealt[fold])


def _shuffled(images: Images, pool: list[int], purpose: str, seed: int) -> Iterable[list[int]]:
    """The groups of these images. A group is named by its least file name."""
    members: dict[int, list[int]] = {}
    for index in pool:
        members.setdefault(images.groups[index], []).append(index)
    names = {group: min(images.rows[i].filename for i in at) for group, at in members.items()}
    return (members[g] for g in sorted(members, key=lambda g: derive(seed, purpose, names[g])))
