"""Where to reject: against the definition, tried out at every confidence there is."""

import numpy as np
import pytest
import scipy.stats
from hypothesis import assume, given
from hypothesis import strategies as st

from analysis.statistics.calibration import (
    Kept,
    UnreachableError,
    calibrated,
    calibration_error,
    reject_below,
    reject_safely,
    reliability,
)

# Few different confidences, so that many are tied.
READINGS = st.lists(st.tuples(st.integers(0, 8).map(lambda n: n / 8), st.booleans()), min_size=1)
ACCURACIES = st.fractions(0, 1, max_denominator=20).map(float)


def kept_at(readings: list[tuple[float, bool]], confidence: float) -> Kept:
    kept = [right for sure, right in readings if sure >= confidence]
    return Kept(confidence, len(kept), sum(kept), len(readings))


def found(readings: list[tuple[float, bool]], accuracy: float) -> Kept:
    return reject_below([sure for sure, _ in readings], [right for _, right in readings], accuracy)


@given(READINGS, ACCURACIES)
def test_it_is_the_smallest_confidence_that_is_right_often_enough(readings, accuracy):
    every = [kept_at(readings, sure) for sure, _ in readings]
    enough = [kept for kept in every if kept.right / kept.kept >= accuracy]
    assume(enough)
    assert found(readings, accuracy) == min(enough, key=lambda kept: kept.confidence)


@given(READINGS, ACCURACIES)
def test_what_cannot_be_had_is_refused_with_the_best_that_can(readings, accuracy):
    every = [kept_at(readings, sure) for sure, _ in readings]
    best = max(kept.right / kept.kept for kept in every)
    assume(best < accuracy)
    with pytest.raises(UnreachableError) as refused:
        found(readings, accuracy)
    closest = [kept for kept in every if kept.right / kept.kept == best]
    assert refused.value.best == min(closest, key=lambda kept: kept.confidence)


@given(READINGS, st.randoms(use_true_random=False), ACCURACIES)
def test_the_order_of_the_readings_does_not_matter(readings, random, accuracy):
    def outcome(some):
        try:
            return found(some, accuracy)
        except UnreachableError as error:
            return "best", error.best

    assert outcome(random.sample(readings, len(readings))) == outcome(readings)


@given(READINGS, ACCURACIES, ACCURACIES)
def test_more_accuracy_never_keeps_more(readings, first, second):
    less, more = sorted((first, second))
    try:
        kept = found(readings, more)
    except UnreachableError:
        return
    assert found(readings, less).kept >= kept.kept


def test_by_hand():
    # Sorted: right, right, wrong, right, wrong; shares 1, 1, 2/3, 3/4, 3/5.
    confidences, right = [0.5, 0.9, 0.6, 0.8, 0.7], [False, True, True, True, False]
    kept = reject_below(confidences, right, 0.75)
    assert kept == Kept(confidence=0.6, kept=4, right=3, of=5)
    assert kept.coverage == 0.8
    # Wilson's interval for 3 of 4, from its formula.
    assert (kept.accuracy.low, kept.accuracy.high) == pytest.approx((0.3006, 0.9544), abs=1e-4)
    assert reject_below(confidences, right, 0.76).kept == 2
    assert reject_below(confidences, right, 0).kept == 5
    with pytest.raises(UnreachableError):
        reject_below([0.5], [False], 0.01)


def test_a_safe_threshold_by_hand():
    # 200 readings, the 10 wrong ones the least sure. A third of 5% is 1.67%: 0.97 ** 150 is 1.0%,
    # so that the 150 surest prove 97%; further down it goes until too many wrong ones are in.
    confidences, right = np.linspace(1, 0.5, 200), np.arange(200) < 190
    kept = reject_safely(list(confidences), list(right), 0.97)
    assert (kept.kept, kept.right) == (190, 190)
    assert scipy.stats.binom.cdf(0, 190, 0.03) < 0.05 / 3 < scipy.stats.binom.cdf(1, 191, 0.03)
    assert kept.promised == pytest.approx(0.05 ** (1 / 190))
    # Without the bound ten points more of the readings would be kept, on the strength of luck.
    assert reject_below(list(confidences), list(right), 0.97).kept == 195
    with pytest.raises(UnreachableError):
        reject_safely(list(confidences), list(right), 0.99)


