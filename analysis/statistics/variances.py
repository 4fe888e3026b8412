"""The variance of a mean of readings, from images and from what seeds or folds add to it.

Images with identical pixels are one observation: their values are summed by group.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from analysis.statistics.seed_spread import SeedSpread, Squares, borrowed, squares


def by_group(
    values: npt.NDArray[np.float64], groups: npt.NDArray[np.int_]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """(seeds, groups) sums of the values of identical images, and how many there are of each."""
    _, member = np.unique(groups, return_inverse=True)
    sizes = np.bincount(member).astype(float)
    return np.stack([np.bincount(member, row, minlength=len(sizes)) for row in values]), sizes


def folds_of_groups(
    folds: npt.NDArray[np.int_] | None, groups: npt.NDArray[np.int_]
) -> npt.NDArray[np.int_] | None:
    """(groups,) the fold of each group of identical images; None where there is but one fold."""
    if folds is None or len(np.unique(folds)) == 1:
        return None
    _, first = np.unique(groups, return_index=True)
    of_groups: npt.NDArray[np.int_] = folds[first]
    return of_groups


class Variances(NamedTuple):
    """The variance of a mean: what is estimated from seeds (with `freedom`), and from images."""

    of_seeds: float
    of_images: float
    freedom: int


def variances(
    values: npt.NDArray[np.float64],
    others: SeedSpread,
    folds: npt.NDArray[np.int_] | None = None,
    in_folds: npt.NDArray[np.float64] | None = None,
) -> Variances:
    """The variance of the mean of (S, G) values: from images, and what seeds add to it.

    Where seeds add nothing all of it is the mean square of the images, which holds what seeds and
    images vary together. Else the seeds' mean square holds that.

    folds: of each of the values `in_folds`, which are `values` by default; they stand for seeds.
    """
    seeds, images = values.shape
    if images < 2:
        return Variances(0.0, 0.0, 0)
    by_image = values.mean(axis=0)
    of_images = seeds * float(((by_image - values.mean()) ** 2).sum()) / (images - 1)
    if folds is not None:
        in_folds = values if in_folds is None else in_folds
        ratio, freedom = _ratio_of_folds(squares(in_folds, folds=folds), others, folds)
        variance = max(ratio, 1.0) * of_images / values.size
        return Variances(variance, 0.0, freedom) if ratio > 1 else Variances(0.0, variance, freedom)
    own: Squares = squares(values)
    if not own.freedom or own.rest_freedom < 1:
        return Variances(0.0, of_images / values.size, 0)
    spread = borrowed(own.spread, others, own.groups)
    rest = own.rest / own.rest_freedom
    ratio = spread.ratio(own.groups)
    if ratio <= 1:
        return Variances(0.0, of_images / values.size, spread.freedom)
    between = ratio * rest
    return Variances(
        between / values.size, max(of_images - rest, 0.0) / values.size, spread.freedom
    )


def _ratio_of_folds(
    own: Squares, others: SeedSpread, folds: npt.NDArray[np.int_]
) -> tuple[float, int]:
    """By how much the mean varies more than its images alone explain, and the freedom of that."""
    spread = borrowed(own.spread, others, own.groups)
    # A large fold counts for more in the mean: the size by which its images are weighted.
    _, many = np.unique(folds, return_counts=True)
    return spread.ratio(float((many**2).sum() / many.sum())), spread.freedom
