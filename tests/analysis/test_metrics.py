"""Exact match and character error rate against a second, plain-Python way to count edits."""

from __future__ import annotations

import math

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from analysis.metrics import against_people, character_error_rate, exact_match

texts = st.text(alphabet="0123456789.-", max_size=8)
pairs = st.lists(st.tuples(texts, texts), min_size=1, max_size=6)


def edit_distance(a: str, b: str) -> int:
    """Wagner and Fischer's table, a cell at a time."""
    table = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i in range(len(a) + 1):
        for j in range(len(b) + 1):
            if i == 0 or j == 0:
                table[i][j] = i + j
            else:
                table[i][j] = min(
                    table[i - 1][j] + 1,
                    table[i][j - 1] + 1,
                    table[i - 1][j - 1] + (a[i - 1] != b[j - 1]),
                )
    return table[-1][-1]


def test_the_reference_itself_knows_worked_examples():
    assert edit_distance("12.5", "125") == 1
    assert edit_distance("12", "21") == 2  # two edits: a swap is none of Levenshtein's
    assert edit_distance("", "907") == 3


@given(pairs)
@settings(max_examples=100)
def test_character_error_rate_is_all_edits_over_all_characters(some):
    truths, readings = zip(*some, strict=True)
    characters = len("".join(truths))
    found = character_error_rate(truths, readings)
    if characters == 0:
        assert math.isnan(found)
    else:
        assert found == pytest.approx(sum(edit_distance(t, r) for t, r in some) / characters)


@given(pairs)
@example([("12.5", "12.5"), ("12.5", "125"), ("07", "7")])
@settings(max_examples=100)
def test_exact_match_counts_pairs_without_edits(some):
    truths, readings = zip(*some, strict=True)
    equal = [edit_distance(t, r) == 0 for t, r in some]
    assert exact_match(truths, readings) == pytest.approx(equal.count(True) / len(equal))


@pytest.mark.parametrize(
    ("truth", "reading"),
    [("12.5", "125"), ("125", "12.5"), ("-3", "3"), ("07", "7"), ("10", "1"), ("5", " 5")],
)
def test_every_character_counts(truth, reading):
    assert exact_match([truth], [reading]) == 0
    assert character_error_rate([truth], [reading]) == pytest.approx(1 / len(truth))


def test_readings_that_are_much_too_long_cost_more_than_all():
    assert character_error_rate(["1"], ["111"]) == 2


def test_characters_weigh_the_same_in_long_and_short_truths():
    # One edit in 1 + 4 characters; a mean over the texts would say 1/2.
    assert character_error_rate(["1", "2345"], ["7", "2345"]) == pytest.approx(0.2)


def test_nothing_to_read_is_nan():
    assert math.isnan(exact_match([], []))
    assert math.isnan(character_error_rate([], []))
    assert math.isnan(character_error_rate([""], ["5"]))


@pytest.mark.parametrize("metric", [exact_match, character_error_rate])
def test_a_missing_reading_is_refused(metric):
    with pytest.raises(ValueError, match="zip"):
        metric(["1", "2"], ["1"])


def test_a_reader_against_each_person_both_and_either():
    #        reader  human1  human2  of human1 2/4, of human2 3/4; they agree on the first three, of
    readings, first, second = zip(
        ("1", "1", "1"),
        ("2", "22", "22"),
        ("3.3", "3.3", "3.3"),
        ("9", "4", "9"),
        strict=True,
    )
    # which the reader has two; the last is as one of them: 3/4 as either.
    assert against_people(readings, first, second) == {
        "human1": 2 / 4,
        "human2": 3 / 4,
        "agreed": 2 / 3,
        "either": 3 / 4,
    }


def test_people_who_never_agree_leave_nothing_agreed():
    found = against_people(["1"], ["1"], ["2"])
    assert math.isnan(found["agreed"])
    assert (found["human1"], found["human2"], found["either"]) == (1, 0, 1)
