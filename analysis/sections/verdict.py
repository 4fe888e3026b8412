"""The first screen: the answer, the arms, and the differences between twins."""

from __future__ import annotations

import pandas as pd

from analysis import figures
from analysis.formats import count, mean_and_spread, points, signed
from analysis.page import Page, code
from analysis.sections.chapter import ROWS, Chapter
from analysis.stats import Interval
from analysis.tables import Comparison

# What the published repository says of cross-entropy + stop over CTC ("10%+"), as a fraction.
CLAIMED_LEAD = 0.10

# With as many, simulated intervals cover the truth about as often as they say.
_ENOUGH_SEEDS = 8


def write_verdict(page: Page, chapter: Chapter) -> None:
    """The answer, the table of arms, the forest plot."""
    page.text(answer(chapter))
    _arms(page, chapter)
    _differences(page, chapter)


def answer(chapter: Chapter) -> str:
    """One sentence: of the pairs that differ in the loss alone, the one that validates best."""
    if chapter.headline is None:
        return (
            "There is nothing to compare yet: no two arms that differ in the loss alone have a "
            "seed and a leak-free test image in common."
        )
    return _sentence(chapter, chapter.headline)


def _sentence(chapter: Chapter, compared: Comparison) -> str:
    if compared.difference.estimate < 0:
        compared = compared.turned()
    d = compared.difference
    first, second = (f"**{chapter.names[x]}**" for x in (compared.first, compared.second))
    seeds = count(compared.seeds, "seed")
    if compared.seeds < _ENOUGH_SEEDS:
        seeds = f"{seeds} only, and it holds for these"
    basis = (
        f"{signed(d.estimate)} points (95% interval {points(d)}; {seeds}, {compared.images} "
        "leak-free test images, the pair chosen by validation)"
    )
    if shown(d):
        text = f"{first} reads more cells right than {second}: {basis}."
    else:
        seen = 50 * (d.high - d.low)
        text = (
            f"No difference is shown between {first} and {second}: {basis}; one of less than "
            f"about {seen:.1f} points could not have been seen."
        )
    if d.low > -CLAIMED_LEAD and d.high < CLAIMED_LEAD:
        text += f" A lead of {100 * CLAIMED_LEAD:.0f} points either way is ruled out for these two."
    return text


def shown(difference: Interval) -> bool:
    """Whether the interval leaves zero out."""
    return difference.low > 0 or difference.high < 0


def _arms(page: Page, chapter: Chapter) -> None:
    test = chapter.predictions[chapter.predictions["split"] == "test"]
    images = test.drop_duplicates("filename")
    page.text("### Arms")
    page.table(
        ["arm", "seeds", "val", "test", "leak-free test", "CER", "train seconds"],
        [
            [
                chapter.names[arm["label"]],
                str(arm["seeds"]),
                *(
                    mean_and_spread(arm[m], arm[f"{m}_sd"])
                    for m in ("val", "test", chapter.clean_metric, "cer")
                ),
                f"{arm['seconds']:.0f}",
            ]
            for _, arm in chapter.arms.iterrows()
        ],
    )
    page.text(
        "Exact match in percent, every character counted; mean over seeds, and their standard "
        f"deviation where there are several. Test: {len(images)} images, {images['clean'].sum()} "
        "of them without an identical image in training. Epochs are chosen by `val`; the table is "
        "ordered by it." + (f" Of the names: {chapter.left_out}." if chapter.left_out else "")
    )
    if uneven := _uneven(chapter):
        page.text(uneven)


def _uneven(chapter: Chapter) -> str:
    """Which runs some arms have and others lack: their means are not over the same runs."""
    runs = chapter.section.runs
    of_arm = runs.groupby("label")[["config.seed", "config.fold"]].apply(
        lambda made: set(made.itertuples(index=False, name=None))
    )
    every = set().union(*of_arm)
    lacking = {label: every - made for label, made in of_arm.items() if every - made}
    if not lacking:
        return ""
    folds = runs["config.fold"].nunique() > 1

    def told(lacked: set[tuple[str, str]]) -> str:
        return ", ".join(
            f"seed {seed}" + (f" fold {fold}" if folds else "") for seed, fold in sorted(lacked)
        )

    parts = [f"{code(chapter.names[str(k)])} lacks {told(v)}" for k, v in lacking.items()]
    return (
        "**Not all arms have the same runs**, so that the means above are not over the same "
        "seeds or folds; paired differences are, over those that both have. "
        f"{'; '.join(parts[:ROWS])}{'; and others' if len(parts) > ROWS else ''}."
    )


def _differences(page: Page, chapter: Chapter) -> None:
    if not chapter.pairs:
        return
    scores = chapter.arms.set_index("arm")["val"]
    ordered = sorted(chapter.pairs, key=lambda p: -scores[list(p.arms)].mean())[:ROWS]
    table = pd.DataFrame(
        [
            {
                "first": chapter.names[p.first],
                "second": chapter.names[p.second],
                "estimate": p.difference.estimate,
                "low": p.difference.low,
                "high": p.difference.high,
                "shown": shown(p.difference),
            }
            for p in ordered
        ]
    )
    best = ordered[0]
    left = len(chapter.pairs) - len(ordered)
    page.chart(
        chapter.chart(
            figures.differences(table, (-CLAIMED_LEAD, CLAIMED_LEAD)),
            "differences",
            f"Forest plot of {len(table)} paired differences between losses, in points of exact "
            f"match. The first: {table['first'].iloc[0]} minus {table['second'].iloc[0]}, {signed(best.difference.estimate)} "
            f"({points(best.difference)}).",
            "Arms that differ in the loss alone, on the same leak-free test images and seeds: "
            "points of exact match with 95% intervals, the pair that validates best first. Filled "
            "where the interval leaves zero out. Dashed: the lead of ten points that was claimed "
            "for cross-entropy + stop." + (f" {left} more in comparisons.csv." if left else ""),
        )
    )
    page.text("### The same arm but for the loss")
    page.text(
        "Difference in exact match on the leak-free test images, in points, with its 95% "
        "interval (paired bootstrap over seeds and groups of identical images). "
        + _caution(chapter.pairs)
    )
    page.table(
        ["first", "second", "seeds", "images", "first - second", "95% interval", "shown?"],
        [
            [
                *(chapter.names[pair.first], chapter.names[pair.second]),
                *(str(pair.seeds), str(pair.images)),
                *(signed(pair.difference.estimate), points(pair.difference)),
                "yes" if shown(pair.difference) else "no",
            ]
            for pair in chapter.pairs
        ],
    )


def _caution(pairs: list[Comparison]) -> str:
    """A bootstrap of a few seeds knows too little of how much seeds differ."""
    many = f"None of the {len(pairs)} is corrected for their number. " if len(pairs) > 1 else ""
    if min(pair.seeds for pair in pairs) >= _ENOUGH_SEEDS:
        return many
    return many + (
        f"With fewer than {_ENOUGH_SEEDS} seeds these intervals are too narrow: they hold for the "
        "seeds that were run, and a `yes` says little about others."
    )
