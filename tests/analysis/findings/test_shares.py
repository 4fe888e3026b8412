"""What an arm reads right, against counts by hand and the interval of all of its readings."""

import numpy as np
import pandas as pd
import pytest

from analysis.findings.shares import by_arm
from analysis.statistics.intervals import mean_share, share


def readings(**arms):
    """A table of arms, each a list of seeds, each a text of 1 (right) and 0 an image."""
    return pd.DataFrame(
        [
            {"arm": arm, "seed": str(seed), "filename": f"{i}.jpg", "group": i, "truth": "1",
             "reading": right}
            for arm, seeds in arms.items()
            for seed, of_seed in enumerate(seeds)
            for i, right in enumerate(of_seed)
        ]
    )  # fmt: skip


def test_one_seed_has_the_interval_of_a_share():
    found = by_arm(readings(a=["1110"], b=["0101"]))
    assert list(found.index) == ["a", "b"]
    assert list(found["images"]) == [4, 4]
    assert list(found["estimate"]) == [0.75, 0.5]
    expected = share(3, 4)
    assert found.loc["a", ["low", "high"]].to_numpy(float) == pytest.approx(
        [expected.low, expected.high], abs=0.1
    )


def test_seeds_of_all_arms_say_how_far_one_is_moved():
    rng = np.random.default_rng(3)
    # Seeds of b read very differently, those of a hardly so: a's interval is wider beside b.
    a = ["".join(rng.choice(["1", "1", "1", "0"], 200)) for _ in range(2)]
    b = ["1" * 190 + "0" * 10, "1" * 60 + "0" * 140]
    alone, beside = by_arm(readings(a=a)).loc["a"], by_arm(readings(a=a, b=b)).loc["a"]
    assert beside["estimate"] == alone["estimate"]
    assert beside["high"] - beside["low"] > 1.5 * (alone["high"] - alone["low"])
    right = np.array([[c == "1" for c in text] for text in a])
    by_itself = mean_share(right, np.arange(200))
    assert (alone["low"], alone["high"]) == pytest.approx((by_itself.low, by_itself.high))


def test_no_reading_is_no_arm():
    assert by_arm(readings(a=["1"]).iloc[:0]).empty
