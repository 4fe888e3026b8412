"""The human baseline: how far two people agree, and how models and published outputs compare."""

from __future__ import annotations

import pandas as pd

from analysis.metrics import against_people
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


def score(readings: pd.DataFrame, reader: str) -> dict[str, float]:
    """One reader's exact match with the people; nan where it read none of their images."""
    read = readings.dropna(subset=[reader])
    return against_people(*(list(read[name]) for name in (reader, *PEOPLE)))
