"""How far a confidence can be trusted, and from which one on readings are right often enough."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from analysis.statistics.intervals import Interval, share


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


def reject_below(
    confidences: Sequence[float] | pd.Series, right: Sequence[bool] | pd.Series, accuracy: float
) -> Kept:
    """The smallest confidence at and above which readings are right at least this often.

    confidences, right: of the same readings, one or more. accuracy: in 0..1.

    This is selective classification by the softmax response (Geifman and El-Yaniv, 2017) without
    their bound: the confidence is picked on the readings that it is judged by, so that on others
    the accuracy may be a little lower. Its interval says how little the readings may prove.
    Raises UnreachableError with the highest accuracy that there is, at its largest coverage.
    """
    sure, hits, ends = _surest_first(confidences, right)
    shares = hits[ends] / (ends + 1)
    reached = np.flatnonzero(shares >= accuracy)
    at = int(ends[reached[-1] if len(reached) else np.flatnonzero(shares == shares.max())[-1]])
    kept = Kept(float(sure[at]), at + 1, int(hits[at]), len(sure))
    if not len(reached):
        raise UnreachableError(accuracy, kept)
    return kept


def reliability(
    confidences: Sequence[float] | pd.Series, right: Sequence[bool] | pd.Series, bins: int = 10
) -> pd.DataFrame:
    """How often readings are right that are so confident, in bins of about as many readings each.

    confidences, right: of the same readings, one or more. Bins whose ends are the same are one.

    Columns: readings (how many), confidence (their mean), and the share that is right with its
    95% interval: estimate, low, high. Ordered by confidence.
    """
    read = pd.DataFrame(
        {"confidence": np.asarray(confidences, float), "right": np.asarray(right, bool)}
    )
    where = pd.qcut(read["confidence"], bins, labels=False, duplicates="drop")
    # All of one confidence: that is one bin, which has no width.
    by_bin = read.groupby(where.fillna(0))
    table = by_bin.agg(
        readings=("right", "size"), confidence=("confidence", "mean"), hits=("right", "sum")
    )
    shares = [
        share(int(hits), int(n)) for hits, n in zip(table["hits"], table["readings"], strict=True)
    ]
    return table.drop(columns="hits").assign(
        estimate=[s.estimate for s in shares],
        low=[s.low for s in shares],
        high=[s.high for s in shares],
    )


def calibration_error(
    confidences: Sequence[float] | pd.Series, right: Sequence[bool] | pd.Series, bins: int = 10
) -> float:
    """The expected calibration error over bins of equal mass; in 0..1, lower is better.

    The mean distance of confidence and share right over the bins of `reliability`, weighted by
    their readings (Naeini et al., 2015; equal mass as in Nixon et al., 2019). A few readings have
    one above zero by chance alone.
    """
    table = reliability(confidences, right, bins)
    gaps = (table["confidence"] - table["estimate"]).abs()
    return float(np.average(gaps, weights=table["readings"]))


def risk_by_coverage(
    confidences: Sequence[float] | pd.Series, right: Sequence[bool] | pd.Series
) -> pd.DataFrame:
    """What share is wrong when only the surest readings are kept.

    Columns: coverage (the share kept, rising to 1) and risk (the share of these that is wrong). A
    row a confidence that occurs: readings of one confidence are kept or rejected together.
    """
    sure, hits, ends = _surest_first(confidences, right)
    kept = ends + 1
    return pd.DataFrame({"coverage": kept / len(sure), "risk": 1 - hits[ends] / kept})


def keep_from(
    confidences: Sequence[float] | pd.Series, right: Sequence[bool] | pd.Series, confidence: float
) -> Kept:
    """What is left when readings below this confidence are rejected."""
    keep = np.asarray(confidences, float) >= confidence
    hits = int(np.asarray(right, bool)[keep].sum())
    return Kept(confidence, int(keep.sum()), hits, len(keep))


def _surest_first(
    confidences: Sequence[float] | pd.Series, right: Sequence[bool] | pd.Series
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int_], npt.NDArray[np.int_]]:
    """Falling confidences, how many are right down to each, and the last place of each value."""
    sure = np.asarray(confidences, dtype=float)
    order = np.argsort(sure)[::-1]
    sure = sure[order]
    hits = np.cumsum(np.asarray(right, dtype=bool)[order])
    # Readings of one confidence are kept or rejected together.
    return sure, hits, np.flatnonzero(np.append(sure[1:] < sure[:-1], True))
