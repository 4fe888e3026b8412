"""Variance components against their expectations, and plans that keep their power."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from analysis.statistics.planning import (
    Components,
    between_folds,
    components,
    images_needed,
)
from analysis.statistics.seed_spread import UNKNOWN


def test_the_components_add_up_to_the_variance_of_a_seeds_difference():
    # Seeds of the first arm read 60 to 90% right, so that seeds do much; 40 seeds say how much.
    rng = np.random.default_rng(5)
    chances = rng.uniform(0.6, 0.9, (40, 1))
    first, second = rng.random((40, 500)) < chances, rng.random((40, 500)) < 0.75
    found = components(first, second, np.arange(500), UNKNOWN)
    assert found.seed == pytest.approx(0.3**2 / 12, rel=0.25)
    assert found.both == pytest.approx((chances * (1 - chances)).mean() + 0.1875, rel=0.03)
    assert found.image == pytest.approx(0, abs=0.003)
    by_seed = (first.mean(axis=1) - second.mean(axis=1)).var(ddof=1)
    assert found.error(1, 500) ** 2 == pytest.approx(by_seed, rel=0.02)
    assert components(first[:1], second[:1], np.arange(500), UNKNOWN) is None


@pytest.mark.parametrize(("first", "second"), [(True, True), (False, False), (True, False)])
def test_arms_that_differ_by_the_same_everywhere_plan_nothing(first, second):
    first, second = (np.full((3, 40), right) for right in (first, second))
    assert components(first, second, np.repeat(np.arange(20), 2), UNKNOWN) is None


def test_images_alone_need_what_the_formula_of_a_mean_says():
    found = Components(0.0, 0.1, 0.0)
    z = scipy.stats.norm.isf(0.025) + scipy.stats.norm.isf(0.2)
    assert images_needed(found, 0.02, 2, 1) == pytest.approx(0.1 * (z / 0.02) ** 2, abs=1)


def test_a_plan_shows_its_difference_four_times_out_of_five():
    found, seeds, freedom = Components(0.0001, 0.05, 0.2), 5, 20
    images = images_needed(found, 0.03, seeds, freedom)
    rng = np.random.default_rng(9)
    error = found.error(seeds, images)
    means = rng.normal(0.03, error, 4000)
    seen = error * np.sqrt(rng.chisquare(freedom, 4000) / freedom)
    shown = means / seen > scipy.stats.t.isf(0.025, freedom)
    assert shown.mean() == pytest.approx(0.8, abs=0.03)


def test_where_seeds_alone_hide_a_difference_no_images_show_it():
    assert images_needed(Components(0.01, 0.1, 0.1), 0.01, 3, 6) is None


def test_what_the_training_sample_does_is_what_analysis_of_variance_says():
    # 30 folds of 200 images each; what is learnt from moves the first arm by 5 points.
    rng = np.random.default_rng(12)
    folds = np.repeat(np.arange(30), 200)
    chance = (0.7 + rng.normal(0, 0.05, 30))[folds]
    first, second = rng.random((2, 6000)) < chance, rng.random((2, 6000)) < 0.7
    found = between_folds(first, second, np.arange(6000), folds)
    gain = (first.astype(float) - second).mean(axis=0)
    by_fold = gain.reshape(30, 200)
    f = scipy.stats.f_oneway(*by_fold).statistic
    assert found == pytest.approx((f - 1) * by_fold.var(axis=1, ddof=1).mean() / 200)
    assert found == pytest.approx(0.05**2, rel=0.5)


def test_folds_that_learn_alike_have_no_part_and_one_fold_says_nothing():
    rng = np.random.default_rng(13)
    first, second = rng.random((2, 1, 3000)) < 0.7
    folds = np.tile([0, 1, 2], 1000)
    assert between_folds(first, second, np.arange(3000), folds) < 0.0005
    assert between_folds(first, second, np.arange(3000), np.zeros(3000, int)) is None
