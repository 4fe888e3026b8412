"""What arms say together of their seeds: against a linear model, and where nothing is borrowed."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm

from analysis.statistics.seed_spread import (
    UNKNOWN,
    SeedSpread,
    borrowed,
    of_differences,
    squares,
    together,
)


def made(arms: int = 4, seeds: int = 3, groups: int = 12) -> np.ndarray:
    rng = np.random.default_rng(8)
    values = rng.normal(size=(arms, seeds, groups))
    # What all arms of a seed share, and what an arm's seed does by itself.
    return values + rng.normal(0, 5, (seeds, 1)) + rng.normal(0, 0.5, (arms, seeds, 1))


def test_the_squares_are_those_of_a_linear_model_of_arms_seeds_and_images():
    values = made()
    index = pd.MultiIndex.from_product(map(range, values.shape), names=["arm", "seed", "image"])
    table = pd.Series(values.ravel(), index, name="value").reset_index()
    model = "value ~ C(arm) * C(seed) + C(arm) * C(image) + C(seed) * C(image)"
    by_statsmodels = anova_lm(ols(model, table).fit())
    found = of_differences(values)
    assert found.seeds == pytest.approx(by_statsmodels.loc["C(arm):C(seed)", "sum_sq"])
    assert found.freedom == by_statsmodels.loc["C(arm):C(seed)", "df"]
    assert found.rest == pytest.approx(by_statsmodels.loc["Residual", "sum_sq"])
    assert found.spread.ratio(12) == pytest.approx(by_statsmodels.loc["C(arm):C(seed)", "F"])


@pytest.mark.parametrize("seeds", [1, 2])
def test_the_squares_of_folds_are_those_of_a_linear_model_of_images_within_folds(seeds):
    """Folds of unlike sizes; of several seeds the images' means are what is modelled."""
    folds = np.array([0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 2])
    rng = np.random.default_rng(9)
    values = rng.normal(size=(4, seeds, 12)) + rng.normal(0, 3, (4, 1, 3))[:, :, folds]
    # What the arms share of an image is taken out by hand, with one arm's degrees of freedom.
    own = values.mean(axis=1) - values.mean(axis=(0, 1))
    index = pd.MultiIndex.from_product([range(4), range(12)], names=["arm", "image"])
    table = pd.Series(own.ravel(), index, name="value").reset_index()
    table["fold"] = folds[table["image"]]
    by_statsmodels = anova_lm(ols("value ~ C(arm) * C(fold)", table).fit())
    found = of_differences(values, folds)
    of_folds, of_images = (by_statsmodels.loc[x] for x in ("C(arm):C(fold)", "Residual"))
    assert found.seeds == pytest.approx(seeds * of_folds["sum_sq"])
    assert found.freedom == of_folds["df"] == 6
    assert found.rest == pytest.approx(seeds * of_images["sum_sq"])
    assert found.rest_freedom == of_images["df"] * 3 / 4 == 27


def test_two_arms_say_together_what_their_difference_says():
    values = made(arms=2)
    assert of_differences(values).spread == pytest.approx(squares(values[0] - values[1]).spread)


def test_a_pair_taken_out_leaves_what_the_others_say():
    # Arms 0 and 1 against each other, the other contrasts of four arms spelt out (Helmert).
    values = made()
    left = of_differences(values).without(squares((values[0] - values[1]) / np.sqrt(2)))
    contrasts = [[1, 1, -2, 0], [1, 1, 1, -3]]
    others = [squares(np.tensordot(np.divide(c, np.linalg.norm(c)), values, 1)) for c in contrasts]
    assert left.freedom == sum(other.freedom for other in others)
    assert left.seeds == pytest.approx(sum(other.seeds for other in others))
    assert left.rest == pytest.approx(sum(other.rest for other in others))


def test_spreads_together_weigh_by_their_degrees_of_freedom():
    assert together([SeedSpread(0.1, 1), SeedSpread(0.4, 2), UNKNOWN]) == pytest.approx((0.3, 3))
    assert together([]) == UNKNOWN


def test_a_pair_unlike_all_others_borrows_nothing():
    others = SeedSpread(0.0, 6)
    bound = scipy.stats.f.isf(0.01, 1, 6)
    inside, outside = (SeedSpread((ratio - 1) / 100, 1) for ratio in (bound - 0.1, bound + 0.1))
    assert borrowed(outside, others, 100) == outside
    assert borrowed(inside, others, 100) == together((inside, others))
    assert borrowed(UNKNOWN, others, 100) == UNKNOWN
    assert borrowed(inside, UNKNOWN, 100) == inside
