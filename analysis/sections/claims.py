"""The published claims, held against what can be recomputed."""

from __future__ import annotations

import pandas as pd

from analysis.findings.claims import CLAIMED_ACCURACY, CLAIMED_AGREEMENT, CLAIMED_LEAD
from analysis.page.formats import p_value, percent, percent_interval, points, signed
from analysis.page.page import Page
from analysis.record import PEOPLE
from analysis.sections.base import register
from analysis.sections.chapter import ROWS, Chapter
from analysis.statistics.comparison import CTC
from analysis.statistics.intervals import Interval


@register("claims", place=50)
def write_claims(page: Page, chapter: Chapter) -> None:
    """Accuracy, agreement, lead, and the time steps that may explain the lead."""
    page.text("### The published claims")
    if not speaks_of(chapter):
        page.text("They do not apply: they are about the published cells, and these are others.")
        return
    page.text(
        f"The repository of 2019 says: {CLAIMED_ACCURACY}% accuracy, {CLAIMED_AGREEMENT}% on which "
        f"two people agree, and cross-entropy + stop {100 * CLAIMED_LEAD:.0f}% or more better than "
        "CTC."
    )
    _agreement(page, chapter)
    _accuracy(page, chapter)
    _lead(page, chapter)
    _time_steps(page, chapter)


def speaks_of(chapter: Chapter) -> bool:
    """Whether the claims are about this data set: it holds what the published model read."""
    readers = chapter.results.readers
    named = set(readers.loc[readers["data_digest"] == chapter.section.digest, "reader"])
    return bool(named - set(PEOPLE))


def _agreement(page: Page, chapter: Chapter) -> None:
    people = chapter.audit.people
    if people is not None:
        page.text(
            f"**{CLAIMED_AGREEMENT}% agreement.** Here two people agree on "
            f"{percent(people.estimate, 2)}% (95% interval {percent(people.low)} to "
            f"{percent(people.high)}): the claim is "
            + (
                "inside"
                if people.low <= float(CLAIMED_AGREEMENT) / 100 <= people.high
                else "outside"
            )
            + "."
        )


def _accuracy(page: Page, chapter: Chapter) -> None:
    page.text(
        f"**{CLAIMED_ACCURACY}% accuracy.** Of these lists so many right readings give it, rounded "
        "or cut off; nothing where no whole number does. Beside them the nearest that there are."
    )
    page.table(
        ["list", "images", "rounded", "cut off", "nearest below", "nearest above"],
        [
            [
                str(row["of"]),
                f"{row['images']:,}",
                *(_span(row[f"{how}_low"], row[f"{how}_high"]) for how in ("rounded", "truncated")),
                *(f"{row[side]}%" for side in ("below", "above")),
            ]
            for row in chapter.audit.accuracy.to_dict("records")
        ],
        plain=(
            "A published percentage is only possible where some whole number of right "
            "readings gives it; an empty field says that none does."
        ),
    )
    if len(outputs := chapter.audit.outputs):
        page.text(
            "What the published readings, that are in the data, say of it; `leaked` images were "
            "among those that the model learnt from."
        )
        page.table(
            ["readings", "against", "on", "right", "percent (95%)", "claim in the interval?"],
            [
                [
                    *(str(row["reader"]), str(row["against"]), f"{row['leak']} images"),
                    f"{row['right']} of {row['images']}",
                    percent_interval(Interval(row["estimate"], row["low"], row["high"])),
                    "yes" if row["claimed"] else "no",
                ]
                for row in outputs.to_dict("records")
                if row["against"] in ("human1", "human2", "agreed")
            ],
            texts=3,
            plain=(
                "How often the published model read what people read; where the claim is not in "
                "the interval, these readings do not bear it out."
            ),
        )


def _lead(page: Page, chapter: Chapter) -> None:
    lead = chapter.audit.lead
    page.text(f"**A lead of {100 * CLAIMED_LEAD:.0f} points or more.**")
    if lead.empty:
        page.text("No two arms here differ in these losses alone.")
        return
    out = int(lead["ruled_out"].sum())
    page.text(
        f"It is ruled out for {out} of {len(lead)} pairs (corrected for their number)"
        + ("; where there is one seed, for that seed alone" if lead["one_seed"].any() else "")
        + ". **Needed**: what cross-entropy + stop would have to read for a lead in points, and "
        "for one of a tenth of what CTC reads."
    )
    shown = lead.sort_values("ctc_accuracy", ascending=False, kind="stable").head(ROWS)
    page.table(
        ["cross-entropy + stop", "CTC", "lead", "95% interval", "p", "ruled out?", "CTC reads",
         "needed, points", "needed, tenth"],
        [
            [
                *(chapter.names[row["ce_stop"]], chapter.names[row["ctc"]]),
                signed(row["estimate"]),
                points(Interval(row["estimate"], row["low"], row["high"])),
                p_value(row["p_adjusted"]),
                "yes" if row["ruled_out"] else "no",
                *(percent(row[c]) for c in ("ctc_accuracy", "needed_points", "needed_relative")),
            ]
            for row in shown.to_dict("records")
        ],
        texts=2,
     plain=("Where it is ruled out, a lead as large as the published one would have been "
"seen with near certainty, and was not."))  # fmt: skip
    if len(lead) > len(shown):
        page.text(f"{len(lead) - len(shown)} more pairs stand in comparisons.csv.")


def _time_steps(page: Page, chapter: Chapter) -> None:
    if any(c.setting == "width_stride" and CTC in c.pair.losses for c in chapter.changes):
        page.text(
            "**What too few time steps cost CTC** stands under `width_stride` in the table of "
            "single settings: a larger stride leaves fewer places to write characters in."
        )


def _span(low: object, high: object) -> str:
    if pd.isna(low):  # type: ignore[call-overload]
        return ""
    return f"{low}" if low == high else f"{low} to {high}"
