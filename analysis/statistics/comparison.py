"""Two arms on the same images with the same seeds: their difference and what may be said of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from analysis.statistics.contest import Contest
from analysis.statistics.intervals import MARGIN, Difference, paired_difference
from analysis.statistics.looks import levels
from analysis.statistics.named import Named
from analysis.statistics.planning import Components, between_folds, components
from analysis.statistics.significance import (
    ALPHA,
    Judgement,
    exact_mcnemar,
    holm,
    judge,
)
from analysis.tables.arms import Section, arms

# The two losses that the question is about, and the published claim; others are read beside them.
CTC, CROSS_ENTROPY = "ctc", "ce_stop"


@dataclass(frozen=True)
class Comparison:
    """Two arms on the same images with the same seeds; `difference` is first minus second.

    arms: what identifies the two; first and second are their labels, losses their losses.
    run_ids: the runs behind it, of the first and of the second.
    seeds, images: how many of each.
    lacking: of the folds that the images were dealt into those that are not there.
    difference: its `one_seed` says that all below holds for that seed alone.
    p: against "no difference". Of the seeds and images as samples, and never below `p_exact`. By
        itself it holds for a pair that was chosen without looking at the test part.
    p_exact: the same for the runs that were made and no others (McNemar); with one run a side it
        is `p`.
    p_equivalent: against "a difference of the margin or more".
    family: how many comparisons were corrected together.
    p_adjusted, p_equivalent_adjusted: corrected for the family (Holm).
    visible: the smallest true difference that would have been shown with a power of 80%, at the 5%
        of the family divided by its size; None where not even 100 points would.
    judgement: what all this lets one say.
    components: where the spread of the difference comes from; None with one seed, and in folds.
    sample: the variance of the difference that comes from the training sample; None with one fold.
    level: of one that was named before the runs and is tested by itself, how small `p` has to be
        at this number of seeds; None for one of the family.
    """

    arms: tuple[str, str]
    first: str
    second: str
    losses: tuple[str, str]
    run_ids: tuple[tuple[str, ...], tuple[str, ...]]
    seeds: int
    images: int
    lacking: int
    difference: Difference
    p: float
    p_exact: float
    p_equivalent: float
    family: int
    p_adjusted: float
    p_equivalent_adjusted: float
    visible: float | None
    judgement: Judgement
    components: Components | None
    sample: float | None
    level: float | None = None

    @property
    def one_seed(self) -> bool:
        """Whether it holds for one seed alone."""
        return self.difference.one_seed

    def turned(self) -> Comparison:
        """The same with first and second exchanged."""
        return replace(
            self,
            arms=self.arms[::-1],
            first=self.second,
            second=self.first,
            losses=self.losses[::-1],
            run_ids=self.run_ids[::-1],
            difference=self.difference.turned(),
            judgement=replace(self.judgement, direction=-self.judgement.direction),
        )


def comparisons(section: Section, among: Contest, named: Named | None = None) -> list[Comparison]:
    """Every two arms of a section that differ in the loss alone, and what comes with it.

    The pair that was named in time is there in any case.
    named: the comparison that was named before the runs. Where it was, and there are as many seeds
    as at one of its looks, it is tested by itself; all others are one family.
    """
    found = []
    margin = named.primary.margin if named and named.in_time else MARGIN
    for _, twins in section.runs.groupby("twin", sort=False):
        losses = {str(arm): str(rows["config.loss"].iloc[0]) for arm, rows in twins.groupby("arm")}
        for a, b in combinations(sorted(losses, key=lambda arm: (losses[arm], arm)), 2):
            if losses[a] != losses[b]:
                compared = compare(among, a, b, margin)
                if compared is not None:
                    found.append(compared)
    # Arms that start from readers of their own are no twins; whoever names them asks for it.
    if named and named.in_time and not any({*pair.arms} == {*named.arms} for pair in found):
        compared = compare(among, *named.arms, margin)
        found += [compared] if compared is not None else []
    alone = [_by_itself(pair, named) if named else None for pair in found]
    family = iter(corrected([p for p, one in zip(found, alone, strict=True) if one is None]))
    return [one or next(family) for one in alone]


def _by_itself(pair: Comparison, named: Named) -> Comparison | None:
    """The named comparison, judged at its look; None for any other, and where there is no look."""
    look = named.look(pair.seeds)
    if not named.in_time or look is None or {*named.arms} != {*pair.arms}:
        return None
    # Folds that are looked at one by one would each be another chance.
    if pair.lacking:
        return None
    level = levels(named.primary.looks, ALPHA)[look]
    return replace(
        pair,
        level=level,
        visible=pair.difference.smallest_visible(level),
        judgement=judge(pair.difference, pair.p, pair.p_equivalent, pair.judgement.margin, level),
    )


def corrected(family: list[Comparison]) -> list[Comparison]:
    """The same comparisons, their p-values, judgements and `visible` corrected for their number.

    Those for a difference and those for equivalence are corrected apart from each other.
    """
    of_difference = holm([pair.p for pair in family])
    of_equivalence = holm([pair.p_equivalent for pair in family])
    return [
        replace(
            pair,
            family=len(family),
            p_adjusted=p,
            p_equivalent_adjusted=q,
            visible=pair.difference.smallest_visible(ALPHA / len(family)),
            judgement=judge(pair.difference, p, q, pair.judgement.margin),
        )
        for pair, p, q in zip(family, of_difference, of_equivalence, strict=True)
    ]


def headline(
    section: Section, pairs: list[Comparison], named: Named | None = None
) -> Comparison | None:
    """What the answer is about: the pair that was named in time, else `best_by_validation`."""
    if named and named.in_time:
        for pair in pairs:
            if {*pair.arms} == {*named.arms}:
                return pair
    return best_by_validation(section, pairs)


def best_by_validation(section: Section, pairs: list[Comparison]) -> Comparison | None:
    """Of the pairs of `ctc` and `ce_stop` with the most runs the one that validates best.

    By the mean of its two arms: one run is above the mean of several by luck alone. None without
    such a pair. Mixtures of the two losses are no answer to which of them to train with.
    """
    scores = arms(section).set_index("arm")["val"]
    plain = [pair for pair in pairs if set(pair.losses) == {CTC, CROSS_ENTROPY}]
    return max(
        plain, key=lambda pair: (len(pair.run_ids[0]), scores[list(pair.arms)].mean()), default=None
    )


def compare(among: Contest, first: str, second: str, margin: float = MARGIN) -> Comparison | None:
    """Two arms on the leak-free test images, over the runs both have; None where there is none.

    Each seed has to have read the same folds: it is the most folds that a seed has in both arms,
    and all seeds that have these.

    A family of its own: `corrected` corrects several of them together.
    """
    a, b = among.made[first], among.made[second]
    read: dict[str, set[str]] = {}
    for seed, fold in sorted(a.keys() & b.keys()):
        read.setdefault(seed, set()).add(fold)
    if not read:
        return None

    def having(folds: set[str]) -> list[str]:
        return [seed for seed, own in read.items() if own >= folds]

    folds = max(read.values(), key=lambda folds: (len(folds), len(having(folds))))
    seeds = having(folds)
    readers = [{made_by[seed, fold] for fold in folds} for made_by in (a, b) for seed in seeds]
    right_of, groups = among.answers.of(readers)
    if not len(groups):
        return None
    right_a, right_b = right_of[: len(seeds)], right_of[len(seeds) :]
    runs_a, runs_b = (
        tuple(sorted(made_by[seed, fold] for seed in seeds for fold in folds)) for made_by in (a, b)
    )
    _, of_run = np.unique([among.fold[run_id] for run_id in runs_a], return_inverse=True)
    fold_of = of_run[among.answers.read_by(runs_a)]
    in_folds = len(np.unique(fold_of)) > 1
    others = among.seeds.others(first, second, in_folds)
    difference = paired_difference(right_a, right_b, groups, others, fold_of)
    exact = exact_mcnemar(right_a, right_b, groups)
    p = exact if difference.one_seed else max(difference.p_different(), exact)
    equivalent = difference.p_equivalent(margin)
    # The planner counts seeds, and can say nothing where folds stand for them.
    parts = None if in_folds else components(right_a, right_b, groups, others)
    return Comparison(
        arms=(first, second),
        first=among.names[first],
        second=among.names[second],
        losses=(among.losses[first], among.losses[second]),
        run_ids=(runs_a, runs_b),
        seeds=len(seeds),
        images=len(groups),
        lacking=max(among.dealt[first] - len(folds), 0),
        difference=difference,
        p=p,
        p_exact=exact,
        p_equivalent=equivalent,
        family=1,
        p_adjusted=p,
        p_equivalent_adjusted=equivalent,
        visible=difference.smallest_visible(ALPHA),
        judgement=judge(difference, p, equivalent, margin),
        components=parts,
        sample=between_folds(right_a, right_b, groups, fold_of),
    )
