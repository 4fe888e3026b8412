"""What is misread: in which images, which characters, by how much, and what that looks like."""

from __future__ import annotations

from functools import partial

import pandas as pd

from analysis.findings import errors, shares
from analysis.page import figures
from analysis.page.formats import count, percent
from analysis.page.page import Page, code
from analysis.sections.base import register
from analysis.sections.chapter import Chapter
from analysis.sections.gallery import write_gallery
from analysis.statistics.seed_spread import together

_PICTURES = 24


@register("errors", place=90)
def write_errors(page: Page, chapter: Chapter) -> None:
    """Slices, characters, values, pictures, for the arms that figures show."""
    test = chapter.test
    test = test[test["arm"].isin(chapter.drawn)]
    test = test.sort_values(["arm", "seed"], kind="stable")  # whatever the order of the runs
    page.text("### Errors")
    if test.empty:
        page.text("There is no leak-free test image that an arm has read.")
        return
    of_arm = {arm: test[test["arm"] == arm] for arm in chapter.drawn}
    of_arm = {arm: own for arm, own in of_arm.items() if len(own)}
    _slices(page, chapter, of_arm)
    _characters(page, chapter, of_arm)
    _values(page, chapter, of_arm)
    _galleries(page, chapter, test)


def _slices(page: Page, chapter: Chapter, of_arm: dict[str, pd.DataFrame]) -> None:
    seeds = together(shares.seed_spread(own) for own in of_arm.values())
    slices = pd.concat([errors.by_slice(own, seeds).assign(arm=arm) for arm, own in of_arm.items()])
    page.chart(
        chapter.chart(
            partial(figures.by_slice, slices, chapter.looks, chapter.names),
            slices,
            "slices",
            "Exact match of "
            + ", ".join(chapter.names[arm] for arm in of_arm)
            + " by length of the label, its adjacent repeats, separators and sign; the same "
            "numbers stand in the table below.",
            "Exact match by what the label is like, on the leak-free test images. Bars: 95% "
            "intervals over images and seeds; with few of them hardly any difference can be shown.",
        )
    )
    wide = slices.pivot(index=["slice", "value"], columns="arm", values="estimate")
    images = slices.groupby(["slice", "value"])["images"].max()
    page.table(
        ["label", "images", *(chapter.names[arm] for arm in of_arm)],
        [
            [
                f"{kind}: {value}",
                str(images[kind, value]),
                *(percent(wide.loc[(kind, value), arm]) for arm in of_arm),
            ]
            for kind, value in slices.drop_duplicates(["slice", "value"])[
                ["slice", "value"]
            ].itertuples(index=False)
        ],
        plain=(
            "Of a hundred cells of each kind, how many are read right; rows of few images "
            "say little."
        ),
    )


def _characters(page: Page, chapter: Chapter, of_arm: dict[str, pd.DataFrame]) -> None:
    of_seed = {}
    for arm, own in of_arm.items():
        table = errors.edits(own)
        of_seed[arm] = table.assign(count=table["count"] / own["seed"].nunique())
    page.text("#### Characters")
    rows = []
    for arm, table in of_seed.items():
        lost, added = table["read"] == errors.NOTHING, table["truth"] == errors.NOTHING
        changed = table[~lost & ~added].nlargest(3, "count")
        rows.append(
            [
                chapter.names[arm],
                f"{table.loc[~lost & ~added, 'count'].sum():.1f}",
                f"{table.loc[lost, 'count'].sum():.1f}",
                f"{table.loc[added, 'count'].sum():.1f}",
                ", ".join(
                    f"{code(r['truth'])} as {code(r['read'])}" for r in changed.to_dict("records")
                ),
            ]
        )
    page.table(
        ["arm", "misread", "lost", "added", "most often misread"],
        rows,
        plain=(
            "Whether an arm rather takes one character for another, leaves some out, or "
            "reads some that are not there."
        ),
    )
    page.text(
        "Characters a seed, by the fewest edits from the label to the reading (Levenshtein). Where "
        "several alignments are equally short one of them is taken."
    )
    two = chapter.drawn[:2]
    grids = {chapter.names[arm]: of_seed[arm] for arm in two if arm in of_seed}
    found = set().union(*(set(t["truth"]) | set(t["read"]) for t in grids.values()))
    characters = sorted(found - {errors.NOTHING})
    if not characters:
        return
    page.chart(
        chapter.chart(
            partial(figures.confusions, grids, characters),
            pd.concat([edits.assign(arm=arm) for arm, edits in grids.items()]),
            "characters",
            f"Heat maps of characters by what they are read as, for {' and '.join(grids)}. The "
            "column lost and the row added stand apart.",
            "Characters by what they are read as, a mean over seeds; what was lost and what was "
            "added stand apart from what was misread.",
        )
    )


def _values(page: Page, chapter: Chapter, of_arm: dict[str, pd.DataFrame]) -> None:
    rows = []
    for arm, own in of_arm.items():
        found = errors.wrong_values(own)
        of = found.wrong or float("nan")
        shares = (found.tenfold, found.separator, found.sign, found.unreadable, found.same)
        rows.append(
            [
                chapter.names[arm],
                f"{found.wrong} of {len(own)}",
                *(percent(some / of) for some in shares),
                percent(found.relative, 0),
            ]
        )
    page.text("#### Values")
    page.table(
        [
            *("arm", "wrong readings", "tenfold off", "only separators", "only the sign"),
            *("no number", "right value", "median off by"),
        ],
        rows,
        plain=(
            "What a wrong reading does to the number: one that is tenfold off costs more "
            "than one whose last digit is wrong."
        ),
    )
    page.text(
        "What the wrong readings of all seeds would do to a sum, in percent of them. Tenfold: too "
        "large or too small by a factor of ten or more, or zero in place of another number, such "
        "as 12.5 read as 125. Right value: only its text is another, such as 5.0 read as 5. The "
        "median is of |reading - label| / |label|, where both are numbers."
    )


def _galleries(page: Page, chapter: Chapter, test: pd.DataFrame) -> None:
    hardest = errors.hardest(test).head(_PICTURES)
    page.text("#### The hardest images")
    if hardest.empty:
        page.text("No reading is wrong.")
        return
    page.text(
        f"What most runs of these arms misread, of {count(int(hardest['runs'].max()), 'run')} that "
        "read an image; often it is the label that is wrong."
    )
    note = "label {truth}, read {reading}; {wrong} of {runs} wrong"
    write_gallery(page, chapter, hardest, note)
    two = chapter.drawn[:2]
    sure = errors.most_confident(test[test["arm"].isin(two)]).head(_PICTURES)
    page.text("#### The most confident mistakes")
    page.text(f"Of {' and '.join(code(chapter.names[arm]) for arm in two)}, the surest first.")
    note = "label {truth}, read {reading} ({confidence:.3f}) by {name}, seed {seed}"
    sure = sure.assign(name=sure["arm"].map(chapter.names))
    write_gallery(page, chapter, sure, note)
