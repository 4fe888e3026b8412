"""The human baseline: how far two people agree, and how models and published outputs compare."""

from __future__ import annotations

import pandas as pd

from analysis.metrics import exact_match
from analysis.stats import Interval, share

PEOPLE = ("human1", "human2")


def side_by_side(readers: pd.DataFrame) -> pd.DataFrame:
    """One data set's readings, a column a reader, for the images that both people read."""
    table = readers.pivot(index="filename", columns="reader", values="reading")
    if not set(PEOPLE) <= set(table.columns):
        return table.iloc[:0]
    return table.dropna(subset=list(PEOPLE))


def agreement(readings: pd.DataFrame) -> Interval:
    """The share of images that both people read alike."""
    return share(int((readings["human1"] == readings["human2"]).sum()), len(readings))


def against_people(readings: pd.DataFrame, reader: str) -> dict[str, float]:
    """Exact match of one reader with each person, where the people agree, and with either."""
    theirs, a, b = (list(readings[name]) for name in (reader, *PEOPLE))
    agreed = [(x, y) for x, y, z in zip(theirs, a, b, strict=True) if y == z]
    return {
        "human1": exact_match(a, theirs),
        "human2": exact_match(b, theirs),
        "agreed": exact_match([y for _, y in agreed], [x for x, _ in agreed]),
        "either": sum(x in (y, z) for x, y, z in zip(theirs, a, b, strict=True)) / len(theirs),
    }
