"""What is misread, and how: slices of the images, edits of characters, wrong values.

Readings come as a table with a row a reading, of one arm or several: filename, truth, reading, and
where a function needs them seed, group (of identical images), part, confidence.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from statistics import median

import pandas as pd
from rapidfuzz.distance import Levenshtein

from analysis.findings.shares import groups_and_folds, right_by_seed
from analysis.statistics.intervals import mean_share
from analysis.statistics.seed_spread import UNKNOWN, SeedSpread

SEPARATORS = ".,"
# In a table of edits: no character, where one was added or lost.
NOTHING = ""
# From this length on labels are counted together: there are few of them.
_LONGEST = 6


def by_slice(readings: pd.DataFrame, seeds: SeedSpread = UNKNOWN) -> pd.DataFrame:
    """Exact match on parts of the images, in 0..1.

    seeds: what arms say together of how far seeds, or folds, move one of them.

    Columns: slice (length, adjacent repeats, separators, sign), value, images, and the share that
    is right with its 95% interval over seeds and images: estimate, low, high.
    """
    table = right_by_seed(readings)
    images = readings.drop_duplicates("filename").set_index("filename").loc[table.index]
    rows = []
    for name, value_of in _SLICES.items():
        values = images["truth"].map(value_of)
        for value, chosen in images.groupby(values):
            of_value = table.loc[chosen.index].to_numpy().T
            groups, folds = groups_and_folds(chosen.reset_index(), chosen.index)
            exact = mean_share(of_value, groups, seeds, folds)
            rows.append((name, value, len(chosen), exact.estimate, exact.low, exact.high))
    return pd.DataFrame(rows, columns=["slice", "value", "images", "estimate", "low", "high"])


def edits(readings: pd.DataFrame) -> pd.DataFrame:
    """The fewest edits that make each truth its reading (Levenshtein), counted.

    Columns: truth and read, a character each, and count. A character that was lost is read as
    NOTHING, and one that was added has NOTHING as its truth. Where several alignments are equally
    short one of them is taken: 11 read as 1 has lost one of two.
    """
    counts: Counter[tuple[str, str]] = Counter()
    for truth, reading in zip(readings["truth"], readings["reading"], strict=True):
        for edit in Levenshtein.editops(truth, reading):
            from_truth = NOTHING if edit.tag == "insert" else truth[edit.src_pos]
            from_reading = NOTHING if edit.tag == "delete" else reading[edit.dest_pos]
            counts[from_truth, from_reading] += 1
    rows = [(a, b, count) for (a, b), count in counts.most_common()]
    return pd.DataFrame(rows, columns=["truth", "read", "count"]).astype({"count": int})


@dataclass(frozen=True)
class WrongValues:
    """What wrong readings would do to who calculates with them.

    wrong: how many readings are not the truth. unreadable: of these, those that are no number
    where the truth is one, the empty ones among them. same: the value is right, its text is not.
    tenfold: too large or too small by a factor of ten or more, or zero against another number.
    sign: those of which only the sign is wrong. separator: those that only lack or add separators.
    relative: the median of |reading - truth| / |truth| where both are numbers and the truth is not
        zero; nan where there are none.
    """

    wrong: int
    unreadable: int
    same: int
    tenfold: int
    sign: int
    separator: int
    relative: float


def wrong_values(readings: pd.DataFrame) -> WrongValues:
    """Of the wrong readings, how far off their values are."""
    wrong = readings[readings["truth"] != readings["reading"]]
    texts = list(zip(wrong["truth"], wrong["reading"], strict=True))
    pairs = [(value(truth), value(reading)) for truth, reading in texts]
    numbers = [(t, r) for t, r in pairs if t is not None and r is not None]
    return WrongValues(
        wrong=len(texts),
        unreadable=sum(t is not None and r is None for t, r in pairs),
        same=sum(t == r for t, r in numbers),
        tenfold=sum(_tenfold(t, r) for t, r in numbers),
        sign=sum(t == -r != 0 for t, r in numbers),
        separator=sum(_digits(t) == _digits(r) for t, r in texts),
        relative=median([float(abs((r - t) / t)) for t, r in numbers if t] or [float("nan")]),
    )


def value(text: str) -> Fraction | None:
    """The number that a text is, ',' and '.' alike before its decimals; None where it is none."""
    plain = text.replace(",", ".")
    # Fraction would take more than a cell's number: 1/2, 1e5, 1_000.
    if not set(plain) <= set("0123456789.-"):
        return None
    try:
        return Fraction(plain)
    except ValueError:
        return None


def hardest(readings: pd.DataFrame) -> pd.DataFrame:
    """Images that most runs misread; among equals the surest mistakes first.

    Columns: filename, part, truth, reading (the commonest wrong one), wrong and runs (how many
    misread it, of how many), confidence (the largest in a wrong reading).
    """
    wrong = readings[readings["truth"] != readings["reading"]]
    by_image = wrong.groupby("filename")
    table = pd.DataFrame(
        {
            "part": by_image["part"].first(),
            "truth": by_image["truth"].first(),
            "reading": by_image["reading"].agg(lambda texts: texts.mode().iloc[0]),
            "wrong": by_image.size(),
            "runs": readings.groupby("filename").size().reindex(by_image.size().index),
            "confidence": by_image["confidence"].max(),
        }
    ).reset_index()
    return table.assign(share=table["wrong"] / table["runs"]).sort_values(
        ["share", "confidence", "filename"], ascending=[False, False, True], ignore_index=True
    )


def most_confident(readings: pd.DataFrame) -> pd.DataFrame:
    """The wrong readings, the surest first, an image once: with columns as `readings`."""
    wrong = readings[readings["truth"] != readings["reading"]]
    ordered = wrong.sort_values(["confidence", "filename"], ascending=[False, True])
    return ordered.drop_duplicates("filename").reset_index(drop=True)


def adjacent_repeats(text: str) -> int:
    """How many characters equal the one before: 1 in 100 is none, its zeros are one repeat."""
    return sum(a == b for a, b in pairwise(text))


def _tenfold(truth: Fraction, reading: Fraction) -> bool:
    smaller, larger = sorted((abs(truth), abs(reading)))
    return larger > 0 and larger >= 10 * smaller


def _digits(text: str) -> str:
    return "".join(c for c in text if c not in SEPARATORS)


def _up_to(most: int, count: int) -> str:
    return str(count) if count < most else f"{most}+"


_SLICES = {
    "length": lambda text: _up_to(_LONGEST, len(text)),
    "adjacent repeats": lambda text: _up_to(2, adjacent_repeats(text)),
    "separators": lambda text: _up_to(2, sum(c in SEPARATORS for c in text)),
    "sign": lambda text: "yes" if "-" in text else "no",
}
