"""What a run's weights have seen, image by image, and whether another run may start from them.

An image is known by its pixels as decoded, never by its file name, its label or the digest of the
data set it stands in: a corrected label, another list, another image size or grey in place of
colour change nothing. An image that was saved again with a loss is another one.

A run may not be judged by images that its weights have seen before it began. So, of a run that
starts from another:

- none of its validation images may have been trained on: they would select what was memorised. One
  that the other selected its epoch by is no harm; runs of one split have them in common.
- none of its test images and of its human-read ones may have been trained on or selected by,
  unless the run itself trains on or selects by an identical image. That leak is the data set's: the
  published lists have it on purpose, and it is what the clean part leaves out.

What a run has seen is what it trains on and selects by, and what its own start had seen.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from analysis.record import LEARNT
from experiments.data.images import Images
from experiments.data.splits import Split
from experiments.errors import UserError
from experiments.readers import reader_folder

_HEADER = ["identity", "use"]
_TRAINED, _SELECTED = "trained", "selected"


@dataclass(frozen=True)
class Learnt:
    """Identities of images, as in Images.

    trained: what the weights were fitted to, in this run or before it.
    selected: what an epoch was chosen by.
    """

    trained: frozenset[str] = frozenset()
    selected: frozenset[str] = frozenset()

    def __or__(self, other: Learnt) -> Learnt:
        """What both have seen."""
        return Learnt(self.trained | other.trained, self.selected | other.selected)


def learnt_by(images: Images, split: Split) -> Learnt:
    """What a run on this split sees by itself."""
    return Learnt(_of(images, split.train), _of(images, split.val))


def leaks(seen: Learnt, images: Images, split: Split) -> str:
    """What must not have been seen before and was, as "2 validation and 17 test images".

    Empty where nothing was. seen: by the weights that the run on this split starts from.
    """
    own = learnt_by(images, split)
    before = (seen.trained | seen.selected) - (own.trained | own.selected)
    parts = {
        "validation": (split.val, seen.trained),
        "test": (split.test, before),
        "human-read": (split.human, before),
    }
    counts = {
        part: sum(images.identities[i] in known for i in at) for part, (at, known) in parts.items()
    }
    text = " and ".join(f"{count} {part}" for part, count in counts.items() if count)
    return f"{text} images" if text else ""


def write_learnt(folder: Path, seen: Learnt) -> Path:
    """A row an image and use, sorted; returns the file."""
    rows = [(one, _TRAINED) for one in seen.trained] + [(one, _SELECTED) for one in seen.selected]
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([_HEADER, *sorted(rows)])
    file = folder / LEARNT
    file.write_text(text.getvalue(), encoding="utf-8")
    return file


def refuse_learnt(name: str, images: Images, split: Split) -> None:
    """Raise UserError where a reader of the suite has learnt what it is to be judged by."""
    seen = read_learnt(reader_folder(name))
    if seen is None or (leaked := leaks(seen, images, split)):
        what = "from images that nobody knows" if seen is None else f"from {leaked} of these images"
        raise UserError(f"{name}: has learnt {what}; name the data set it was trained on")


def read_learnt(artifacts: Path) -> Learnt | None:
    """What the run with these artifacts has seen; None where it did not record that.

    Raises UserError for a file that is not as it was written.
    """
    file = artifacts / LEARNT
    try:
        header, *rows = csv.reader(io.StringIO(file.read_text(encoding="utf-8")), strict=True)
    except FileNotFoundError:
        return None
    except (ValueError, csv.Error) as error:
        raise _damaged(file) from error
    whole = all(len(row) == 2 and re.fullmatch("[0-9a-f]{64}", row[0]) for row in rows)
    if not whole or header != _HEADER or not {use for _, use in rows} <= {_TRAINED, _SELECTED}:
        raise _damaged(file)
    seen = {use: frozenset(one for one, its in rows if its == use) for use in (_TRAINED, _SELECTED)}
    return Learnt(seen[_TRAINED], seen[_SELECTED])


def _damaged(file: Path) -> UserError:
    return UserError(
        f"{file}: is damaged, so what that run has learnt from is not known; train it again"
    )


def _of(images: Images, indices: Iterable[int]) -> frozenset[str]:
    return frozenset(images.identities[i] for i in indices)
