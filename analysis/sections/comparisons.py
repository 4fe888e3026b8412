"""Every pair of arms that differ in the loss alone, in numbers."""

from __future__ import annotations

import pandas as pd

from analysis.page.formats import count, p_value, points, signed
from analysis.page.page import Page
from analysis.sections.base import register
from analysis.sections.chapter import Chapter
from analysis.sections.verdict import margin_of, ordered
from analysis.statistics.comparison import Comparison
from analysis.statistics.significance import Verdict

# Beyond these the page refers to comparisons.csv.
_LISTED = 40


@register("comparisons", place=30)
def write_comparisons(page: Page, chapter: Chapter) -> None:
    """Every difference of the forest plot and the others, in numbers."""
    if not chapter.pairs:
        return
    pairs = ordered(chapter)
    family = sum(pair.level is None for pair in pairs)
    corrected = (
        f"`p` is corrected for the {count(family, 'comparison')} of this table (Holm), as is the "
        "judgement"
    )
    folded = any(pair.difference.folds > 1 for pair in pairs)
    page.text("### The same arm but for the loss")
    page.text(
        "Difference in exact match on the leak-free test images, in points, over the seeds that "
        "both arms have, with its 95% interval for other seeds and images of the same kind. "
        f"{corrected if family else 'The judgement'}: **shown** which of the two reads more, or "
        "the two are **equivalent** within "
        f"{margin_of(pairs[0])}, or neither. **Would show**: the true difference that data like "
        "these show four times out of five."
        + (" The planned pair is tested by itself." if family < len(pairs) else "")
        + (
            f" With one seed{' and no folds' if folded else ''} all this holds for that seed alone."
            if any(pair.one_seed for pair in pairs)
            else ""
        )
        + (
            " Each fold is a training of its own, judged by its own images: folds stand for seeds, "
            "and the interval is for other folds, as far as these show them."
            if folded
            else ""
        )
    )
    page.table(
        [
            *("first", "second", "seeds", *(["folds"] if folded else []), "images"),
            *("first - second", "95% interval", "p"),
            *("judgement", "would show"),
        ],
        [
            [
                *(chapter.names[pair.first], chapter.names[pair.second]),
                *(str(pair.seeds), *([str(pair.difference.folds)] if folded else [])),
                str(pair.images),
                *(signed(pair.difference.estimate), points(pair.difference)),
                p_value(pair.p_adjusted),
                _judged(pair),
                "" if pd.isna(pair.visible) else f"{100 * pair.visible:.1f}",
            ]
            for pair in pairs[:_LISTED]
        ],
        texts=2,
        plain=(
            "Of each row the first reads so many more cells in a hundred right than the "
            "second (fewer, with a minus); the truth is most likely somewhere in the "
            "interval, and where that reaches to both sides of 0 it is open which of the "
            "two reads more."
        ),
    )
    if len(pairs) > _LISTED:
        page.text(f"{len(pairs) - _LISTED} more stand in comparisons.csv.")


def _judged(pair: Comparison) -> str:
    verdict = pair.judgement.verdict
    planned = " (planned)" if pair.level is not None else ""
    if verdict is Verdict.SHOWN:
        side = "first" if pair.judgement.direction > 0 else "second"
        return f"{verdict}: {side}{planned}"
    return f"{verdict}{planned}"
