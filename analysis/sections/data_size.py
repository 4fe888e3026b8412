"""What more training images bring, and whether one of the losses is better with few."""

from __future__ import annotations

from functools import partial

import pandas as pd

from analysis.findings.data_size import Growth, growths, read_right
from analysis.page import curves
from analysis.page.arm_names import LINES
from analysis.page.formats import mean_and_spread, points, signed
from analysis.page.page import Page
from analysis.sections.base import register
from analysis.sections.chapter import Chapter

# What a name says of the number of images, which is an axis here.
_SAID = ("train_images=", "epochs=")


@register("data_size", place=75)
def write_data_size(page: Page, chapter: Chapter) -> None:
    """Exact match by the number of training images; nothing where all learnt from as many."""
    if not (found := growths(chapter.section)):
        return
    page.text("### How many images?")
    page.text(
        "The same arms on fewer training images, which are part of the more. The epoch is chosen "
        "on the same validation images everywhere, which are more than somebody with few images "
        "has; where epochs differ, fewer images had more of them."
    )
    names = {one.sized: _name(one, chapter) for one in found}
    _chart(page, chapter, found, names)
    _table(page, chapter, found, names)


def _name(growth: Growth, chapter: Chapter) -> str:
    """The arm's name without its number of images."""
    whole = chapter.names[list(growth.labels.values())[-1]]
    return " ".join(word for word in whole.split(" ") if not word.startswith(_SAID))


def _chart(page: Page, chapter: Chapter, found: list[Growth], names: dict[str, str]) -> None:
    drawn = found[:LINES]
    scores = pd.concat(read_right(chapter.section, one).assign(arm=one.sized) for one in drawn)
    # As its arm with the most images is drawn in the other figures, where it is drawn.
    looks = {one.sized: chapter.looks[list(one.labels.values())[-1]] for one in drawn}
    page.chart(
        chapter.chart(
            partial(curves.by_images, scores, looks, names),
            scores.assign(arm=scores["arm"].map(names)),
            "images",
            f"Exact match by the number of training images for {len(drawn)} arms; the numbers "
            "stand in the table below.",
            "Exact match on the leak-free test images by the number of training images, on a "
            "logarithmic axis: the mean over seeds, shaded from the lowest to the highest.",
        )
    )


def _table(page: Page, chapter: Chapter, found: list[Growth], names: dict[str, str]) -> None:
    arms = {row["label"]: row for row in chapter.arms.to_dict("records")}
    pairs = {frozenset((pair.first, pair.second)): pair for pair in chapter.pairs}
    rows = []
    for one in found:
        for count, label in one.labels.items():
            row = arms[label]
            rows.append(
                [
                    names[one.sized],
                    f"{count:,}",
                    str(row["seeds"]),
                    mean_and_spread(row["val"], row["val_sd"]),
                    mean_and_spread(row["test_clean"], row["test_clean_sd"]),
                ]
            )
    page.table(
        ["arm", "images", "seeds", "val", "leak-free test"],
        rows,
        plain="How many more cells in a hundred an arm reads right once it has seen more of them.",
    )
    apart = []
    for first in found:
        for second in found:
            for count, label in first.labels.items():
                pair = pairs.get(frozenset((label, second.labels.get(count, ""))))
                if pair is None or pair.first != label or second is first:
                    continue
                apart.append(
                    [
                        *(f"{count:,}", names[first.sized], names[second.sized]),
                        *(signed(pair.difference.estimate), points(pair.difference)),
                    ]
                )
    if apart:
        apart.sort(key=lambda row: int(row[0].replace(",", "")))
        page.text(
            "First minus second on as many images, in points, with a 95% interval; the p-values "
            "stand in the table of all comparisons."
        )
        page.table(
            ["images", "first", "second", "first - second", "95% interval"],
            apart,
            texts=3,
            plain="Whether the two losses are further apart, or closer, with fewer images.",
        )
