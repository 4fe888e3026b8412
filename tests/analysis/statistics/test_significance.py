"""p-values against scipy, statsmodels and all permutations; families with a known truth."""

from __future__ import annotations

from itertools import product
from unittest.mock import patch

import numpy as np
import pytest
import scipy.optimize
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from analysis.statistics.intervals import paired_difference
from analysis.statistics.significance import (
    Verdict,
    exact_mcnemar,
    holm,
    judge,
)
from tests.analysis.statistics.test_intervals import world


def readings(only_first, only_second, both=20):
    """One seed in which so many images are read right by one of the two arms alone."""
    first = np.array([True] * only_first + [False] * only_second + [True] * both)[None]
    second = np.array([False] * only_first + [True] * only_second + [True] * both)[None]
    return first, second, np.arange(first.shape[1])


@given(st.integers(0, 40), st.integers(0, 40))
@settings(max_examples=40)
def test_one_seed_without_copies_is_mcnemars_exact_test(only_first, only_second):
    found = exact_mcnemar(*readings(only_first, only_second))
    table = [[20, only_first], [only_second, 0]]
    assert found == pytest.approx(mcnemar(table, exact=True).pvalue)


@given(st.integers(0, 1000))
@settings(max_examples=20)
def test_groups_and_seeds_agree_with_every_permutation(seed):
    rng = np.random.default_rng(seed)
    groups = rng.integers(0, 8, 14)
    first, second = rng.random((2, 2, 14)) < np.array([0.8, 0.4])[:, None, None]
    sums = [(first.astype(int) - second)[:, groups == g].sum() for g in np.unique(groups)]
    totals = [abs(np.dot(signs, sums)) for signs in product((1, -1), repeat=len(sums))]
    by_hand = np.mean(np.array(totals) >= abs(sum(sums)))
    assert exact_mcnemar(first, second, groups) == pytest.approx(by_hand)


def test_holm_by_hand():
    # Sorted 0.01 x 3, 0.03 x 2, 0.04 x 1, and none below the one before.
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_is_that_of_statsmodels(p_values):
    with patch("gc.collect"):  # which it calls every time, and which takes longer than all else
        expected = multipletests(p_values, method="holm")[1]
    assert holm(p_values) == pytest.approx(expected)


def smallest_visible(
    images: int, discordant: float, power: float = 0.8, alpha: float = 0.05
) -> float | None:
    """The smallest true difference that one seed on so many images shows: the reference.

    discordant: the share of images that one of the two arms alone reads right. Where it cannot hold
        the difference, all that differ are taken to do so in one direction.

    McNemar's test, two-sided (Connor, 1987). None where not even 1 would be.
    """
    at_alpha, at_power = scipy.stats.norm.isf(alpha / 2), scipy.stats.norm.ppf(power)

    def excess(difference: float) -> float:
        telling = max(discordant, difference)
        spread = at_power * np.sqrt(telling - difference**2)
        return float(difference * np.sqrt(images) - at_alpha * np.sqrt(telling) - spread)

    return float(scipy.optimize.brentq(excess, 1e-12, 1.0)) if excess(1.0) > 0 else None


@pytest.mark.parametrize(("images", "points"), [(522, 3.0), (1875, 1.6), (7497, 0.8)])
def test_the_smallest_visible_difference_of_known_designs(images, points):
    assert round(100 * smallest_visible(images, 0.06), 1) == points


def test_what_cannot_be_seen_is_none():
    assert smallest_visible(3, 0.5) is None
    # All that differ in one direction: more than the discordance that was told.
    assert smallest_visible(500, 0.0) > 0


@pytest.mark.parametrize(("images", "discordant"), [(522, 0.06), (1083, 0.1)])
def test_the_smallest_visible_difference_is_shown_four_times_of_five(images, discordant):
    rng = np.random.default_rng(7)
    difference = smallest_visible(images, discordant)
    more, less = (discordant + difference) / 2, (discordant - difference) / 2
    cells = rng.multinomial(images, [more, less, 1 - discordant], size=1500)
    z = (cells[:, 0] - cells[:, 1]) / np.sqrt(cells[:, 0] + cells[:, 1])
    # A standard error of 0.010.
    assert np.mean(z > scipy.stats.norm.isf(0.025)) == pytest.approx(0.8, abs=0.035)
    shown = 0
    for only_first, only_second, rest in cells[:300]:
        found = paired_difference(*readings(only_first, only_second, rest))
        shown += found.low > 0
        assert found.smallest_visible() == pytest.approx(difference, rel=0.25)
    assert shown / 300 == pytest.approx(0.8, abs=0.08)


# --- judgements


def family_errors(families, rng, pairs, seeds, images):
    """How many families of pairs without any difference have one that is called shown."""
    wrong = 0
    for _ in range(families):
        p_values = []
        for _ in range(pairs):
            first, second, groups = world(rng, seeds, images, np.array([0.9, 0.9]), 0.05)
            # One seed can speak of itself only: without luck of the seed.
            if seeds == 1:
                first, second, groups = world(rng, 1, images, np.array([0.9, 0.9]), 0.0)
                p_values.append(exact_mcnemar(first, second, groups))
            else:
                p_values.append(paired_difference(first, second, groups).p_different())
        wrong += min(holm(p_values)) < 0.05
    return wrong / families


@pytest.mark.parametrize("seeds", [1, 3])
def test_families_without_a_difference_are_seldom_called_different(seeds):
    # Of 100 families 5% are 5, and 11 or fewer in 99 of 100 cases.
    assert family_errors(100, np.random.default_rng(1), 6, seeds, 200) <= 0.11


@pytest.mark.long
@pytest.mark.parametrize("seeds", [1, 2, 3, 5])
def test_the_family_wise_error_is_at_most_5_percent(seeds):
    found = family_errors(600, np.random.default_rng(2), 6, seeds, 300)
    print(f"{seeds} seeds: {100 * found:.1f}%")
    assert found <= 0.05 + 2 * 0.009


def test_a_judgement_needs_its_test():
    first, second, groups = readings(60, 20, 900)
    found = paired_difference(first, second, groups)
    shown = judge(found, 0.04, 0.9)
    assert (shown.verdict, shown.direction, shown.within_margin) == (Verdict.SHOWN, 1, False)
    assert judge(found.turned(), 0.04, 0.9).direction == -1
    nothing = judge(found, 0.06, 0.9)
    assert (nothing.verdict, nothing.direction) == (Verdict.NOT_SHOWN, 0)
    alike = judge(found, 0.06, 0.01, margin=0.02)
    assert (alike.verdict, alike.direction, alike.margin) == (Verdict.EQUIVALENT, 0, 0.02)
    small = judge(found, 0.01, 0.01)
    assert (small.verdict, small.within_margin) == (Verdict.SHOWN, True)
