"""Whether a reader is at most a little worse than a person, where nobody knows the truth."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from analysis.findings.humans import Baseline, seed_spread
from analysis.record import PEOPLE
from analysis.statistics.intervals import MARGIN, Difference, paired_difference
from analysis.statistics.significance import ALPHA, Judgement, holm, judge


@dataclass(frozen=True)
class NotInferior:
    """A reader beside one person, both judged by what the other person read.

    difference: how much more often the reader reads what `judge` read than `person` does, on
        `images` leak-free images; its `one_seed` as in comparisons.
    p: against "the reader is worse by `margin` or more"; p_adjusted over all of the table (Holm).
    shown: whether the reader is shown to be at most `margin` worse.
    judgement: of the difference itself, its p-values corrected in the same way.
    """

    reader: str
    kind: str
    person: str
    judge: str
    images: int
    difference: Difference
    margin: float
    p: float
    p_adjusted: float
    shown: bool
    judgement: Judgement


def not_inferior(base: Baseline, margin: float = MARGIN) -> list[NotInferior]:
    """Every arm and published output beside each person, on the leak-free images.

    Nobody knows the truth of these images. So each person is judged by what the other read, and
    the reader by the same: does it read what the one read as often as the other does? (Compare
    Obuchowski et al., 2014, on interchangeable readers.)

    margin: how much worse is still as good, a share of the images.
    """
    images = base.images[base.images["clean"]]
    if images.empty:
        return []
    clean = base.images["clean"].to_numpy(dtype=bool)
    groups = images["group"].to_numpy(dtype=int)
    seeds = seed_spread(base)
    found = []
    for reader in base.readers:
        for person, other in (PEOPLE, PEOPLE[::-1]):
            if reader.kind == "person":
                continue
            reference = images[other].to_numpy(dtype=object)
            right = reader.texts[:, clean] == reference
            alike = np.broadcast_to(images[person].to_numpy(dtype=object) == reference, right.shape)
            d = paired_difference(right, alike, groups, seeds)
            p = d.p_not_inferior(margin)
            found.append(
                NotInferior(
                    *(reader.name, reader.kind, person, other, len(images), d, margin, p, p),
                    shown=False,
                    judgement=judge(d, d.p_different(), d.p_equivalent(margin), margin),
                )
            )
    return [
        replace(one, p_adjusted=p, shown=p < ALPHA, judgement=judge(one.difference, q, e, margin))
        for one, p, q, e in zip(
            found,
            holm([one.p for one in found]),
            holm([one.difference.p_different() for one in found]),
            holm([one.difference.p_equivalent(margin) for one in found]),
            strict=True,
        )
    ]
