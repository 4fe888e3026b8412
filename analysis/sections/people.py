"""The human baseline."""

from __future__ import annotations

import pandas as pd

from analysis import figures, humans
from analysis.formats import mean_and_spread, percent, percent_interval
from analysis.page import Page
from analysis.sections.chapter import ROWS, Chapter
from analysis.stats import share

# What the published repository says of itself, as fractions.
CLAIMED_ACCURACY, CLAIMED_AGREEMENT = 0.9466, 0.93

_COLUMNS = ["human1", "human2", "agreed", "either"]
_WITH, _AGREED = "with each person, mean", "where both people agree"


def readings_of(chapter: Chapter) -> pd.DataFrame:
    """What people and published models read, a column a reader; empty without two people."""
    readers = chapter.results.readers
    return humans.side_by_side(readers[readers["data_digest"] == chapter.section.digest])


def write_people_chart(page: Page, chapter: Chapter) -> None:
    """The first screen's part: the arms' readings against the people's agreement."""
    readings = readings_of(chapter)
    if readings.empty:
        page.text("There is no human baseline: this data set has no images that two people read.")
        return
    scores = _scores(chapter, readings)
    agree = humans.agreement(readings)
    best = scores[scores["what"] == _WITH].iloc[0]
    page.chart(
        chapter.chart(
            figures.beside_people(
                scores,
                figures.Reference("two people with each other (95% interval)", agree),
                chapter.looks,
                chapter.names,
            ),
            "people",
            f"Exact match of {scores['reader'].nunique()} readers with people. Two people agree on "
            f"{percent_interval(agree)} percent of the images; "
            f"{chapter.names.get(best['reader'], best['reader'])} agrees with each of them on "
            f"{percent(best['estimate'])} percent.",
            f"The human baseline, on the {len(readings)} images that two people read. The green "
            "line is how often they read alike. Its fair counterpart is the filled mark: how often "
            "a reader agrees with one of them. The hollow mark is on the "
            f"{int((readings['human1'] == readings['human2']).sum())} images on which they agree, "
            "which are the easier ones: not to be held against the line. Bars: 95% (Wilson), for "
            "images, not seeds.",
        )
    )


def _scores(chapter: Chapter, readings: pd.DataFrame) -> pd.DataFrame:
    """Readers by what: each person (their mean), and where both agree."""
    agreed = int((readings["human1"] == readings["human2"]).sum())
    found: list[tuple[str, dict[str, float]]] = [
        (str(arm["label"]), {c: float(arm[c]) for c in _COLUMNS})
        for _, arm in chapter.arms.head(ROWS).iterrows()
    ]
    found += [
        (name, humans.score(readings, name))
        for name in sorted(set(readings.columns) - set(humans.PEOPLE))
    ]
    rows = []
    for reader, score in found:
        each = (score["human1"] + score["human2"]) / 2
        for what, estimate, of in (
            (_WITH, each, len(readings)),
            (_AGREED, score["agreed"], agreed),
        ):
            if of and not pd.isna(estimate):
                interval = share(round(estimate * of), of)
                rows.append((reader, what, estimate, interval.low, interval.high))
    return pd.DataFrame(rows, columns=["reader", "what", "estimate", "low", "high"])


def write_people(page: Page, chapter: Chapter) -> None:
    """All readers in numbers."""
    readings = readings_of(chapter)
    if readings.empty:
        page.text("### People")
        page.text("This data set has no images that two people read.")
        return
    agree = humans.agreement(readings)
    seen = chapter.predictions[chapter.predictions["split"] == "human"]
    leak_free = set(seen.loc[seen["clean"], "filename"])
    rows = []
    for name in sorted(set(readings.columns) - set(humans.PEOPLE)):
        scores = humans.score(readings, name)
        clean = humans.score(readings[readings.index.isin(leak_free)], name)
        rows.append([name, *(percent(scores[c]) for c in _COLUMNS), percent(clean["agreed"])])
    for _, arm in chapter.arms.iterrows():
        shares = (mean_and_spread(arm[c], arm[f"{c}_sd"]) for c in [*_COLUMNS, "agreed_clean"])
        rows.append([chapter.names[arm["label"]], *shares])
    page.text("### Beside the people")
    page.text(
        f"Two people read {len(readings)} images and agree on {100 * agree.estimate:.2f}% of them "
        f"(95% interval {100 * agree.low:.1f} to {100 * agree.high:.1f}). Published: "
        f"{100 * CLAIMED_AGREEMENT:.0f}% agreement and {100 * CLAIMED_ACCURACY:.2f}% accuracy of "
        "cross-entropy + stop. Exact match with each person, where both agree, and with either. "
        "`output1` and `output2` are another model's readings: in the published data those of the "
        "published model. The last column leaves out agreed images that also stand among the "
        "training images."
    )
    page.table(["reader", *_COLUMNS, "agreed, leak-free"], rows)
