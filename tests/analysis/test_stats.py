"""Intervals against formulas, against scipy, and against a truth that is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.stats import paired_difference, share

Z = 1.959963984540054  # the 97.5% point of the normal distribution


def width(interval) -> float:
    return interval.high - interval.low


def one_seed(images: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Two arms of one seed whose errors fall mostly on the same images."""
    rng = np.random.default_rng(seed)
    hard = rng.random(images)
    first = (hard + rng.normal(0, 0.15, images) < 0.85)[None]
    second = (hard + rng.normal(0, 0.15, images) < 0.75)[None]
    return first, second


# --- shares


@given(st.integers(1, 2000).flatmap(lambda of: st.tuples(st.integers(0, of), st.just(of))))
@settings(deadline=None, max_examples=100)
def test_share_is_wilsons_interval(counts):
    right, of = counts
    p = right / of
    centre = (p + Z**2 / (2 * of)) / (1 + Z**2 / of)
    half = Z / (1 + Z**2 / of) * math.sqrt(p * (1 - p) / of + Z**2 / (4 * of**2))
    found = share(right, of)
    assert found.estimate == p
    assert (found.low, found.high) == pytest.approx((centre - half, centre + half), abs=1e-9)


def test_share_on_a_worked_example():
    # 492 of 522: 94.25%, and 91.9 to 95.9 by Wilson; the symmetric interval would be 92.3 to 96.2.
    found = share(492, 522)
    assert [round(100 * x, 1) for x in (found.estimate, found.low, found.high)] == [
        94.3,
        91.9,
        95.9,
    ]


# --- paired differences


@given(st.integers(0, 10_000), st.integers(1, 4), st.integers(1, 30))
@settings(deadline=None, max_examples=30)
def test_the_estimate_is_the_mean_difference_and_lies_in_its_interval(seed, seeds, images):
    rng = np.random.default_rng(seed)
    first, second = rng.random((2, seeds, images)) < 0.7
    groups = rng.integers(0, images, images)
    found = paired_difference(first, second, groups, np.random.default_rng(0), resamples=400)
    by_hand = sum(int(a) - int(b) for a, b in zip(first.flat, second.flat, strict=True))
    assert found.estimate == pytest.approx(by_hand / (seeds * images))
    assert -1 <= found.low <= found.high <= 1


def test_one_seed_and_no_copies_is_the_ordinary_paired_bootstrap():
    first, second = one_seed(images=400)
    gain = first[0].astype(float) - second[0]
    found = paired_difference(
        first, second, np.arange(400), np.random.default_rng(0), resamples=10_000
    )
    by_scipy = scipy.stats.bootstrap(
        (gain,), np.mean, n_resamples=10_000, method="percentile", rng=np.random.default_rng(1)
    ).confidence_interval
    half = Z * gain.std() / math.sqrt(400)
    # Both are random in the third decimal; an image is 0.0025.
    tolerance = 0.05 * 2 * half
    assert found.low == pytest.approx(by_scipy.low, abs=tolerance)
    assert found.high == pytest.approx(by_scipy.high, abs=tolerance)
    assert found.low == pytest.approx(gain.mean() - half, abs=tolerance)
    assert found.high == pytest.approx(gain.mean() + half, abs=tolerance)


def test_pairing_is_worth_its_name():
    # The same two shares of right readings, their errors on other images: a wider interval.
    first, second = one_seed(images=400)
    paired = paired_difference(first, second, np.arange(400), np.random.default_rng(0))
    apart = paired_difference(
        np.random.default_rng(5).permuted(first, axis=1),
        second,
        np.arange(400),
        np.random.default_rng(0),
    )
    assert apart.estimate == pytest.approx(paired.estimate)
    assert width(apart) > 1.2 * width(paired)


@pytest.mark.parametrize("size", [2, 4, 9])
def test_identical_images_count_as_one(size):
    """Groups of `size` copies read alike hold no more than one image each: sqrt(size) wider."""
    first, second = (np.repeat(arm, size, axis=1) for arm in one_seed(images=300))
    images = 300 * size
    alone = paired_difference(first, second, np.arange(images), np.random.default_rng(0), 2000)
    # The numbers of groups are indices of images elsewhere: any integers will do.
    groups = np.repeat(np.random.default_rng(2).permutation(1000)[:300], size)
    together = paired_difference(first, second, groups, np.random.default_rng(0), 2000)
    assert together.estimate == pytest.approx(alone.estimate)
    assert width(together) / width(alone) == pytest.approx(math.sqrt(size), rel=0.12)


