"""Intervals for every pair of a world: the project's own, what it had before, and what others use.

Each takes readings (arms, runs, images) and groups, and gives an interval (low, high) for each two
arms that stand together.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import evalci
import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.stats
from scipy.optimize import brentq
from scipy.special import polygamma
from statsmodels.regression.mixed_linear_model import MixedLM

from analysis.statistics.intervals import paired_difference
from analysis.statistics.seed_spread import SeedSpread, of_differences, squares
from analysis.statistics.variances import by_group

Ends = list[tuple[float, float]]
Method = Callable[[npt.NDArray[np.bool_], npt.NDArray[np.int_]], Ends]

Z = float(scipy.stats.norm.isf(0.025))


def per_group(right: npt.NDArray[np.bool_], groups: npt.NDArray[np.int_]) -> npt.NDArray:
    """(arms, runs, groups): what each group adds to a mean, times the number of groups."""
    found = [by_group(arm.astype(float), groups) for arm in right]
    return np.stack([sums / sizes.mean() for sums, sizes in found])


def pairs_of(values: npt.NDArray) -> npt.NDArray:
    """(pairs, runs, groups): first minus second."""
    return values[::2] - values[1::2]


def shared(right: npt.NDArray[np.bool_], groups: npt.NDArray[np.int_]) -> Ends:
    """The project's own: one ratio of mean squares over all arms."""
    values = per_group(right, groups)
    total, ends = of_differences(values), []
    for place, gain in enumerate(pairs_of(values)):
        others = total.without(squares(gain / np.sqrt(2))).spread
        found = paired_difference(right[2 * place], right[2 * place + 1], groups, others)
        ends.append((found.low, found.high))
    return ends


def alone(right: npt.NDArray[np.bool_], groups: npt.NDArray[np.int_]) -> Ends:
    """The project's own for a pair that knows of no others."""
    return [
        (found.low, found.high)
        for a, b in zip(right[::2], right[1::2], strict=True)
        for found in [paired_difference(a, b, groups)]
    ]


def images_alone(right: npt.NDArray[np.bool_], groups: npt.NDArray[np.int_]) -> Ends:
    """For these very seeds: Student's interval of the images' mean gains, as a ratio of sums."""
    gains = pairs_of(per_group(right, groups)).mean(axis=1)
    sizes = np.bincount(np.unique(groups, return_inverse=True)[1])
    apart = gains - np.outer(gains.mean(axis=1), sizes / sizes.mean())
    half = scipy.stats.t.isf(0.025, gains.shape[1] - 1) * scipy.stats.sem(apart, axis=1)
    return list(zip(gains.mean(axis=1) - half, gains.mean(axis=1) + half, strict=True))


def before(right: npt.NDArray[np.bool_], groups: npt.NDArray[np.int_]) -> Ends:
    """What the project had first: three mean squares of the pair, whatever they are."""
    ends = []
    for gain in pairs_of(per_group(right, groups)):
        runs, images = gain.shape
        own = squares(gain)
        seeds = own.seeds / (runs - 1)
        rest = own.rest / ((runs - 1) * (images - 1))
        of_images = runs * gain.mean(axis=0).var(ddof=1)
        parts = seeds / gain.size, max(of_images - rest, 0.0) / gain.size
        variance = max(sum(parts), 1e-12)
        t = scipy.stats.t.isf(0.025, [runs - 1, images - 1])
        half = float(np.dot(parts, t)) / np.sqrt(variance)
        ends.append((gain.mean() - half, gain.mean() + half))
    return ends


def moderated(right: npt.NDArray[np.bool_], groups: npt.NDArray[np.int_]) -> Ends:
    """Smyth's: the pairs' own mean squares say how much of them is shared (limma's `fitFDist`)."""
    values = pairs_of(per_group(right, groups))
    pairs, runs, images = values.shape
    spreads = [squares(gain).spread for gain in values]
    ratios = np.array([spread.ratio(images) for spread in spreads])
    prior, prior_freedom = _prior(np.maximum(ratios, 1e-5), runs - 1)
    ends = []
    for place, own in enumerate(ratios):
        freedom = runs - 1 + prior_freedom
        if np.isinf(prior_freedom):
            # All is shared: no more degrees of freedom than the pairs have together.
            ratio, freedom = prior, pairs * (runs - 1)
        else:
            ratio = ((runs - 1) * own + prior_freedom * prior) / freedom
        others = SeedSpread((ratio - 1) / images, round(freedom))
        ends.append(_with_spread(right, groups, place, others))
    return ends


