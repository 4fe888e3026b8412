"""Selection is by exact match, and by the loss among equals."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.training.selection import Score, best, better

LOSS = st.one_of(st.sampled_from([0.5, 1.0, math.inf, math.nan]), st.floats(0, 1e6))
SCORES = st.builds(Score, st.sampled_from([0.0, 0.5, 1.0]), LOSS)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Score(0.5, 9.0), Score(0.4, 0.1)),
        (Score(0.5, 0.1), Score(0.5, 0.2)),
        (Score(0.0, 2.0), Score(0.0, 3.0)),
        (Score(0.5, 1.0), Score(0.5, math.inf)),
        (Score(0.5, math.inf), Score(0.5, math.nan)),
    ],
)
def test_the_first_of_these_is_better(one, other):
    assert better(one, other)
    assert not better(other, one)


@given(st.lists(SCORES, max_size=8))
def test_the_best_is_the_first_that_none_is_better_than(scores):
    found = best(scores)
    if not scores:
        assert found is None
        return
    # A sort is stable: the first of equals stays first.
    ranks = [
        (-s.exact_match, math.isnan(s.loss), 0 if math.isnan(s.loss) else s.loss) for s in scores
    ]
    assert found == sorted(range(len(scores)), key=ranks.__getitem__)[0]
    assert not any(better(other, scores[found]) for other in scores)


@given(SCORES, SCORES, SCORES)
def test_better_is_an_order(a, b, c):
    assert not better(a, a)
    assert not (better(a, b) and better(b, a))
    assert better(a, c) or not (better(a, b) and better(b, c))
