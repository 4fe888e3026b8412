"""Intervals against formulas, against scipy, and against a truth that is known."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from hypothesis import example, given, settings
from hypothesis import strategies as st
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm

from analysis.statistics.intervals import mean_share, paired_difference, share

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
@settings(max_examples=100)
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
@settings(max_examples=30)
def test_the_estimate_is_the_mean_difference_and_lies_in_its_interval(seed, seeds, images):
    rng = np.random.default_rng(seed)
    first, second = rng.random((2, seeds, images)) < 0.7
    groups = rng.integers(0, images, images)
    found = paired_difference(first, second, groups)
    by_hand = sum(int(a) - int(b) for a, b in zip(first.flat, second.flat, strict=True))
    assert found.estimate == pytest.approx(by_hand / (seeds * images))
    assert -1 <= found.low <= found.high <= 1
    assert found.one_seed == (seeds == 1)


def test_one_seed_and_no_copies_is_the_ordinary_paired_interval():
    # Bonett and Price's, from its formula, and near what scipy's bootstrap says.
    first, second = one_seed(images=400)
    found = paired_difference(first, second, np.arange(400))
    only_first = int((first & ~second).sum()) + 1
    only_second = int((second & ~first).sum()) + 1
    centre = (only_first - only_second) / 402
    half = Z * math.sqrt(((only_first + only_second) / 402 - centre**2) / 402)
    # Student's t of 401 degrees of freedom and n - 1 under the root, in place of z and n.
    assert (found.low, found.high) == pytest.approx((centre - half, centre + half), abs=3e-4)
    gain = first[0].astype(float) - second[0]
    by_scipy = scipy.stats.bootstrap(
        (gain,), np.mean, n_resamples=5_000, method="percentile", rng=np.random.default_rng(1)
    ).confidence_interval
    assert found.low == pytest.approx(by_scipy.low, abs=0.06 * width(found))
    assert found.high == pytest.approx(by_scipy.high, abs=0.06 * width(found))


def test_seeds_and_images_have_the_variances_of_a_two_way_anova():
    rng = np.random.default_rng(11)
    seeds, images = 3, 100
    hard, shift = rng.random(images), rng.normal(0, 0.1, (2, seeds, 1))
    noise = rng.normal(0, 0.2, (2, seeds, images))
    first, second = hard + noise + shift < np.array([0.9, 0.5])[:, None, None]
    found = paired_difference(first, second, np.arange(images))
    gain = first.astype(float) - second
    telling = gain[:, (gain != 0).any(axis=0)].mean(axis=0)
    imagined = np.sqrt((telling**2).mean())
    gain = np.hstack([gain, np.full((seeds, 1), imagined), np.full((seeds, 1), -imagined)])
    long = pd.DataFrame(gain).melt(ignore_index=False, var_name="image").reset_index(names="seed")
    squares = anova_lm(ols("value ~ C(seed) + C(image)", long).fit())["mean_sq"]
    of_seeds, of_images, rest = squares
    variance = (of_seeds + of_images - rest) / gain.size
    assert of_images > rest
    assert found.error == pytest.approx(math.sqrt(variance))
    assert found.of_seeds == pytest.approx(of_seeds / gain.size / variance)
    weights = found.of_seeds, 1 - found.of_seeds
    critical = np.dot(weights, scipy.stats.t.isf(0.025, [seeds - 1, images + 1]))
    assert found.high == pytest.approx(gain.mean() + critical * found.error)


@pytest.mark.parametrize("seeds", [1, 2])
def test_folds_that_stand_for_seeds_have_the_t_interval_of_their_means(seeds):
    """Ten folds of 300 images, each with a luck of its own."""
    rng = np.random.default_rng(12)
    folds = np.repeat(np.arange(10), 300)
    luck = rng.normal(0, 0.06, 10)[folds]
    first = rng.random((seeds, 3000)) < 0.8 + luck
    second = rng.random((seeds, 3000)) < 0.75
    found = paired_difference(first, second, np.arange(3000), folds=folds)
    means = (first.astype(float) - second).mean(axis=0).reshape(10, 300).mean(axis=1)
    low, high = scipy.stats.t.interval(0.95, 9, means.mean(), scipy.stats.sem(means))
    # But for the two imagined images.
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.02 * (high - low))
    assert (found.folds, found.freedom) == (10, 9)
    assert not found.one_seed
    of_images = paired_difference(first, second, np.arange(3000))
    assert width(found) > 1.5 * width(of_images)
    assert of_images.one_seed == (seeds == 1)


def test_a_large_fold_counts_for_more():
    """By the variance of a mean of folds with effects of their own, each weighted by its images."""
    rng = np.random.default_rng(14)
    many = np.array([900, 100, 100, 100, 100, 100])
    folds = np.repeat(np.arange(6), many)
    luck = np.array([0.1, -0.1, 0.12, 0.0, -0.05, 0.08])[folds]
    first, second = rng.random((2, 1, 1400)) < np.stack([0.75 + luck, 0.75 + 0 * luck])[:, None]
    found = paired_difference(first, second, np.arange(1400), folds=folds)
    gain = (first.astype(float) - second)[0]
    within = sum(((gain[folds == f] - gain[folds == f].mean()) ** 2).sum() for f in range(6)) / 1394
    means = np.array([gain[folds == f].mean() for f in range(6)])
    between = (many * (means - gain.mean()) ** 2).sum() / 5
    typical = (1400 - (many**2).sum() / 1400) / 5
    effect = (between - within) / typical
    assert effect > 0
    wanted = within / 1400 + effect * (many**2).sum() / 1400**2
    assert found.error == pytest.approx(math.sqrt(wanted), rel=0.02)
    # As if all were of one size it would be another.
    assert within / 1400 + effect / 6 < 0.7 * wanted
    reversed_ = paired_difference(
        first[:, ::-1], second[:, ::-1], np.arange(1400), folds=folds[::-1]
    )
    assert (reversed_.low, reversed_.high) == pytest.approx((found.low, found.high))


def test_in_folds_a_share_is_as_sure_as_its_folds():
    rng = np.random.default_rng(15)
    folds = np.repeat(np.arange(10), 200)
    right = rng.random((1, 2000)) < 0.8 + rng.normal(0, 0.06, 10)[folds]
    found = mean_share(right, np.arange(2000), folds=folds)
    means = right[0].reshape(10, 200).mean(axis=1)
    low, high = scipy.stats.t.interval(0.95, 9, means.mean(), scipy.stats.sem(means))
    assert width(found) == pytest.approx(high - low, rel=0.06)
    assert width(found) > 1.3 * width(mean_share(right, np.arange(2000)))


def test_folds_that_agree_leave_the_interval_from_images_alone():
    """Every fold has the same readings; copies of an image are one."""
    rng = np.random.default_rng(13)
    first, second = (np.tile(rng.random(300) < p, 8)[None] for p in (0.8, 0.75))
    groups, folds = np.arange(2400) // 2, np.repeat(np.arange(8), 300)
    found = paired_difference(first, second, groups, folds=folds)
    alone = paired_difference(first, second, groups)
    assert found.of_seeds == 0
    assert (found.low, found.high) == pytest.approx((alone.low, alone.high))


def test_pairing_is_worth_its_name():
    # The same two shares of right readings, their errors on other images: a wider interval.
    first, second = one_seed(images=400)
    paired = paired_difference(first, second, np.arange(400))
    shuffled = np.random.default_rng(5).permuted(first, axis=1)
    apart = paired_difference(shuffled, second, np.arange(400))
    assert apart.estimate == pytest.approx(paired.estimate)
    assert width(apart) > 1.2 * width(paired)


@pytest.mark.parametrize("size", [2, 4, 9])
def test_identical_images_count_as_one(size):
    """Groups of `size` copies read alike hold no more than one image each."""
    few = one_seed(images=300)
    first, second = (np.repeat(arm, size, axis=1) for arm in few)
    alone = paired_difference(*few, np.arange(300))
    # The numbers of groups are indices of images elsewhere: any integers will do.
    groups = np.repeat(np.random.default_rng(2).permutation(1000)[:300], size)
    together = paired_difference(first, second, groups)
    assert (together.estimate, together.low, together.high) == pytest.approx(
        (alone.estimate, alone.low, alone.high)
    )
    assert together.groups == 300


def test_groups_of_unequal_size_agree_with_a_bootstrap_spelt_out():
    # A large difference and groups of 1 to 9: how many images a resample holds matters.
    rng = np.random.default_rng(3)
    groups = np.repeat(np.arange(200), rng.integers(1, 10, 200))
    first, second = rng.random((2, 1, len(groups))) < [[[0.95]], [[0.25]]]
    found = paired_difference(first, second, groups)
    members = [np.flatnonzero(groups == g) for g in np.unique(groups)]
    gain = first[0].astype(float) - second[0]
    draws = []
    for _ in range(2000):
        drawn = rng.integers(0, len(members), len(members))
        draws.append(gain[np.concatenate([members[g] for g in drawn])].mean())
    assert found.error == pytest.approx(np.std(draws), rel=0.2)


def test_where_only_seeds_differ_it_is_their_t_interval():
    # Which images are right is drawn anew in every seed: only the four seeds' means count.
    rng = np.random.default_rng(4)
    first = rng.random((4, 2000)) < np.array([0.2, 0.3, 0.35, 0.5])[:, None]
    found = paired_difference(first, np.zeros_like(first), np.arange(2000))
    by_scipy = scipy.stats.ttest_1samp(first.mean(axis=1), 0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((by_scipy.low, by_scipy.high), abs=0.01)


@given(st.integers(0, 10_000), st.integers(1, 4))
@example(1158, 2)  # whose seeds do exactly what chance would do
@settings(max_examples=20)
def test_exchanging_the_arms_turns_the_interval(seed, seeds):
    rng = np.random.default_rng(seed)
    first, second = rng.random((2, seeds, 40)) < 0.7
    groups = rng.integers(0, 30, 40)
    there, back = paired_difference(first, second, groups), paired_difference(second, first, groups)
    assert (-back.estimate, -back.high, -back.low) == pytest.approx(
        (there.estimate, there.low, there.high), abs=1e-12
    )
    assert back.p_different() == pytest.approx(there.p_different())
    assert there.turned().p_above(0.02) == pytest.approx(there.p_below(-0.02))


@pytest.mark.parametrize("seeds", [1, 2, 5])
@pytest.mark.parametrize("share_right", [0.0, 0.9, 1.0])
def test_readings_that_are_the_same_are_no_certainty(seeds, share_right):
    """Nothing seen in 500 images is compatible with 3.69 / 500 either way (Clopper-Pearson)."""
    same = np.tile(np.arange(500) < 500 * share_right, (seeds, 1))
    found = paired_difference(same, same, np.arange(500))
    exact = scipy.stats.binomtest(0, 500).proportion_ci(0.95).high
    assert found.estimate == 0
    assert found.p_different() == 1
    assert 0.6 * exact < found.high < 1.2 * exact
    assert found.low == -found.high
    assert found.p_equivalent(0.01) < 0.05 < found.p_equivalent(0.002)


# --- tests on the same interval


@given(st.integers(0, 10_000), st.integers(1, 5), st.floats(0.5, 0.95))
@settings(max_examples=30)
def test_p_is_below_5_percent_where_the_interval_is_without_0(seed, seeds, skill):
    rng = np.random.default_rng(seed)
    first, second = rng.random((2, seeds, 80)) < np.array([skill, 0.7])[:, None, None]
    found = paired_difference(first, second, np.arange(80))
    assert (found.p_different() < 0.05) == (found.low > 0 or found.high < 0)
    # At an end of the interval the one-sided test stands at 2.5%.
    if found.high < 1:
        assert found.p_below(found.high) == pytest.approx(0.025)
    if found.low > -1:
        assert found.p_not_inferior(-found.low) == pytest.approx(0.025)
        assert found.p_above(found.low) + found.p_below(found.low) == pytest.approx(1)


def test_equivalence_is_two_one_sided_t_tests():
    first, second = one_seed(images=2000)
    found = paired_difference(first, second, np.arange(2000))
    gain = np.append(first[0].astype(float) - second[0], [1, -1])
    for margin in (0.05, 0.1, 0.15):
        low = scipy.stats.ttest_1samp(gain, -margin, alternative="greater").pvalue
        high = scipy.stats.ttest_1samp(gain, margin, alternative="less").pvalue
        assert found.p_equivalent(margin) == pytest.approx(max(low, high), rel=1e-6, abs=1e-40)
        assert found.p_not_inferior(margin) == pytest.approx(low, rel=1e-6, abs=1e-40)


def test_a_p_value_too_small_to_tell_is_told_as_the_smallest():
    first = np.ones((1, 5000), dtype=bool)
    assert paired_difference(first, ~first, np.arange(5000)).p_different() <= 1e-49


# --- shares over several seeds


@given(st.integers(20, 600), st.floats(0, 1))
@settings(max_examples=40)
def test_the_share_of_one_seed_is_near_wilsons(images, skill):
    right = np.arange(images)[None] < skill * images
    found, wilson = mean_share(right, np.arange(images)), share(int(right.sum()), images)
    assert found.estimate == wilson.estimate
    tolerance = 0.02 + 1.5 / images
    assert (found.low, found.high) == pytest.approx((wilson.low, wilson.high), abs=tolerance)
    assert width(found) > 0


# --- a truth that is known


def world(rng, seeds, images, accuracy, between_seeds, noise=0.5):
    """Two arms' readings and groups, from a mixed model whose shares of right readings are known.

    A reading is right where the arm's skill, the image's ease, what this arm makes of this image,
    the luck of the seed and of this very reading add up to more than 0. All are normal, the ease
    has a spread of 1, so that the shares are `accuracy` over all seeds and images. A fifth of the
    images stand there twice.
    """
    spread = math.sqrt(1 + 0.4**2 + between_seeds**2 + noise**2)
    skill = scipy.stats.norm.ppf(accuracy) * spread
    latent = skill[:, None, None] + rng.normal(0, 1, images)
    latent = latent + rng.normal(0, 0.4, (2, 1, images))
    latent = latent + rng.normal(0, between_seeds, (2, seeds, 1))
    latent = latent + rng.normal(0, noise, (2, seeds, images))
    member = np.repeat(np.arange(images), 1 + (rng.random(images) < 0.2))
    first, second = (latent > 0)[:, :, member]
    return first, second, member


def coverage(seeds, images, accuracy, between_seeds, data_sets, seed=2024):
    """The share of data sets whose interval holds the truth."""
    rng = np.random.default_rng(seed)
    accuracy = np.array(accuracy)
    truth = accuracy[0] - accuracy[1]
    held = 0
    for _ in range(data_sets):
        found = paired_difference(*world(rng, seeds, images, accuracy, between_seeds))
        held += found.low <= truth <= found.high
    return held / data_sets


@pytest.mark.parametrize("seeds", [1, 2, 3, 5, 8])
def test_the_interval_covers_the_truth_as_often_as_it_says(seeds):
    # Of 400 data sets a share about 0.95 has a standard error of 0.011. One seed: of other images.
    between = 0.0 if seeds == 1 else 0.1
    assert 0.915 <= coverage(seeds, 300, (0.92, 0.88), between, data_sets=400) <= 0.99


@pytest.mark.long
@pytest.mark.parametrize("seeds", [2, 3, 5, 8])
@pytest.mark.parametrize(
    ("accuracy", "between"),
    [((0.9, 0.9), 0.0), ((0.92, 0.88), 0.05), ((0.9, 0.9), 0.15), ((0.985, 0.98), 0.1)],
    ids=["no difference, seeds alike", "4 points", "seeds far apart", "few discordant pairs"],
)
def test_intervals_cover_93_to_97_percent(seeds, accuracy, between):
    # A standard error of 0.005; few discordant pairs are on the safe side. Of a pair by itself, two
    # seeds say next to nothing of how far apart seeds lie: "What is not reached" in the README
    # beside the statistics. With other arms beside it the pair is held to more, in test_worlds.py.
    least = 0.885 if (seeds, between) == (2, 0.15) else 0.925
    found = coverage(seeds, 500, accuracy, between, data_sets=2000)
    print(f"{seeds} seeds, {accuracy}, {between}: {100 * found:.1f}%")
    assert least <= found <= 0.985
