"""What a family of paired differences lets one say, and in which words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from analysis.statistics.intervals import MARGIN, Difference

ALPHA = 0.05


class Verdict(StrEnum):
    """What may be said of two arms."""

    SHOWN = "shown"
    EQUIVALENT = "equivalent"
    NOT_SHOWN = "not shown"


@dataclass(frozen=True)
class Judgement:
    """What the tests of a comparison, corrected for their family, let one say.

    direction: +1 the first reads more right, -1 the second does, 0 neither is shown.
    within_margin: equivalence within `margin` is shown; a shown difference may be that small, too.
    """

    verdict: Verdict
    direction: int
    margin: float
    within_margin: bool


def judge(
    difference: Difference,
    p_adjusted: float,
    p_equivalent_adjusted: float,
    margin: float = MARGIN,
    alpha: float = ALPHA,
) -> Judgement:
    """The judgement of one comparison; both p-values corrected for their family."""
    within = p_equivalent_adjusted < alpha
    if p_adjusted < alpha:
        direction = 1 if difference.estimate > 0 else -1
        return Judgement(Verdict.SHOWN, direction, margin, within)
    return Judgement(Verdict.EQUIVALENT if within else Verdict.NOT_SHOWN, 0, margin, within)


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values corrected for their number (Holm, 1979), in their order.

    Those below 5% hold together: the chance that any of them is wrong is at most 5%. Our own, since
    statsmodels collects garbage at every call, for a third of a report's time.
    """
    p = np.asarray(p_values, float)
    order = np.argsort(p, kind="stable")
    corrected = np.empty_like(p)
    corrected[order] = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)).clip(max=1)
    return [float(x) for x in corrected]


def exact_mcnemar(
    first: npt.NDArray[np.bool_], second: npt.NDArray[np.bool_], groups: npt.NDArray[np.int_]
) -> float:
    """The two-sided p-value against "both arms read each image equally well", for these very seeds.

    first, second, groups: as for `paired_difference`.

    With one seed and no identical images this is McNemar's exact test (1947). Else it is the same
    idea, for groups of images: what an arm reads of a group in all seeds is exchanged with what the
    other reads, or not, in all ways there are (Fisher's permutation test; exact, nothing is drawn).
    It says nothing about other seeds.
    """
    gain = (first.astype(int) - second.astype(int)).sum(axis=0)
    _, member = np.unique(groups, return_inverse=True)
    sums = np.abs(np.bincount(member, gain).astype(int))
    reach = int(sums.sum())
    # The distribution of the sum with random signs; index `reach` is a sum of 0.
    chances = np.zeros(2 * reach + 1)
    chances[reach] = 1.0
    for size in sums[sums > 0]:
        chances = (np.roll(chances, size) + np.roll(chances, -size)) / 2
    seen = abs(int(gain.sum()))
    far = np.abs(np.arange(-reach, reach + 1)) >= seen
    return min(1.0, float(chances[far].sum()))
