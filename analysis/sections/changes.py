"""What each setting is worth: the table an engineer picks a backbone and an augmentation from."""

from __future__ import annotations

from functools import partial

import pandas as pd

from analysis.findings.changes import Change
from analysis.page import figures
from analysis.page.formats import count, p_value, points, signed
from analysis.page.page import Page
from analysis.sections.base import register
from analysis.sections.chapter import ROWS, Chapter
from analysis.statistics.comparison import Comparison
from analysis.statistics.significance import Verdict
from analysis.tables.settings import told_apart

# Twice as many as of pairs that differ in the loss: two losses have these settings.
_DRAWN = 2 * ROWS
# Beyond these the page refers to comparisons.csv.
_LISTED = 60


@register("changes", place=35)
def write_changes(page: Page, chapter: Chapter) -> None:
    """A row an arm that differs from another in one setting; nothing where there is none."""
    if not (found := chapter.changes):
        return
    page.text("### One setting changed")
    one_seed = any(change.pair.one_seed for change in found)
    folded = any(change.pair.difference.folds > 1 for change in found)
    page.text(
        "Arms of one loss that differ in a single setting; an optimiser's rate, an augmentation's "
        "strengths and what a decoder brings along count as part of it. Each stands beside the one "
        "whose value most arms of that loss have; of values as common, the one with the most "
        "runs, then the one that validates best, which has had some luck. Difference in exact "
        "match on the leak-free test images, in points, over the seeds that both arms have, with "
        "its 95% interval; `p` is corrected for the "
        f"{count(len(found), 'comparison')} of this table (Holm), as is the judgement."
        + (
            f" With one seed{' and no folds' if folded else ''} all this holds for that seed alone."
            if one_seed
            else ""
        )
        + (" Folds stand for seeds." if folded else "")
        + " Arms that differ in the number of training images have a table of their own."
    )
    page.text(_summary(found))
    page.table(
        [
            *("setting", "changed to", "in place of", "of the arm", "seeds"),
            *("gain", "95% interval", "p", "judgement", "would show"),
        ],
        [
            [
                _named(change),
                *_values(chapter, change),
                chapter.names[change.pair.second],
                str(change.pair.seeds),
                *(signed(change.pair.difference.estimate), points(change.pair.difference)),
                *(p_value(change.pair.p_adjusted), _judged(change.pair)),
                "" if pd.isna(change.pair.visible) else f"{100 * change.pair.visible:.1f}",
            ]
            for change in found[:_LISTED]
        ],
        texts=4,
        plain=(
            "How many more cells in a hundred are read right with a setting changed (fewer, with a "
            "minus), all else being equal; where the interval reaches to both sides of 0 it is "
            "open whether the change helps."
        ),
    )
    if len(found) > _LISTED:
        page.text(f"{len(found) - _LISTED} more stand in comparisons.csv.")
    _forest(page, chapter)


def _summary(found: list[Change]) -> str:
    """How much of it is shown."""
    of = {verdict: sum(c.pair.judgement.verdict is verdict for c in found) for verdict in Verdict}
    least, most = (end(c.pair.difference.estimate for c in found) for end in (min, max))
    return (
        f"**A difference is shown for {of[Verdict.SHOWN]} of {len(found)}**, equivalence for "
        f"{of[Verdict.EQUIVALENT]}, neither for {of[Verdict.NOT_SHOWN]}, which may matter as much "
        f"as the intervals reach. The differences go from {signed(least)} to {signed(most)} points."
    )


def _values(chapter: Chapter, change: Change) -> tuple[str, str]:
    """What the changed arm has of the setting, and what the other has."""
    made = chapter.section.runs.loc[[run_ids[0] for run_ids in change.pair.run_ids]]
    (_, first), (_, second) = made.iterrows()
    return told_apart(first, second, change.setting)


def _named(change: Change) -> str:
    return change.setting.removeprefix("loss_options.")


def _choice(value: str) -> str:
    """Where something is chosen by name, the name without its own values: a figure has no room."""
    return " ".join(word for word in value.split(" ") if "=" not in word) or value


def _judged(pair: Comparison) -> str:
    verdict = pair.judgement.verdict
    if verdict is not Verdict.SHOWN:
        return str(verdict)
    return f"{verdict}: {'more' if pair.judgement.direction > 0 else 'less'}"


def rows_drawn(chapter: Chapter) -> pd.DataFrame:
    """What the forest plot shows, as `figures.differences` has it; no two rows have one name."""
    rows = []
    for change in chapter.changes[:_DRAWN]:
        changed, beside = _values(chapter, change)
        rows.append(
            {
                "first": f"{change.pair.losses[0]}, {_named(change)}: {_choice(changed)}",
                "second": _choice(beside),
                "of": chapter.names[change.pair.second],
                "estimate": change.pair.difference.estimate,
                "low": change.pair.difference.low,
                "high": change.pair.difference.high,
                "shown": change.pair.judgement.verdict is Verdict.SHOWN,
                "one_seed": change.pair.one_seed,
            }
        )
    table = pd.DataFrame(rows)
    # One setting changed in several arms.
    alike = table.duplicated(["first", "second"], keep=False)
    table.loc[alike, "second"] += " (" + table.loc[alike, "of"] + ")"
    return table


def _forest(page: Page, chapter: Chapter) -> None:
    table = rows_drawn(chapter)
    left = len(chapter.changes) - len(table)
    page.chart(
        chapter.chart(
            partial(figures.differences, table, None),
            table,
            "changes",
            f"Forest plot of what {count(len(table), 'changed setting')} "
            f"{'adds' if len(table) == 1 else 'add'} in points of exact match; the numbers stand "
            "in the table.",
            "One setting changed: points of exact match on the leak-free test images with 95% "
            "intervals. To the right the changed arm reads more. Filled where the difference is "
            "shown."
            + figures.OF_ONE_SEED * bool(table["one_seed"].any())
            + (f" {left} more in the table." if left else ""),
        )
    )
