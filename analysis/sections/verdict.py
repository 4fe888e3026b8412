"""The first screen: the answer, the arms, and the differences between twins as a figure."""

from __future__ import annotations

from functools import partial

import pandas as pd

from analysis.findings.claims import CLAIMED_LEAD
from analysis.page import figures
from analysis.page.formats import count, mean_and_spread, p_is, points, signed
from analysis.page.page import Page, code
from analysis.sections.base import register
from analysis.sections.chapter import ROWS, Chapter
from analysis.sections.claims import speaks_of
from analysis.sections.planned import looked_at, planned
from analysis.statistics.comparison import CROSS_ENTROPY, CTC, Comparison
from analysis.statistics.significance import ALPHA, Verdict


@register("verdict", place=10)
def write_verdict(page: Page, chapter: Chapter) -> None:
    """The answer, the table of arms, the forest plot."""
    page.text(answer(chapter))
    if chapter.headline is not None:
        page.text(planned(chapter, chapter.headline))
    page.text(looked_at(chapter))
    write_arms(page, chapter)
    if chapter.pairs:
        _forest(page, chapter, ordered(chapter))


def answer(chapter: Chapter) -> str:
    """One sentence, about the pair that was named or else that of `best_by_validation`."""
    if chapter.headline is None:
        if chapter.pairs:
            return (
                "No pair of CTC and cross-entropy + stop is there to compare; those below are of "
                "other losses."
            )
        return (
            "There is nothing to compare yet: no two arms that differ in the loss alone have a "
            "seed and a leak-free test image in common."
        )
    return _sentence(chapter, chapter.headline)


def _sentence(chapter: Chapter, compared: Comparison) -> str:
    """What the tests allow to be said, and on what it rests."""
    if compared.difference.estimate < 0:
        compared = compared.turned()
    d, judgement = compared.difference, compared.judgement
    first, second = (f"**{chapter.names[x]}**" for x in (compared.first, compared.second))
    many = f" after correction for {compared.family} comparisons" if compared.family > 1 else ""
    chosen = "the pair chosen by validation"
    if len({len(pair.run_ids[0]) for pair in chapter.pairs}) > 1:
        chosen += " among those with the most runs"
    if compared.level is not None:
        many = f", by itself at {100 * compared.level:.2g}%"
    if chapter.named and chapter.named.in_time and {*chapter.named.arms} == {*compared.arms}:
        chosen = "the pair named before the runs"
    p = compared.p_adjusted
    # Beside the level of an early look, "below 0.001" would say too little.
    shown = p_is(p) if compared.level in (None, ALPHA) else f"p = {p:.2g}"
    basis = (
        f"{signed(d.estimate)} points (95% interval {points(d)}; {shown}"
        f"{many}; {_trainings(compared)}, {compared.images:,} leak-free test images, "
        f"{chosen})."
    )
    margin = margin_of(compared)
    if judgement.verdict is Verdict.SHOWN:
        text = f"{first} reads more cells right than {second}: {basis}"
        if judgement.within_margin:
            text += f" It is shown, too, that the difference is below {margin}."
    elif judgement.verdict is Verdict.EQUIVALENT:
        text = f"{first} and {second} are equivalent, to within {margin}: {basis}"
    else:
        text = f"No difference is shown between {first} and {second}: {basis}"
        if d.low > 0 and compared.family > 1:
            text += " The interval, which knows of this one comparison only, leaves zero out."
        elif d.low > 0 and compared.level is not None:
            text += " The interval, which knows of this one look only, leaves zero out."
        if not pd.isna(compared.visible):
            text += (
                f" One of {100 * compared.visible:.1f} points would have been shown four times out "
                "of five."
            )
    if compared.one_seed:
        text += " **It holds for the one seed that was run, and says nothing about others.**"
    return text + _claimed_lead(chapter, compared)


def _trainings(pair: Comparison) -> str:
    seeds, folds = count(pair.seeds, "seed"), pair.difference.folds
    if pair.lacking:
        return f"{seeds}, over {folds} of {folds + pair.lacking} folds"
    return seeds if folds == 1 else f"{seeds}, over {folds} folds"


def _claimed_lead(chapter: Chapter, compared: Comparison) -> str:
    """Whether the published lead is ruled out for these two."""
    lead = chapter.audit.lead
    if lead.empty or not speaks_of(chapter):
        return ""
    of_two = lead[
        [
            {*pair} == {compared.first, compared.second}
            for pair in zip(lead["ce_stop"], lead["ctc"], strict=True)
        ]
    ]
    if of_two.empty or not bool(of_two["ruled_out"].iloc[0]):
        return ""
    return (
        f" That cross-entropy + stop leads by {100 * CLAIMED_LEAD:.0f} points or more, as "
        f"published, is ruled out for these two ({p_is(of_two['p_adjusted'].iloc[0])})."
    )


