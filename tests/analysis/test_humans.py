"""The human baseline on a table worked out by hand."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from analysis.humans import agreement, score, side_by_side


def readers(**by_reader: dict[str, str]) -> pd.DataFrame:
    """The long table that a run logs: a row a reader and image."""
    rows = [
        {"data_digest": "d", "reader": reader, "filename": filename, "reading": text}
        for reader, by_name in by_reader.items()
        for filename, text in by_name.items()
    ]
    return pd.DataFrame(rows, columns=["data_digest", "reader", "filename", "reading"])


# Image  human1  human2  output1   alike  output1 = human1, = human2, = either
# a      12      12      12        yes    yes  yes  yes
# b      3.5     35      35        no     no   yes  yes
# c      -4      4       -4        no     yes  no   yes
# d      700     700     70        yes    no   no   no
# e      1       7       9         no     no   no   no
# f      07      07      07        yes    yes  yes  yes
# g      8       (none)  8         only human1 read it: it counts nowhere
# h      (none)  6       6         only human2 read it: it counts nowhere
#                                  3/6    3/6  3/6  4/6;  on the 3 alike (a, d, f) 2/3
TABLE = readers(
    human1={"a": "12", "b": "3.5", "c": "-4", "d": "700", "e": "1", "f": "07", "g": "8"},
    human2={"a": "12", "b": "35", "c": "4", "d": "700", "e": "7", "f": "07", "h": "6"},
    output1={"a": "12", "b": "35", "c": "-4", "d": "70", "e": "9", "f": "07", "g": "8", "h": "6"},
)


def test_images_that_only_one_person_read_are_left_out():
    assert sorted(side_by_side(TABLE).index) == ["a", "b", "c", "d", "e", "f"]


def test_agreement_is_the_share_read_alike_with_its_wilson_interval():
    found = agreement(side_by_side(TABLE))
    assert found.estimate == 0.5
    # Wilson at p = 1/2: 1/2 -+ z / (2 sqrt(n + z^2)) with n = 6, z = 1.959964.
    half = 1.959964 / (2 * math.sqrt(6 + 1.959964**2))
    assert (found.low, found.high) == pytest.approx((0.5 - half, 0.5 + half), abs=1e-6)


def test_a_reader_against_each_person_both_and_either():
    found = score(side_by_side(TABLE), "output1")
    assert found == pytest.approx(
        {"human1": 3 / 6, "human2": 3 / 6, "agreed": 2 / 3, "either": 4 / 6}
    )


def test_a_person_against_people_has_the_agreement_with_the_other():
    found = score(side_by_side(TABLE), "human2")
    assert found == pytest.approx({"human1": 0.5, "human2": 1.0, "agreed": 1.0, "either": 1.0})


def test_people_who_never_agree_leave_nothing_agreed():
    table = side_by_side(readers(human1={"a": "1"}, human2={"a": "7"}, output1={"a": "7"}))
    found = score(table, "output1")
    assert math.isnan(found["agreed"])
    assert found["either"] == 1.0


@pytest.mark.parametrize(
    "table",
    [
        readers(),
        readers(human1={"a": "1"}),
        readers(output1={"a": "1"}, output2={"a": "1"}),
        readers(human1={"a": "1"}, human2={"b": "1"}),
    ],
    ids=["nobody", "one person", "models only", "different images"],
)
def test_without_two_people_on_an_image_there_is_no_baseline(table):
    assert side_by_side(table).empty
