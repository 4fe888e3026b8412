"""Which images a run learns from, selects on and is judged by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from experiments.data.cells import Images
from experiments.seeding import derive


@dataclass(frozen=True)
class Split:
    """Indices into Images.

    train, val: what is learnt from, and what the epoch is selected on. No image stands in both.
    test: the judge of the run, read once.
    human: the images that people read.
    clean: those of test and human that have no identical image among the labelled images that the
        run may learn from or select on.
    """

    train: tuple[int, ...]
    val: tuple[int, ...]
    test: tuple[int, ...]
    human: tuple[int, ...]
    clean: frozenset[int]


def make_split(
    images: Images, kind: Literal["published", "clean"], val_fraction: float, seed: int
) -> Split:
    """The run's split. `published` takes the lists as they are; `clean` leaves out of the test
    part what also stands in the training list, pixel by pixel.

    The validation part is the data set's own where it has one, else cut from the training list by
    groups of identical images, which ones depending on the seed alone.
    """
    parts: dict[str, list[int]] = {"train": [], "val": [], "dev": [], "human": []}
    for index, row in enumerate(images.rows):
        parts[row.part].append(index)
    train, val = parts["train"], parts["val"]
    seen = {images.groups[i] for i in train + val}
    clean = frozenset(i for i in parts["dev"] + parts["human"] if images.groups[i] not in seen)
    test = [i for i in parts["dev"] if kind == "published" or i in clean]
    if val:
        # An image that training also has would select for what was memorised.
        held = {images.groups[i] for i in val}
        train = [i for i in train if images.groups[i] not in held]
    else:
        held = _cut(images, train, val_fraction, seed)
        val = [i for i in train if images.groups[i] in held]
        train = [i for i in train if images.groups[i] not in held]
    return Split(tuple(train), tuple(val), tuple(test), tuple(parts["human"]), clean)


def _cut(images: Images, train: list[int], fraction: float, seed: int) -> set[int]:
    """Whole groups, in an order that the seed and the file names decide, up to the fraction."""
    members: dict[int, list[int]] = {}
    for index in train:
        members.setdefault(images.groups[index], []).append(index)
    names = {group: min(images.rows[i].filename for i in at) for group, at in members.items()}
    held: set[int] = set()
    count = 0
    for group in sorted(members, key=lambda g: derive(seed, "validation", names[g])):
        if count >= fraction * len(train):
            break
        held.add(group)
        count += len(members[group])
    return held
