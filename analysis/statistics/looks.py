"""How small p has to be at each look, where one comparison is looked at more than once.

Seeds that are added until p is below 5% find a difference in the end, also where there is none:
each look has another chance. So the 5% are spent over looks that are planned before (Lan and
DeMets, 1983), by the function that spends next to nothing early, like the boundaries of O'Brien and
Fleming (1979).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.stats import norm

# Nodes of the integrals over where a sum may stand that has not crossed yet.
_NODES = 151
# No level is given smaller than this.
_SMALLEST = 1e-50

_Floats = npt.NDArray[np.float64]


def spent(share: float, alpha: float) -> float:
    """How much of alpha, two-sided, is spent by the time that this share of the seeds is there."""
    return float(4 * norm.sf(norm.isf(alpha / 4) / np.sqrt(share)))


def levels(looks: Sequence[int], alpha: float) -> list[float]:
    """The two-sided level of each look: over all of them chance passes one in alpha of cases.

    looks: rising numbers of seeds, at each of which the comparison is tested.

    The information at a look is taken to be its share of the last look's seeds. Images, which are
    the same at every look, make the looks more alike than that, so that chance passes less often
    than in alpha of cases (Slepian, 1962).

    The density of the sum that has not passed yet is carried from look to look (Armitage, McPherson
    and Rowe, 1969); each boundary stands where it lets pass what is to be spent.
    """
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    # Where the sum may stand without having passed, and how likely that is.
    at, mass = np.zeros(1), np.ones(1)
    found: list[float] = []
    before, already = 0.0, 0.0
    for n in looks:
        share = n / looks[-1]
        step, to_spend = float(np.sqrt(share - before)), spent(share, alpha) - already
        bound = _bound(at, mass, step, max(to_spend, _SMALLEST))
        found.append(float(2 * norm.sf(bound / np.sqrt(share))))
        places = bound * nodes
        mass = bound * weights * (norm.pdf((places[:, None] - at) / step) / step @ mass)
        at, before, already = places, share, spent(share, alpha)
    return found


def _bound(at: _Floats, mass: _Floats, step: float, to_spend: float) -> float:
    """Beyond which the sum is, to either side, with this probability after a normal step."""

    def excess(bound: float) -> float:
        beyond = norm.sf((bound - at) / step) + norm.sf((bound + at) / step)
        # By its logarithm: the smallest are as exact as the large.
        return float(np.log(max((mass * beyond).sum(), 1e-300) / to_spend))

    return float(brentq(excess, 0.0, float(at.max()) + 20 * step, xtol=1e-10))
