"""Shares and paired differences with their intervals. Nothing here is random."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.special import ndtri, stdtrit
from scipy.stats import binomtest

from analysis.statistics.seed_spread import UNKNOWN, SeedSpread
from analysis.statistics.variances import Variances, by_group, folds_of_groups, variances

# Two arms that differ by less are called equivalent, unless somebody asks for another margin.
MARGIN = 0.01
# No p-value is reported more exactly than this.
_SMALLEST = 1e-50


@dataclass(frozen=True)
class Interval:
    """An estimate and the ends of its 95% interval."""

    estimate: float
    low: float
    high: float


@dataclass(frozen=True)
class Difference(Interval):
    """A paired difference of two shares, first minus second, and what its tests need.

    centre, error: the interval is centre -+ quantile(0.025) x error, cut to -1..1. The centre is a
        little nearer to 0 than the estimate.
    seeds: with one, everything said holds for that seed alone (`one_seed`), unless there are folds.
    folds: how many of them stand for seeds; 1 where there are none.
    groups: how many different images.
    of_seeds: the share of the variance error^2 that is estimated from the spread of seeds.
    freedom: the degrees of freedom behind that spread: own seeds and those of other arms.
    discordant: the share of readings that are right in one of the arms alone.
    """

    centre: float
    error: float
    seeds: int
    folds: int
    groups: int
    of_seeds: float
    freedom: int
    discordant: float

    @property
    def one_seed(self) -> bool:
        """Whether nothing is known of other trainings than the one that was run."""
        return self.seeds == 1 and self.folds == 1

    def quantile(self, p: float) -> float:
        """What (centre - truth) / error exceeds with probability p.

        The quantiles of Student's t for the seeds and for the images, weighted by their shares of
        the variance (Cochran and Cox, 1950).
        """
        return _quantile(p, self.freedom, self.groups + 2, self.of_seeds)

    def p_above(self, bound: float) -> float:
        """The one-sided p-value against "the true difference is at most `bound`"."""
        distance = (self.centre - bound) / self.error
        if distance < 0:
            return 1.0 - self.turned().p_above(-bound)
        if distance >= self.quantile(_SMALLEST):
            return _SMALLEST
        # By its logarithm: the smallest p-values are as exact as the large.
        ends = math.log(_SMALLEST), math.log(0.5)
        return math.exp(brentq(lambda log_p: self.quantile(math.exp(log_p)) - distance, *ends))

    def p_below(self, bound: float) -> float:
        """The one-sided p-value against "the true difference is at least `bound`"."""
        return self.turned().p_above(-bound)

    def p_different(self) -> float:
        """The two-sided p-value against "there is no difference"; below 5% where the 95% interval
        is without 0.
        """
        return min(1.0, 2 * min(self.p_above(0), self.p_below(0)))

    def p_equivalent(self, margin: float = MARGIN) -> float:
        """The p-value against "they differ by `margin` or more": two one-sided tests.

        Below 5% where the 90% interval lies within the margin (Schuirmann, 1987).
        """
        return max(self.p_above(-margin), self.p_below(margin))

    def p_not_inferior(self, margin: float = MARGIN) -> float:
        """The p-value against "the first is worse than the second by `margin` or more"."""
        return self.p_above(-margin)

    def smallest_visible(self, alpha: float = 0.05, power: float = 0.8) -> float | None:
        """The true difference that such data, their spread as it is here, shows with this power.

        None where not even 1 would be shown.
        """
        needed = self.error * (self.quantile(alpha / 2) + self.quantile(1 - power))
        return needed if needed <= 1 else None

    def turned(self) -> Difference:
        """The same with first and second exchanged."""
        return replace(
            self, estimate=-self.estimate, low=-self.high, high=-self.low, centre=-self.centre
        )


def share(right: int, of: int) -> Interval:
    """A share with its Wilson interval (1927); `of` above 0."""
    interval = binomtest(right, of).proportion_ci(0.95, method="wilson")
    return Interval(right / of, float(interval.low), float(interval.high))


def paired_difference(
    first: npt.NDArray[np.bool_],
    second: npt.NDArray[np.bool_],
    groups: npt.NDArray[np.int_],
    others: SeedSpread = UNKNOWN,
    folds: npt.NDArray[np.int_] | None = None,
) -> Difference:
    """How much larger the share of right readings of `first` is than that of `second`.

    first, second: (seeds, images), right or wrong, the same seeds and images in the same order.
    groups: (images,); images of one group (identical pixels) count as one observation.
    others: what other arms of the same data say of the seeds.
    folds: (images,) by which fold's runs each was read, one fold for a group. With more than one
        the folds stand for the seeds, as trainings of their own on samples of their own.

    Seeds and images are both samples: the interval is about other seeds and other images of the
    same kind, like that of readers and cases in a multi-reader study (Dorfman, Berbaum and Metz,
    1992). Its variance is that from the images alone, for these very seeds, and what the seeds add
    to it, which is nothing where their mean square is no larger than that of seeds and images
    together: so it is never less than from images alone. The seeds' mean square is that of the pair
    and of others together (`seed_spread`). With one seed only the images vary.

    Two imagined images, one read right by `first` alone and one by `second` alone, keep the
    interval honest where few images or none differ between the arms (Bonett and Price, 2012).
    """
    gain = first.astype(float) - second.astype(float)
    gains, sizes = by_group(gain, groups)
    typical = _typical(gains / sizes)
    folds = folds_of_groups(folds, groups)
    imagined = np.array([typical, -typical])
    centre, parts = _mean_and_variances(gains, sizes, imagined, others, folds)
    variance = parts.of_seeds + parts.of_images
    found = Difference(
        estimate=float(gain.mean()),
        low=-1,
        high=1,
        centre=centre,
        error=float(np.sqrt(variance)),
        seeds=len(gain),
        folds=1 if folds is None else len(np.unique(folds)),
        groups=len(sizes),
        of_seeds=parts.of_seeds / variance,
        freedom=parts.freedom,
        discordant=float(np.abs(gain).mean()),
    )
    half = found.quantile(0.025) * found.error
    return replace(found, low=max(-1.0, centre - half), high=min(1.0, centre + half))


def mean_share(
    right: npt.NDArray[np.bool_],
    groups: npt.NDArray[np.int_],
    others: SeedSpread = UNKNOWN,
    folds: npt.NDArray[np.int_] | None = None,
) -> Interval:
    """The share of right readings over seeds and images, both samples as in `paired_difference`.

    right: (seeds, images). others: what other arms of the same data say of the seeds of one arm.
    folds: as in `paired_difference`.

    Wilson's interval (1927) for as many independent readings as would vary like these, so that it
    holds for a few images, too (compare Franco et al., 2019, on samples in clusters). Readings that
    are all right or all wrong count once an image, however many seeds there are.
    """
    values, sizes = by_group(right.astype(float), groups)
    mean = float(right.mean())
    parts = variances(
        (values - mean * sizes) / sizes.mean(), others, folds_of_groups(folds, groups)
    )
    variance = parts.of_seeds + parts.of_images
    readings, of_seeds = float(len(sizes)), 0.0
    if 0 < mean < 1:
        # Never more than there are readings: what a few images say of their variance is chance.
        least = mean * (1 - mean) / right.size
        readings = mean * (1 - mean) / max(variance, least)
        of_seeds = parts.of_seeds / max(variance, least)
    far = _quantile(0.025, parts.freedom, None, of_seeds) ** 2 / readings
    centre = (mean + far / 2) / (1 + far)
    half = math.sqrt(far * mean * (1 - mean) + far**2 / 4) / (1 + far)
    return Interval(mean, max(0.0, centre - half), min(1.0, centre + half))


def _mean_and_variances(
    sums: npt.NDArray[np.float64],
    sizes: npt.NDArray[np.float64],
    imagined: npt.NDArray[np.float64],
    others: SeedSpread,
    folds: npt.NDArray[np.int_] | None,
) -> tuple[float, Variances]:
    """The mean, with imagined images of these values in every seed; its variance by `variances`.

    It is not below what the images that there are give alone: in many seeds an imagined one may
    vary less than they do.
    """
    size = float(sizes.mean())
    real = (sums - sums.sum() / (len(sums) * sizes.sum()) * sizes) / size
    own = real.mean(axis=0)
    alone = float((own**2).sum()) / max(len(own) - 1, 1) / len(own)
    sums = np.hstack([sums, np.tile(imagined * size, (len(sums), 1))])
    sizes = np.append(sizes, np.full(len(imagined), size))
    mean = float(sums.sum() / (len(sums) * sizes.sum()))
    # What each group moves the mean by, times the number of groups.
    # The imagined images belong to no fold: how far folds lie apart is for the others to say.
    parts = variances((sums - mean * sizes) / size, others, folds, real)
    least = float(((imagined - imagined.mean()) ** 2).sum()) / len(sizes) ** 2
    return mean, parts._replace(of_images=max(parts.of_images, least, alone - parts.of_seeds))


def _quantile(p: float, freedom: int, groups: int | None, of_seeds: float) -> float:
    # The lower tail has the small p-values that the upper one rounds away.
    of_images = -float(ndtri(p) if groups is None else stdtrit(groups - 1, p))
    if not of_seeds:
        return of_images
    return -of_seeds * float(stdtrit(freedom, p)) + (1 - of_seeds) * of_images


def _typical(gains: npt.NDArray[np.float64]) -> float:
    """The usual gain, over all seeds, of an image that the arms read differently: 1 without one."""
    different = gains[:, (gains != 0).any(axis=0)].mean(axis=0)
    if not len(different):
        return 1.0
    return max(float(np.sqrt((different**2).mean())), 1 / len(gains))
