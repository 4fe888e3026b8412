"""Where to reject: against the definition, tried out at every confidence there is."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from analysis.statistics.calibration import Kept, UnreachableError, reject_below

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
