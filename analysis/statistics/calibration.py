"""How far a confidence can be trusted, and from which one on readings are right often enough."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import beta, binom
from sklearn.calibration import calibration_curve
from sklearn.isotonic import IsotonicRegression

from analysis.statistics.intervals import Interval, share

# With what probability a threshold may keep less than it promises.
RISK = 0.05
# From these shares of the readings, the surest first, a threshold is lowered step by step.
_STARTS = (0.25, 0.5, 0.75)


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

    @property
    def promised(self) -> float:
        """What those kept are right at least, with 95% (Clopper and Pearson, one-sided)."""
        if not self.right:
            return 0.0
        return float(beta.ppf(RISK, self.right, self.kept - self.right + 1))


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
    reached = np.flatnonzero(hits[ends] / (ends + 1) >= accuracy)
    if not len(reached):
        raise UnreachableError(accuracy, _best(sure, hits, ends))
    at = int(ends[reached[-1]])
    return Kept(float(sure[at]), at + 1, int(hits[at]), len(sure))


def reject_safely(
    confidences: Sequence[float] | pd.Series, right: Sequence[bool] | pd.Series, accuracy: float
) -> Kept:
    """A confidence at and above which new readings are right this often, with 95%.

    confidences, right: of the same readings, one or more, none of them of identical images: those
        count once. accuracy: in 0..1.

    Chosen by tests in a fixed order (Angelopoulos et al., 2021, "Learn then Test"): the threshold
    is lowered confidence by confidence, as long as so few wrong readings among those kept would be
    seen in 5% of cases only, were the accuracy less (exact binomial). It starts from a quarter, a
    half and three quarters of the readings, each at a third of the 5%, and the largest part that is
    reached counts: so the choice is accounted for. That the readings to come are like these is
    taken for granted.
    Raises UnreachableError with the highest accuracy that there is, at its largest coverage.
    """
    sure, hits, ends = _surest_first(confidences, right)
    kept = ends + 1
    chance = binom.cdf(kept - hits[ends], kept, 1 - accuracy)
    enough: npt.NDArray[np.bool_] = np.asarray(chance <= RISK / len(_STARTS))
    reached = -1
    for start in _STARTS:
        first = int(np.searchsorted(kept, start * len(sure)))
        stop = first + int(np.argmin(np.append(enough[first:], False)))
        if stop > first:
            reached = max(reached, stop - 1)
    if reached < 0:
        raise UnreachableError(accuracy, _best(sure, hits, ends))
    at = int(ends[reached])
    return Kept(float(sure[at]), at + 1, int(hits[at]), len(sure))


def reliability(
    confidences: Sequence[float] | pd.Series,
    right: Sequence[bool] | pd.Series,
    bins: int = 10,
    images: Sequence[object] | pd.Series | None = None,
) -> pd.DataFrame:
    """How often readings are right that are so confident, in bins of about as many readings each.

    confidences, right: of the same readings, one or more. Bins whose ends are the same are one.
    images: of which image each is, where several are of one, or of identical ones; by default each
        is of its own.

    Columns: readings (how many), confidence (their mean), and the share that is right with its
    95% interval: estimate, low, high. Ordered by confidence. The interval is that of one reading
    an image: seeds that read alike say no more than one of them, those that do not say more.
    """
    sure, hit = np.asarray(confidences, float), np.asarray(right, bool)
    of = pd.Series(range(len(sure)) if images is None else np.asarray(images))
    shares, means = calibration_curve(hit, sure, n_bins=bins, strategy="quantile")
    # How many it took for each: it has the ends of its bins from here, and leaves empty ones out.
    inner = np.percentile(sure, np.linspace(0, 1, bins + 1) * 100)[1:-1]
    bin_of = np.searchsorted(inner, sure)
    sizes = np.bincount(bin_of)
    sizes = sizes[sizes > 0]
    different = of.groupby(bin_of).nunique()
    found = [share(round(s * n), int(n)) for s, n in zip(shares, different, strict=True)]
    return pd.DataFrame(
        {
            "readings": sizes,
            "confidence": means,
            "estimate": shares,
            "low": [one.low for one in found],
            "high": [one.high for one in found],
        }
    )


def calibrated(
    confidences: Sequence[float] | pd.Series,
    right: Sequence[bool] | pd.Series,
    others: Sequence[float] | pd.Series,
) -> npt.NDArray[np.float64]:
    """The other readings' confidences as they should be, by what these ones were worth.

    confidences, right: of readings that choose nothing else and judge nothing. others: any.

    Isotonic regression (Zadrozny and Elkan, 2002): the rising steps that are nearest to right and
    wrong. The order of the readings stays, so that no threshold keeps others than before.
    """
    steps = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip")
    steps.fit(np.asarray(confidences, float), np.asarray(right, float))
    found: npt.NDArray[np.float64] = steps.predict(np.asarray(others, float))
    return found


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


def _best(
    sure: npt.NDArray[np.float64], hits: npt.NDArray[np.int_], ends: npt.NDArray[np.int_]
) -> Kept:
    """The highest share of right readings, at its largest coverage."""
    shares = hits[ends] / (ends + 1)
    at = int(ends[np.flatnonzero(shares == shares.max())[-1]])
    return Kept(float(sure[at]), at + 1, int(hits[at]), len(sure))


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