@given(READINGS, ACCURACIES)
def test_a_safe_threshold_never_keeps_more_than_the_other(readings, accuracy):
    confidences, right = [sure for sure, _ in readings], [hit for _, hit in readings]
    try:
        safe = reject_safely(confidences, right, accuracy)
    except UnreachableError:
        return
    assert safe.right / safe.kept >= accuracy
    assert safe.kept <= reject_below(confidences, right, accuracy).kept


def broken_promises(choose, accuracy, parts, size=560):
    """How often what is chosen on a part is right less often than it says, on all there could be.

    A reading of confidence c is right with probability c ** 1.3: surer than it should be.
    """
    rng = np.random.default_rng(6)
    broken, coverage = 0, []
    everything = np.sort(rng.beta(3, 0.1, 100_000))
    for _ in range(parts):
        sure = rng.beta(3, 0.1, size)
        right = rng.random(size) < sure**1.3
        try:
            kept = choose(sure, right, accuracy)
        except UnreachableError:
            coverage.append(0.0)
            continue
        true = everything[np.searchsorted(everything, kept.confidence) :] ** 1.3
        broken += true.mean() < accuracy
        coverage.append(len(true) / len(everything))
    return broken / parts, float(np.mean(coverage))


def test_a_safe_threshold_holds_on_new_readings_and_the_other_does_not():
    # Of 200 parts 5% are 10 with a standard deviation of 3.1.
    safe, kept = broken_promises(reject_safely, 0.98, 200)
    unproved, more = broken_promises(reject_below, 0.98, 200)
    print(f"{safe:.1%} of {kept:.1%} kept; {unproved:.1%} of {more:.1%}")
    assert safe <= 0.05 + 2 * 0.0155
    assert unproved > 0.3
    assert more - 0.15 < kept < more


# Among readings of one confidence there may be none that another bin takes.
CONFIDENCES = st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=60)


@given(CONFIDENCES, st.integers(1, 12))
def test_bins_hold_all_readings_and_are_those_of_their_quantiles(readings, bins):
    sure = np.array([sure for sure, _ in readings])
    right = np.array([hit for _, hit in readings])
    table = reliability(list(sure), list(right), bins)
    assert table["readings"].sum() == len(readings)
    ends = np.cumsum(table["readings"])
    order = np.argsort(sure, kind="stable")
    for at, (begin, end) in enumerate(zip([0, *ends[:-1]], ends, strict=True)):
        members = order[begin:end]
        assert table["confidence"][at] == pytest.approx(sure[members].mean())
        assert table["estimate"][at] == pytest.approx(right[members].mean())
        assert table["low"][at] <= table["estimate"][at] + 1e-9
        assert table["high"][at] >= table["estimate"][at] - 1e-9


def test_too_sure_confidences_are_put_right_on_readings_that_they_were_not_fitted_on():
    rng = np.random.default_rng(3)
    sure = rng.beta(3, 0.3, 8000)
    # Right less often than they say.
    right = rng.random(8000) < sure**3
    mended = calibrated(sure[:4000], right[:4000], sure[4000:])
    before = calibration_error(list(sure[4000:]), list(right[4000:]))
    after = calibration_error(list(mended), list(right[4000:]))
    assert before > 0.1
    assert after < before / 4
    # No reading passes another, so that a threshold keeps the same ones.
    order = np.argsort(sure[4000:])
    assert (np.diff(mended[order]) >= 0).all()


def test_by_hand_the_steps_are_means_of_those_out_of_order():
    # 0.6 is wrong behind 0.5, which is right: both are worth a half.
    found = calibrated([0.4, 0.5, 0.6, 0.9], [False, True, False, True], [0.1, 0.55, 0.9, 1.0])
    assert found == pytest.approx([0.0, 0.5, 1.0, 1.0])


def test_seeds_that_read_alike_prove_no_more_than_one():
    sure, right, images = [0.9] * 50, [True] * 40 + [False] * 10, list(range(50))
    one = reliability(sure, right)
    ten = reliability(sure * 10, right * 10, images=images * 10)
    assert ten["readings"].tolist() == [500]
    assert ten[["estimate", "low", "high"]].equals(one[["estimate", "low", "high"]])