def _prior(ratios: npt.NDArray, freedom: int) -> tuple[float, float]:
    """Smyth (2004), section 6.2: from the mean and variance of the logarithms."""
    e = np.log(ratios) - polygamma(0, freedom / 2) + np.log(freedom / 2)
    excess = e.var(ddof=1) - float(polygamma(1, freedom / 2))
    if excess <= 0:
        return float(ratios.mean()), np.inf
    half = brentq(lambda x: float(polygamma(1, x)) - excess, 1e-3, 1e6)
    return float(np.exp(e.mean() + polygamma(0, half) - np.log(half))), 2 * half


def _with_spread(right, groups, place: int, spread: SeedSpread) -> tuple[float, float]:
    """The project's interval with this spread in place of the pair's own."""
    gain = pairs_of(per_group(right, groups))[place]
    runs, images = gain.shape
    rest = squares(gain).rest / ((runs - 1) * (images - 1))
    of_images = runs * gain.mean(axis=0).var(ddof=1)
    ratio = spread.ratio(images)
    between = ratio * rest if ratio > 1 else 0.0
    within = max(of_images - rest, 0.0) if ratio > 1 else of_images
    share = between / (between + within)
    t = scipy.stats.t.isf(0.025, [max(spread.freedom, 1), images - 1])
    half = (share * t[0] + (1 - share) * t[1]) * np.sqrt((between + within) / gain.size)
    return gain.mean() - half, gain.mean() + half


def bootstrap(right: npt.NDArray[np.bool_], groups: npt.NDArray[np.int_]) -> Ends:
    """Seeds and images drawn again, both; the middle 95% of a thousand."""
    rng = np.random.default_rng(0)
    ends = []
    for gain in pairs_of(per_group(right, groups)):
        runs, images = gain.shape
        seeds = rng.multinomial(runs, [1 / runs] * runs, size=1000) / runs
        counts = rng.multinomial(images, [1 / images] * images, size=1000) / images
        means = ((seeds @ gain) * counts).sum(axis=1)
        ends.append(tuple(np.quantile(means, [0.025, 0.975])))
    return ends


def mixed_model(right: npt.NDArray[np.bool_], groups: npt.NDArray[np.int_]) -> Ends:
    """statsmodels' mixed model of one pair: gains by image and by seed, crossed (REML, Wald).

    Of the images' mean gains only what a model with crossed effects of so many images can be given:
    seeds as the groups, images as mean squares of the rest.
    """
    ends = []
    for gain in pairs_of(per_group(right, groups)):
        runs, images = gain.shape
        # statsmodels has no sparse crossed effects: the images' part enters as its ANOVA estimate.
        rest = squares(gain).rest / ((runs - 1) * (images - 1))
        of_images = max(runs * gain.mean(axis=0).var(ddof=1) - rest, 0.0) / runs / images
        table = pd.DataFrame(
            {
                "gain": (gain - gain.mean(axis=0)).ravel() + gain.mean(),
                "seed": np.repeat(np.arange(runs), images),
            }
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fit = MixedLM(table["gain"], np.ones((len(table), 1)), groups=table["seed"]).fit()
        error = np.sqrt(float(fit.bse.iloc[0]) ** 2 + of_images)
        ends.append((gain.mean() - Z * error, gain.mean() + Z * error))
    return ends


def of_evalci(right: npt.NDArray[np.bool_], groups: npt.NDArray[np.int_]) -> Ends:
    """evalci's comparison of two models: gains of images, which are means over their seeds."""
    return [
        evalci.compare(first, second, n_resamples=2000, random_state=0).ci
        for first, second in zip(
            *(per_group(right, groups).mean(axis=1)[i::2] for i in (0, 1)), strict=True
        )
    ]


METHODS: dict[str, Method] = {
    "shared over all arms": shared,
    "as before": before,
    "one pair alone": alone,
    "moderated (Smyth)": moderated,
    "bootstrap over both": bootstrap,
    "mixed model, Wald": mixed_model,
    "evalci": of_evalci,
}
