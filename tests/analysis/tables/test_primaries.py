"""Comparisons that were named before the runs, as they are read back."""

import json

import pytest

from analysis.tables.primaries import of_all, primaries

ONE = {
    "at": "2026-03-01T12:00:00.000+00:00",
    "first": ["a"],
    "second": ["b", "c"],
    "margin": 0.02,
    "looks": [2, 5],
}


def tags(*told):
    return {"preset": "mine"} | {f"primary.{n}": json.dumps(one) for n, one in enumerate(told, 1)}


def test_they_come_in_the_order_of_their_time():
    later = ONE | {"at": "2026-03-02T12:00:00+01:00", "looks": [3]}
    found = primaries(tags(later, ONE))
    assert [one.looks for one in found] == [(2, 5), (3,)]
    assert (found[0].preset, found[0].first, found[0].second) == ("mine", ("a",), ("b", "c"))
    assert found[0].margin == 0.02
    assert [one[0].looks for one in of_all([tags(later), {}, tags(ONE)])] == [(2, 5), (3,)]


@pytest.mark.parametrize(
    "damage",
    [
        {"at": "yesterday"},
        {"at": "2026-03-01T12:00:00"},
        {"first": []},
        {"first": 3},
        {"looks": []},
        {"looks": [5, 2]},
        {"looks": [0, 2]},
        {"margin": 2},
        {"margin": "nan"},
    ],
)
def test_one_that_cannot_be_read_is_none(damage):
    assert primaries(tags(ONE | damage)) == []
    assert primaries({"primary.1": "{"}) == primaries({"primary.1": "[]"}) == []
    assert len(primaries(tags(ONE | damage, ONE))) == 1