def write_arms(page: Page, chapter: Chapter) -> None:
    """The table of arms, the best by validation first."""
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
                    for m in ("val", "test", "test_clean", "cer")
                ),
                f"{arm['seconds']:.0f}",
            ]
            for _, arm in chapter.arms.iterrows()
        ],
        plain=(
            "How many cells in a hundred each arm reads right; differences between rows are "
            "judged further down, where chance is taken into account."
        ),
    )
    page.text(
        "Exact match in percent, every character counted; mean over seeds, and their standard "
        f"deviation where there are several. Test: {len(images)} images, {images['clean'].sum()} "
        "of them leak-free: without an identical image in training, and without one that has "
        "another label. Epochs are chosen by `val`; the table is ordered by it."
        + (f" Of the names: {chapter.left_out}." if chapter.left_out else "")
    )
    if uneven := _uneven(chapter):
        page.text(uneven)


def _uneven(chapter: Chapter) -> str:
    """Which runs some arms have and others lack: their means are not over the same runs."""
    runs = chapter.section.runs
    of_arm = {
        str(label): set(zip(made["config.seed"], made["config.fold"], strict=True))
        for label, made in runs.groupby("label")
    }
    every = set[tuple[str, str]]().union(*of_arm.values())
    lacking = {label: every - made for label, made in of_arm.items() if every - made}
    if not lacking:
        return ""
    folds = runs["config.fold"].nunique() > 1

    def listed(lacked: set[tuple[str, str]]) -> str:
        return ", ".join(
            f"seed {seed}" + (f" fold {fold}" if folds else "") for seed, fold in sorted(lacked)
        )

    parts = [f"{code(chapter.names[k])} lacks {listed(v)}" for k, v in lacking.items()]
    return (
        "**Not all arms have the same runs**, so that the means above are not over the same "
        "seeds or folds; paired differences are, over those that both have. "
        f"{'; '.join(parts[:ROWS])}{'; and others' if len(parts) > ROWS else ''}."
    )


def ordered(chapter: Chapter) -> list[Comparison]:
    """The pair of the answer, then those of its losses, then by validation."""
    scores = chapter.arms.set_index("arm")["val"]
    losses = chapter.headline.losses if chapter.headline else None
    return sorted(
        chapter.pairs,
        key=lambda pair: (
            pair is not chapter.headline,
            pair.losses != losses,
            -scores[list(pair.arms)].mean(),
        ),
    )


def _forest(page: Page, chapter: Chapter, pairs: list[Comparison]) -> None:
    first = pairs[0]
    drawn = [pair for pair in pairs if pair.losses == first.losses][:ROWS]
    table = pd.DataFrame(
        [
            {
                "first": chapter.names[pair.first],
                "second": chapter.names[pair.second],
                "estimate": pair.difference.estimate,
                "low": pair.difference.low,
                "high": pair.difference.high,
                "shown": pair.judgement.verdict is Verdict.SHOWN,
                "one_seed": pair.one_seed,
            }
            for pair in drawn
        ]
    )
    claimed = (
        {
            (CROSS_ENTROPY, CTC): CLAIMED_LEAD,
            (CTC, CROSS_ENTROPY): -CLAIMED_LEAD,
        }.get(first.losses)
        if speaks_of(chapter)
        else None
    )
    left = len(pairs) - len(drawn)
    page.chart(
        chapter.chart(
            partial(figures.differences, table, claimed),
            table,
            "differences",
            f"Forest plot of {count(len(table), 'paired difference')} between losses, in points of "
            f"exact match. The first: {table['first'].iloc[0]} minus {table['second'].iloc[0]}, "
            f"{signed(first.difference.estimate)} ({points(first.difference)}).",
            "Arms that differ in the loss alone, on the same leak-free test images and seeds: "
            "points of exact match with 95% intervals, the pair of the answer first. To the "
            "right the first of the two reads more. Filled where the difference is shown."
            + figures.OF_ONE_SEED * bool(table["one_seed"].any())
            + (" Dashed: the lead that was claimed." if claimed else "")
            + (f" {left} more in the table below." if left else ""),
        )
    )


def margin_of(pair: Comparison) -> str:
    """Below which the two are equivalent, in words."""
    points_apart = 100 * pair.judgement.margin
    return f"{points_apart:g} point" if points_apart == 1 else f"{points_apart:g} points"
