"""Which texts are numbers of a format, against Python's own numbers."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from losses.number_format import AllowedValues, NumberFormat

FORMATS = st.builds(
    lambda sign, least, more, low, width: NumberFormat(
        sign=sign,
        decimals=(least, least + more),
        low=low,
        high=None if low is None or width is None else low + width,
    ),
    st.sampled_from(["never", "optional", "always"]),
    st.integers(0, 3),
    st.integers(0, 3),
    st.none() | st.integers(-200, 200),
    st.none() | st.integers(0, 100),
)
TEXTS = st.text("0123456789.-", max_size=7)
NUMBERS = st.decimals(-300, 300, places=2).map(str) | st.integers(-300, 300).map(str)


@given(FORMATS, NUMBERS)
def test_a_number_fits_by_its_sign_its_decimals_and_its_value(rule, text):
    behind = len(text.partition(".")[2])
    sign = {"never": [""], "always": ["-"], "optional": ["", "-"]}[rule.sign]
    value = Decimal(text)
    assert rule.fits(text) == (
        text[: text.startswith("-")] in sign
        and rule.decimals[0] <= behind <= rule.decimals[1]
        and (rule.low is None or value >= rule.low)
        and (rule.high is None or value <= rule.high)
    )


@given(FORMATS, TEXTS | NUMBERS)
def test_whatever_fits_begins_as_it_may(rule, text):
    if rule.fits(text):
        assert all(rule.begins(text[:n]) for n in range(len(text) + 1))


@given(FORMATS, TEXTS)
def test_what_may_not_begin_never_fits(rule, text):
    for n in range(len(text) + 1):
        if not rule.begins(text[:n]):
            assert not rule.fits(text)


@pytest.mark.parametrize("text", ["", "-", ".", "1.", ".5", "--1", "1-", "1.2.3", "1e3", "٣", " 1"])
def test_what_is_no_number(text):
    assert not NumberFormat().fits(text)


@pytest.mark.parametrize(
    ("rule", "prefix"),
    [
        (NumberFormat(high=12), "13"),
        (NumberFormat(high=12), "12.1"),
        (NumberFormat(low=-5), "-6"),
        (NumberFormat(low=5), "4.9"),
        (NumberFormat(low=0), "-1"),
        (NumberFormat(decimals=(0, 0)), "1."),
        (NumberFormat(decimals=(0, 1)), "1.25"),
        (NumberFormat(sign="never"), "-"),
        (NumberFormat(sign="always"), "1"),
        (NumberFormat(), "1.2."),
    ],
)
def test_what_leads_nowhere_is_left_at_once(rule, prefix):
    assert not rule.begins(prefix)


def test_a_list_of_values():
    values = AllowedValues(frozenset({"1.5", "20"}))
    assert values.fits("1.5")
    assert not values.fits("1.")
    assert [text for text in ("", "1", "1.", "1.5", "2", "20", "5") if values.begins(text)] == [
        *("", "1", "1.", "1.5", "2", "20")
    ]
