"""How far seeds move the share of right readings, estimated over several arms together.

Two seeds of one pair say next to nothing about how far seeds move a difference: their mean square
has one degree of freedom, is often near zero by chance, and as often ten times too large. But the
arms of one data set and split, trained in nearly the same way, share most of that spread. So it is
estimated over all of them: K arms with S seeds have (K - 1)(S - 1) degrees of freedom for what
seeds do to differences.

What is shared is the ratio of the seeds' mean square to that of seeds and images together, which
depends little on how many images an arm gets right; it is 1 where seeds do nothing that chance
would not do anyhow. All pairs of a section get the same ratio, save one whose own seeds lie so far
apart that the others cannot be like them (an F test at 1%): it stands by itself. Moderated
variances (Smyth, 2004), which estimate from the pairs how much they share, were tried beside this:
with as few pairs as a report has they find no more, and cover less (see README.md here).

Folds can stand for seeds: the runs of each fold are trainings of their own, which are judged on
images of their own. Then K arms with F folds have (K - 1)(F - 1) degrees of freedom.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.stats import f as f_distribution

# A pair whose own seeds lie farther apart than this share of such pairs borrows nothing.
_UNLIKE = 0.01
# Rounding leaves a ratio of 1 a little above or below, by the order of the two arms alone.
_ROUNDING = 1e-9


class SeedSpread(NamedTuple):
    """How much farther seeds move a mean than the images that they read differently would.

    excess: the variance between seeds over the variance of seed and image together, of one image.
        Below zero by chance where seeds do nothing of their own.
    freedom: the degrees of freedom that it rests on; with none it says nothing.
    """

    excess: float
    freedom: int

    def ratio(self, groups: float) -> float:
        """The seeds' mean square over that of seeds and images together, on so many images."""
        beyond = groups * self.excess
        return 1.0 if abs(beyond) < _ROUNDING else 1 + beyond


UNKNOWN = SeedSpread(0.0, 0)


@dataclass(frozen=True)
class Squares:
    """Sums of squares between trainings, and of the rest; they add up over contrasts.

    seeds: between seeds, or between folds. rest: of seeds and images together; of the images
        within folds. freedom, rest_freedom: of the two. groups: the images that one of the seeds or
        folds is judged by.
    """

    seeds: float
    rest: float
    freedom: int
    rest_freedom: int
    groups: float

    def without(self, part: Squares) -> Squares:
        """What is left when one of several orthogonal contrasts is taken out."""
        return Squares(
            max(self.seeds - part.seeds, 0.0),
            max(self.rest - part.rest, 0.0),
            self.freedom - part.freedom,
            self.rest_freedom - part.rest_freedom,
            self.groups,
        )

    @property
    def spread(self) -> SeedSpread:
        """The same as a ratio."""
        if not self.freedom or not self.rest or self.rest_freedom < 1:
            return UNKNOWN
        mean_square = self.rest / self.rest_freedom
        excess = (self.seeds / self.freedom / mean_square - 1) / self.groups
        return SeedSpread(excess, self.freedom)


def squares(
    values: npt.NDArray[np.float64],
    contrasts: int | None = None,
    folds: npt.NDArray[np.int_] | None = None,
) -> Squares:
    """Of arms (K, S, G) or of one arm or difference (S, G).

    contrasts: how many of the K there are that do not depend on each other; all by default.
    folds: (G,) in which fold each image is; where it is given folds stand for seeds.
    """
    values = np.atleast_3d(values) if values.ndim == 3 else values[None]
    arms, seeds, groups = values.shape
    many = arms if contrasts is None else contrasts
    if folds is not None:
        return _between_folds(values, many, folds)
    by_seed, by_image = values.mean(axis=2, keepdims=True), values.mean(axis=1, keepdims=True)
    mean = values.mean(axis=(1, 2), keepdims=True)
    return Squares(
        seeds=groups * float(((by_seed - mean) ** 2).sum()),
        rest=float(((values - by_seed - by_image + mean) ** 2).sum()),
        freedom=many * (seeds - 1),
        rest_freedom=many * (seeds - 1) * (groups - 1),
        groups=groups,
    )


def _between_folds(
    values: npt.NDArray[np.float64], contrasts: int, folds: npt.NDArray[np.int_]
) -> Squares:
    # On the scale of one seed, like the squares of seeds.
    seeds, groups = values.shape[1:]
    values = values.mean(axis=1) * np.sqrt(seeds)
    _, fold, many = np.unique(folds, return_inverse=True, return_counts=True)
    means = np.stack([np.bincount(fold, of_arm) / many for of_arm in values])
    mean = values.mean(axis=1, keepdims=True)
    # The size of folds of one size; of unlike ones that by which their squares are expected.
    size = (groups - (many**2).sum() / groups) / (len(many) - 1) if len(many) > 1 else groups
    return Squares(
        seeds=float((many * (means - mean) ** 2).sum()),
        rest=float(((values - means[:, fold]) ** 2).sum()),
        freedom=contrasts * (len(many) - 1),
        rest_freedom=contrasts * (groups - len(many)),
        groups=float(size),
    )


def of_differences(
    arms: npt.NDArray[np.float64], folds: npt.NDArray[np.int_] | None = None
) -> Squares:
    """Of what seeds, or folds, do to the differences of K arms (K, S, G); what they share falls
    out.
    """
    return squares(arms - arms.mean(axis=0), len(arms) - 1, folds)


def together(spreads: Iterable[SeedSpread]) -> SeedSpread:
    """Several spreads as one, each with the weight of its degrees of freedom."""
    found = [spread for spread in spreads if spread.freedom > 0]
    freedom = sum(spread.freedom for spread in found)
    if not freedom:
        return UNKNOWN
    return SeedSpread(sum(s.excess * s.freedom for s in found) / freedom, freedom)


def borrowed(own: SeedSpread, others: SeedSpread, groups: float) -> SeedSpread:
    """A pair's own spread with that of others; alone where it cannot be like theirs.

    groups: the images of the pair.
    """
    if not own.freedom or not others.freedom:
        return own
    bound = float(f_distribution.isf(_UNLIKE, own.freedom, others.freedom))
    # Nobody's seeds do less than nothing: a ratio below 1 is chance.
    if own.ratio(groups) > bound * max(others.ratio(groups), 1.0):
        return own
    return together((own, others))
