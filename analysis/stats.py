"""Intervals for shares and for paired differences. Each function takes its random generator."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest


@dataclass(frozen=True)
class Interval:
    """An estimate and the ends of its 95% interval."""

    estimate: float
    low: float
    high: float


def share(right: int, of: int) -> Interval:
    """A share with its Wilson interval (1927); `of` above 0."""
    interval = binomtest(right, of).proportion_ci(0.95, method="wilson")
    return Interval(right / of, float(interval.low), float(interval.high))


def paired_difference(
    first: npt.NDArray[np.bool_],
    second: npt.NDArray[np.bool_],
    groups: npt.NDArray[np.int_],
    rng: np.random.Generator,
    resamples: int = 5_000,
) -> Interval:
    """How much larger the share of right readings of `first` is than that of `second`.

    first, second: (seeds, images), right or wrong, the same seeds and images in the same order.
    groups: (images,); images of one group (identical pixels) are drawn together.

    The interval is the percentile one of a hierarchical bootstrap that draws seeds and groups with
    replacement (Davison and Hinkley, 1997, section 3.8). With one seed it holds for that seed
    alone; with two or three the part of the seeds is rough.
    """
    gain = first.astype(float) - second.astype(float)
    _, member = np.unique(groups, return_inverse=True)
    count = int(member.max()) + 1
    sizes = np.bincount(member, minlength=count)
    gains = np.stack([np.bincount(member, row, minlength=count) for row in gain])  # (S, G)
    seeds = len(gains)
    drawn_groups = rng.multinomial(count, np.full(count, 1 / count), size=resamples)  # (B, G)
    drawn_seeds = rng.multinomial(seeds, np.full(seeds, 1 / seeds), size=resamples)  # (B, S)
    sums = (drawn_groups @ gains.T * drawn_seeds).sum(axis=1) / seeds
    low, high = np.quantile(sums / (drawn_groups @ sizes), [0.025, 0.975])
    return Interval(float(gain.mean()), float(low), float(high))
