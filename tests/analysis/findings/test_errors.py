"""What is misread, against counts by hand and scikit-learn."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rapidfuzz.distance import Levenshtein
from sklearn.calibration import calibration_curve

from analysis.findings import errors
from analysis.statistics.calibration import (
    calibration_error,
    keep_from,
    reliability,
    risk_by_coverage,
)


def readings(*pairs, seed="0"):
    return pd.DataFrame(
        [
            {"filename": f"{i}.jpg", "truth": t, "reading": r, "seed": seed, "group": i,
             "part": "dev", "confidence": 0.5 + i / 100}
            for i, (t, r) in enumerate(pairs)
        ]
    )  # fmt: skip


def test_slices_by_hand():
    table = errors.by_slice(readings(("11", "11"), ("1.5", "15"), ("-2", "-2"), ("100.25", "1")))
    shares = table.set_index(["slice", "value"])[["images", "estimate"]].apply(tuple, axis=1)
    assert shares["length", "2"] == (2, 1)
    assert shares["length", "6+"] == (1, 0)
    assert shares["adjacent repeats", "1"] == (2, 0.5)  # 11 and 100.25
    assert shares["separators", "1"] == (2, 0)
    assert shares["sign", "yes"] == (1, 1)
    assert ((table["low"] <= table["estimate"]) & (table["estimate"] <= table["high"])).all()


def test_edits_tell_misread_lost_and_added_apart():
    found = errors.edits(readings(("12.5", "125"), ("7", "1"), ("7", "1"), ("3", "33")))
    counts = {(r.truth, r.read): r.count for r in found.itertuples(index=False)}
    assert counts == {("7", "1"): 2, (".", ""): 1, ("", "3"): 1}


@given(st.lists(st.tuples(st.text("01.-", max_size=5), st.text("01.-", max_size=5)), min_size=1))
def test_there_are_as_many_edits_as_the_distance(pairs):
    expected = sum(Levenshtein.distance(truth, reading) for truth, reading in pairs)
    assert errors.edits(readings(*pairs))["count"].sum() == expected


def test_wrong_values_by_hand():
    found = errors.wrong_values(
        readings(
            ("12.5", "125"),  # tenfold, only the separator: off by 9
            ("5.0", "5"),  # the same value: off by 0
            ("-3", "3"),  # only the sign: off by 2
            ("40", ""),  # no number
            ("8", "9"),  # off by 1/8
            ("0", "7"),  # zero against a number: tenfold
            ("6", "6"),
        )
    )
    assert (found.wrong, found.tenfold, found.separator, found.sign) == (6, 2, 1, 1)
    assert (found.unreadable, found.same) == (1, 1)
    assert found.relative == pytest.approx((1 / 8 + 2) / 2)


@pytest.mark.parametrize("text", ["", "-", "1.2.3", "1e5", "1/2", "1_0", "٣"])
def test_what_is_no_number(text):
    assert errors.value(text) is None


def test_the_hardest_and_the_surest():
    both = pd.concat(
        [
            readings(("1", "7"), ("2", "3"), ("4", "4"), seed="0"),
            readings(("1", "7"), ("2", "2"), ("4", "4"), seed="1"),
        ]
    )
    hardest = errors.hardest(both)
    assert hardest[["filename", "wrong", "runs"]].to_numpy().tolist() == [
        ["0.jpg", 2, 2],
        ["1.jpg", 1, 2],
    ]
    assert errors.most_confident(both)["filename"].tolist() == ["1.jpg", "0.jpg"]


# --- trust

CONFIDENCE = np.random.default_rng(0).random(400)
RIGHT = np.random.default_rng(1).random(400) < CONFIDENCE**2


def test_reliability_is_that_of_scikit_learn():
    table = reliability(CONFIDENCE, RIGHT)
    right, confidence = calibration_curve(RIGHT, CONFIDENCE, n_bins=10, strategy="quantile")
    assert table["readings"].tolist() == [40] * 10
    np.testing.assert_allclose(table["estimate"], right)
    np.testing.assert_allclose(table["confidence"], confidence)
    assert calibration_error(CONFIDENCE, RIGHT) == pytest.approx(abs(right - confidence).mean())


def test_readings_of_one_confidence_are_one_bin():
    table = reliability([0.9] * 10, [True] * 8 + [False] * 2)
    assert table[["readings", "estimate"]].to_numpy().tolist() == [[10, 0.8]]
    assert calibration_error([0.9] * 10, [True] * 8 + [False] * 2) == pytest.approx(0.1)


def test_risk_by_coverage_by_counting():
    curve = risk_by_coverage(CONFIDENCE, RIGHT)
    for row in curve.sample(20, random_state=0).itertuples():
        kept = np.argsort(-CONFIDENCE)[: round(row.coverage * 400)]
        assert row.risk == pytest.approx(1 - RIGHT[kept].mean())
    assert curve["coverage"].iloc[-1] == 1


def test_what_is_kept_from_a_confidence_on():
    kept = keep_from(CONFIDENCE, RIGHT, 0.8)
    sure = CONFIDENCE >= 0.8
    assert (kept.kept, kept.right, kept.of) == (sure.sum(), RIGHT[sure].sum(), 400)
