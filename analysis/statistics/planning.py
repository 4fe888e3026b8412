"""Where the spread of a difference comes from, and how many seeds and images would show one."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.stats import t as student

from analysis.statistics.seed_spread import SeedSpread, borrowed, squares
from analysis.statistics.variances import by_group


class Components(NamedTuple):
    """Variances of a difference of one seed on one image; one at or below zero is zero.

    seed: what seeds do to all images. image: what images do in all seeds. both: the rest.
    """

    seed: float
    image: float
    both: float

    def error(self, seeds: int, images: float) -> float:
        """The standard error of the difference over so many seeds and images."""
        variance = self.seed / seeds + (self.image + self.both / seeds) / images
        return math.sqrt(variance)


def components(
    first: npt.NDArray[np.bool_],
    second: npt.NDArray[np.bool_],
    groups: npt.NDArray[np.int_],
    others: SeedSpread,
) -> Components | None:
    """Of two arms, given as for `paired_difference`; None with one seed or one image.

    None as well where every seed and image has the same difference: there is nothing to plan by.
    """
    sums, sizes = by_group(first.astype(float) - second.astype(float), groups)
    values = (sums - sums.sum() / (len(sums) * sizes.sum()) * sizes) / sizes.mean()
    seeds, images = values.shape
    if seeds == 1 or images == 1 or np.allclose(values, 0):
        return None
    own = squares(values)
    both = own.rest / own.rest_freedom
    of_images = float(values.mean(axis=0).var(ddof=1)) - both / seeds
    excess = borrowed(own.spread, others, images).excess
    return Components(max(excess * both, 0.0), max(of_images, 0.0), both)


def between_folds(
    first: npt.NDArray[np.bool_],
    second: npt.NDArray[np.bool_],
    groups: npt.NDArray[np.int_],
    folds: npt.NDArray[np.int_],
) -> float | None:
    """The variance of a difference that comes from what was learnt from: the training sample.

    first, second, groups: as for `paired_difference`. folds: (images,) in whose test part each is;
    its readers have learnt from the others. None with one fold, or with an image a fold.

    By how much the folds' means differ more than their images explain, in one way (Nadeau and
    Bengio, 2003, on why runs of one fold say nothing of it). With one seed the luck of the seed is
    in it, and folds share most of what they learn from: other samples may differ more.
    """
    sums, sizes = by_group(first.astype(float) - second.astype(float), groups)
    values = (sums - sums.sum() / (len(sums) * sizes.sum()) * sizes) / sizes.mean()
    found = squares(values, folds=folds[np.unique(groups, return_index=True)[1]])
    if not found.freedom or found.rest_freedom < 1:
        return None
    # The squares are on the scale of one seed.
    excess = found.seeds / found.freedom - found.rest / found.rest_freedom
    return max(0.0, excess / found.groups / len(sums))


def images_needed(
    found: Components, difference: float, seeds: int, freedom: int, power: float = 0.8
) -> int | None:
    """How many images show a true difference with this power at 5%; None where no number does.

    freedom: the degrees of freedom behind the spread of seeds; without one they do not matter.
    """
    freedom_or_all = freedom if found.seed else math.inf
    quantiles = float(student.isf(0.025, freedom_or_all) + student.isf(1 - power, freedom_or_all))
    left = (difference / quantiles) ** 2 - found.seed / seeds
    if left <= 0:
        return None
    return math.ceil((found.image + found.both / seeds) / left)
