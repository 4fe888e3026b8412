"""What more training images bring: arms that differ in their number, and the epochs, alone."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from analysis.tables.arms import Section

_IMAGES = "metrics.train.images"
_GIVEN, _EPOCHS = "config.train_images", "config.epochs"


@dataclass(frozen=True)
class Growth:
    """One arm on several numbers of training images.

    sized: what identifies it. loss: its loss.
    labels: of its arms, by the number of images, the fewest first.
    """

    sized: str
    loss: str
    labels: dict[int, str]


def growths(section: Section) -> list[Growth]:
    """Every arm that learnt from two or more numbers of images.

    Runs that did not log how many they had, of an older version, are left out. Of arms that were
    given as many images the one with the most epochs stands for them.
    """
    if not {_IMAGES, _GIVEN, _EPOCHS} <= set(section.runs):
        return []
    runs = section.runs.dropna(subset=[_IMAGES])
    longest = runs.groupby(["sized", _GIVEN])[_EPOCHS].transform(lambda e: e.astype(int).max())
    runs = runs[runs[_EPOCHS].astype(int) == longest]
    found = []
    for sized, same in runs.groupby("sized", sort=False):
        if same[_GIVEN].nunique() < 2:  # they differ in their epochs alone
            continue
        # Groups of identical images are of many sizes: seeds of an arm can differ by a few.
        images = same.groupby("label")[_IMAGES].mean().round().astype(int).sort_values()
        labels = {count: str(label) for label, count in images.items()}
        if len(labels) > 1:
            found.append(Growth(str(sized), str(same["config.loss"].iloc[0]), labels))
    return found


def read_right(section: Section, growth: Growth) -> pd.DataFrame:
    """A row a run: images (of its arm), and the share of the leak-free test that it reads right."""
    count_of = {label: count for count, label in growth.labels.items()}
    own = section.runs[section.runs["label"].isin(count_of)]
    return pd.DataFrame(
        {
            "images": [count_of[str(label)] for label in own["label"]],
            "exact_match": own["metrics.test_clean.exact_match"].to_numpy(),
        }
    )
