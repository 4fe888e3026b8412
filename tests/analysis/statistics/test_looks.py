"""Levels of planned looks: published boundaries, and the whole 5% by another way of integrating."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal, norm

from analysis.statistics.looks import levels, spent


@pytest.mark.parametrize(
    ("looks", "published"),
    [
        ([1, 2], [2.963, 1.969]),
        ([1, 2, 3], [3.710, 2.511, 1.993]),
        ([1, 2, 3, 4], [4.333, 2.963, 2.359, 2.014]),
        ([1, 2, 3, 4, 5], [4.877, 3.357, 2.680, 2.290, 2.031]),
    ],
)
def test_boundaries_are_those_that_are_published(looks, published):
    # Lan and DeMets' boundaries of the O'Brien and Fleming type, two-sided at 5%, equal steps.
    found = norm.isf(np.array(levels(looks, 0.05)) / 2)
    assert found == pytest.approx(published, abs=6e-4)


@settings(max_examples=5)
@given(
    looks=st.lists(st.integers(1, 40), min_size=2, max_size=3, unique=True).map(sorted),
    alpha=st.floats(0.001, 0.3),
)
def test_all_looks_together_spend_alpha(looks, alpha):
    found = levels(looks, alpha)
    bounds = norm.isf(np.array(found) / 2)
    # The sums over the first n of looks[-1] terms, by their correlations.
    n = np.array(looks, dtype=float)
    together = np.sqrt(np.minimum.outer(n, n) / np.maximum.outer(n, n))
    normal = multivariate_normal(cov=together, seed=1, maxpts=20_000)
    passed = 1 - float(normal.cdf(bounds, lower_limit=-bounds))
    assert passed == pytest.approx(alpha, rel=0.02)
    assert all(0 < level <= alpha * (1 + 1e-9) for level in found)


def test_one_look_has_all_of_it():
    assert levels([5], 0.05) == [pytest.approx(0.05)]
    assert spent(1.0, 0.05) == pytest.approx(0.05)


def test_very_early_looks_have_a_level_all_the_same():
    first, last = levels([1, 1000], 0.05)
    assert 0 < first < 1e-40
    assert last == pytest.approx(0.05)
