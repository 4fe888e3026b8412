"""Labels changed on purpose: a known number of mistakes, to measure what finds them."""

from __future__ import annotations

import random
from dataclasses import replace

from experiments.data.images import Images
from experiments.seeding import derive


def change_labels(images: Images, share: float, charset: str) -> Images:
    """The data set with one character changed, dropped or added in this share of its labels.

    Which labels, and how, depends on the file names alone: the same for every arm and seed.
    """
    labelled = [i for i, row in enumerate(images.rows) if row.label is not None]
    by_chance = sorted(labelled, key=lambda i: derive(0, "noise", images.rows[i].filename))
    changed = frozenset(by_chance[: round(share * len(labelled))])
    if not changed:
        return images
    rows = list(images.rows)
    # A longer label than any could be more than a model was given room for.
    longest = max(2, *(len(row.label or "") for row in rows))
    for index in changed:
        row = rows[index]
        rng = random.Random(derive(0, "slip", row.filename))
        rows[index] = replace(row, label=_slip(row.label or "", charset, longest, rng))
    return replace(images, rows=tuple(rows), changed=changed)


def _slip(label: str, charset: str, longest: int, rng: random.Random) -> str:
    """Another label, one edit away."""
    while True:
        at = rng.randrange(len(label))
        edit = rng.choice(["change", "drop", "add"])
        kept = label[at + 1 :] if edit != "add" else label[at:]
        slipped = label[:at] + ("" if edit == "drop" else rng.choice(charset)) + kept
        if slipped != label and 0 < len(slipped) <= longest:
            return slipped
