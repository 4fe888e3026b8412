"""The human baseline."""

from __future__ import annotations

from functools import partial

import pandas as pd

from analysis.findings import humans
from analysis.findings.not_inferior import not_inferior
from analysis.page import figures
from analysis.page.formats import p_value, percent, percent_interval, points, signed
from analysis.page.page import Page
from analysis.sections.base import register
from analysis.sections.chapter import ROWS, Chapter
from analysis.sections.gallery import write_gallery
from analysis.statistics.intervals import Interval

_AGAINST = {"human1": "as human1", "human2": "as human2", "agreed": "where both agree"}
# On which images alone an arm is held against labels.
_ALONE = "leak-free"
_COLUMNS = ["human1", "human2", "agreed", "either", "truth"]
_NOBODY = "There is no human baseline: this data set has no images that two people read."


@register("humans_chart", place=20)
def write_humans_chart(page: Page, chapter: Chapter) -> None:
    """The first screen's part: the arms' readings against the people's agreement."""
    if chapter.people is None:
        page.text(_NOBODY)
        return
    table = chapter.accuracy
    leak = "leak-free" if (table["leak"] == "leak-free").any() else "all"
    table = table[(table["leak"] == leak) & table["against"].isin(_AGAINST.keys())]
    alike = table[(table["kind"] == "person") & (table["against"] == "human2")].iloc[0]
    people = Interval(*(float(alike[c]) for c in ("estimate", "low", "high")))
    arms = [arm for arm in chapter.arms["label"] if arm in set(table["reader"])][:ROWS]
    outputs = sorted(set(table.loc[table["kind"] == "output", "reader"]))
    order = {reader: i for i, reader in enumerate([*arms, *outputs])}
    shown = table[table["reader"].isin(order.keys())]
    shown = shown.assign(what=shown["against"].map(_AGAINST)).sort_values(
        "reader", key=lambda readers: readers.map(order), kind="stable"
    )
    agreed = shown.loc[shown["against"] == "agreed", "images"].max()
    first = shown.iloc[0]
    page.chart(
        chapter.chart(
            partial(
                figures.beside_people,
                shown,
                figures.Reference("human1 as human2, 95% interval", people),
                chapter.looks,
                chapter.names,
            ),
            shown,
            "people",
            f"Exact match of {len(order)} readers with two people. The people read the same on "
            f"{percent_interval(people)} percent of the images; "
            f"{chapter.names.get(first['reader'], first['reader'])} reads the same as "
            f"{first['against']} on {percent(first['estimate'])} percent.",
            f"The human baseline, on {alike['images']} {leak} images that two people read. Green: "
            "how often the one reads what the other reads. Its fair counterpart are the filled "
            "marks: how often an arm reads what either person reads. "
            + (
                ""
                if pd.isna(agreed)
                else f"The hollow mark is on the {agreed:.0f} images on which both agree, which "
                "are the easier ones: not to be held against the line. "
            )
            + "95% intervals over images and, where there are several, seeds.",
        )
    )


@register("humans", place=60)
def write_humans(page: Page, chapter: Chapter) -> None:
    """All readers in numbers, and the images on which the people do not agree."""
    page.text("### Beside the people")
    if (base := chapter.people) is None:
        page.text(_NOBODY)
        return
    agree = humans.agreement(base.images)
    page.text(
        f"Two people read {len(base.images)} images and agree on {100 * agree.estimate:.2f}% of "
        f"them (95% interval {100 * agree.low:.1f} to {100 * agree.high:.1f}). Exact match in "
        "percent with each person, where both agree, with either, and with the label where the "
        "image is also a labelled one. `output1` and `output2` are another model's readings: in "
        "the published data those of the published model, which learnt from the images that are "
        "not leak-free. An arm is held against labels on leak-free images alone."
    )
    table = chapter.accuracy
    wide = table.set_index(["reader", "against", "leak"])
    order = list(dict.fromkeys([*table["reader"]]))
    order = sorted(order, key=lambda r: list(chapter.names).index(r) if r in chapter.names else -1)
    rows = []
    for reader in order:
        # Of labels an arm has leak-free ones alone.
        shares = [
            wide["estimate"].get((reader, c, "all"), wide["estimate"].get((reader, c, _ALONE)))
            for c in _COLUMNS
        ]
        row = [
            chapter.names.get(reader, reader),
            *(percent(float("nan") if one is None else one) for one in shares),
        ]
        clean = table[(table["reader"] == reader) & (table["against"] == "agreed")]
        clean = clean[clean["leak"] == "leak-free"]
        ends = clean[["estimate", "low", "high"]].itertuples(index=False, name=None)
        rows.append([*row, *([percent_interval(Interval(*e)) for e in ends] or [""])])
    page.table(
        ["reader", *_COLUMNS, "agreed, leak-free (95%)"],
        rows,
        plain=(
            "Of a hundred cells, in how many the reader says what each person says, or both say."
        ),
    )
    _not_inferior(page, chapter, base)
    _kinds(page, base)
    _disputed(page, chapter, base)


def _not_inferior(page: Page, chapter: Chapter, base: humans.Baseline) -> None:
    found = not_inferior(base)
    if not found:
        return
    margin = f"{100 * found[0].margin:g}"
    order = {label: place for place, label in enumerate(chapter.names)}
    page.text("#### As good as a person?")
    page.text(
        "Each person is judged by what the other read, and a reader by the same, on leak-free "
        "images: the difference in points is how much more often it reads what the one read than "
        f"the other person does. `p` is against being worse by {margin} or more, corrected for the "
        f"{len(found)} of all readers (Holm); the arms that figures show, and published readings."
    )
    page.table(
        ["reader", "in place of", "judged by", "images", "difference", "95% interval", "p",
         "as good?"],
        [
            [
                *(chapter.names.get(one.reader, one.reader), one.person, one.judge),
                *(str(one.images), signed(one.difference.estimate), points(one.difference)),
                p_value(one.p_adjusted),
                f"yes, to within {margin}" if one.shown else "not shown",
            ]
            for one in sorted(found, key=lambda one: order.get(one.reader, -1))
            if one.kind == "output" or one.reader in chapter.drawn
        ],
        texts=3,
     plain=("Where it says yes, the reader could take the place of that person without "
"being noticeably worse; where it does not, that is open."))  # fmt: skip


def _kinds(page: Page, base: humans.Baseline) -> None:
    page.text("#### What the people agree on")
    page.table(
        ["what either read there", "images", "read alike", "percent (95%)"],
        [
            [
                str(row["kind"]),
                str(row["images"]),
                str(row["alike"]),
                percent_interval(Interval(row["estimate"], row["low"], row["high"])),
            ]
            for row in humans.agreement_by_kind(base.images).to_dict("records")
        ],
        plain=(
            "How often two people say the same of such cells: nobody can be expected to "
            "agree with both more often than that."
        ),
    )


def _disputed(page: Page, chapter: Chapter, base: humans.Baseline) -> None:
    table = humans.disputed(base)
    if table.empty:
        return
    shown = chapter.drawn[:2]
    arms = [arm for arm in shown if arm in table]
    page.text("#### Images on which the people differ")
    differing = pd.DataFrame(
        {
            "part": "human",
            "filename": table.index,
            "people": table["human1"] + " or " + table["human2"],
            "label": table["truth"].map(lambda text: f"; label {text}" if text else ""),
            "arms": table[arms].rename(columns=chapter.names).apply(
                lambda row: "".join(f"; {text} by {name}" for name, text in row.items()), axis=1
            )
            if arms
            else "",
        }
    )  # fmt: skip
    write_gallery(page, chapter, differing, "people {people}{label}{arms}")
