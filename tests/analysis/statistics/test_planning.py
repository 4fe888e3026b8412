"""Variance components against their expectations, and plans that keep their power."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from analysis.statistics.planning import Components, components, images_needed
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