def test_groups_of_unequal_size_agree_with_a_bootstrap_spelt_out():
    # A large difference and groups of 1 to 9: how many images a resample holds matters.
    rng = np.random.default_rng(3)
    groups = np.repeat(np.arange(40), rng.integers(1, 10, 40))
    first, second = rng.random((2, 1, len(groups))) < [[[0.95]], [[0.25]]]
    found = paired_difference(first, second, groups, np.random.default_rng(0))
    members = [np.flatnonzero(groups == g) for g in np.unique(groups)]
    gain = first[0].astype(float) - second[0]
    draws = []
    for _ in range(4000):
        drawn = rng.integers(0, len(members), len(members))
        draws.append(gain[np.concatenate([members[g] for g in drawn])].mean())
    low, high = np.quantile(draws, [0.025, 0.975])
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.05 * (high - low))


def test_seeds_are_drawn_as_well_as_images():
    # Every image says the same, so that all the doubt is about the seeds: gains 0, 0, 1, 1 of
    # four seeds. Their resampled mean is Binomial(4, 1/2) / 4, with 1/16 at each end.
    first = np.zeros((4, 50), dtype=bool)
    first[2:] = True
    found = paired_difference(
        first, np.zeros((4, 50), dtype=bool), np.arange(50), np.random.default_rng(0)
    )
    assert (found.estimate, found.low, found.high) == (0.5, 0.0, 1.0)


@given(st.integers(0, 10_000), st.integers(1, 4))
@settings(deadline=None, max_examples=20)
def test_exchanging_the_arms_turns_the_interval(seed, seeds):
    rng = np.random.default_rng(seed)
    first, second = rng.random((2, seeds, 40)) < 0.7
    groups = rng.integers(0, 30, 40)
    there = paired_difference(first, second, groups, np.random.default_rng(7), resamples=400)
    back = paired_difference(second, first, groups, np.random.default_rng(7), resamples=400)
    assert (-back.estimate, -back.high, -back.low) == pytest.approx(
        (there.estimate, there.low, there.high), abs=1e-12
    )


def test_an_arm_does_not_differ_from_itself():
    first, _ = one_seed(images=50)
    found = paired_difference(first, first, np.arange(50), np.random.default_rng(0))
    assert (found.estimate, found.low, found.high) == (0, 0, 0)


def test_the_generator_decides_the_interval():
    first, second = one_seed(images=97)

    def interval(seed):
        rng = np.random.default_rng(seed)
        return paired_difference(first, second, np.arange(97), rng, resamples=301)

    assert interval(4) == interval(4)
    assert interval(4) != interval(5)


@pytest.mark.parametrize(
    ("seeds", "between_seeds"),
    [(8, 0.06), (8, 0.03), (1, 0.06)],
    ids=["eight seeds", "eight seeds that differ less", "one seed, about that seed"],
)
def test_the_interval_covers_the_truth_as_often_as_it_says(seeds, between_seeds):
    """Data sets drawn from a world whose difference is known: 19 of 20 intervals should hold it.

    An image's difficulty is uniform in 0..1, a fifth of the images stand there twice. An arm reads
    what is easier than its skill, which moves from seed to seed, give or take a little for each
    reading. Nothing is cut off at 0 or 1, so its share of right readings IS its skill. One seed
    can only speak of the skill that it happened to have.
    """
    rng = np.random.default_rng(2024)
    data_sets, groups, skills = 300, 150, np.array([0.85, 0.80])
    held = 0
    for _ in range(data_sets):
        member = np.repeat(np.arange(groups), 1 + (rng.random(groups) < 0.2))
        skill = skills[:, None] + rng.uniform(-between_seeds, between_seeds, (2, seeds))
        noise = rng.uniform(-0.05, 0.05, (2, seeds, groups))
        right = (rng.random(groups) + noise < skill[:, :, None])[:, :, member]
        truth = np.subtract(*(skills if seeds > 1 else skill[:, 0]))
        found = paired_difference(right[0], right[1], member, rng, resamples=400)
        held += found.low <= truth <= found.high
    # A share of 300 about 0.95 has a standard error of 0.013.
    assert 0.90 <= held / data_sets <= 0.98
