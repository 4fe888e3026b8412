"""From which confidence on readings are right as often as is wanted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analysis.stats import Interval, share


@dataclass(frozen=True)
class Kept:
    """What is left of readings when those below a confidence are rejected.

    confidence: the lowest that is kept. kept: how many readings that are; right: of these; of: all.
    """

    confidence: float
    kept: int
    right: int
    of: int

    @property
    def coverage(self) -> float:
        """The share of the readings that is kept."""
        return self.kept / self.of

    @property
    def accuracy(self) -> Interval:
        """The share of the kept ones that is right."""
        return share(self.right, self.kept)


class UnreachableError(ValueError):
    """No confidence keeps readings that are right so often; `best` comes closest."""

    def __init__(self, wanted: float, best: Kept) -> None:
        super().__init__(f"{wanted:.6g} is out of reach")
        self.best = best


def reject_below(confidences: Sequence[float], right: Sequence[bool], accuracy: float) -> Kept:
    """The smallest confidence at and above which readings are right at least this often.

    confidences, right: of the same readings, one or more. accuracy: in 0..1.

    This is selective classification by the softmax response (Geifman and El-Yaniv, 2017) without
    their bound: the confidence is picked on the readings that it is judged by, so that on others
    the accuracy may be a little lower. Its interval says how little the readings may prove.
    Raises UnreachableError with the highest accuracy that there is, at its largest coverage.
    """
    order = np.argsort(confidences)[::-1]
    sure = np.asarray(confidences, dtype=float)[order]
    hits = np.cumsum(np.asarray(right, dtype=bool)[order])
    # Readings of one confidence are kept or rejected together.
    ends = np.flatnonzero(np.append(sure[1:] < sure[:-1], True))
    shares = hits[ends] / (ends + 1)
    reached = np.flatnonzero(shares >= accuracy)
    at = int(ends[reached[-1] if len(reached) else np.flatnonzero(shares == shares.max())[-1]])
    kept = Kept(float(sure[at]), at + 1, int(hits[at]), len(sure))
    if not len(reached):
        raise UnreachableError(accuracy, kept)
    return kept
