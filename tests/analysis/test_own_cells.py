"""What to train on one's own cells: the table that gathers figures of other sections."""

import re

import pandas as pd
import pytest

from tests.analysis.test_reference import CLEAN, ROOT, ids
from tests.analysis.test_reference_settings import section_of

REFERENCE = ROOT / "analysis/reference"


def percent(share):
    return f"{100 * share:.1f}"


@pytest.fixture(scope="module")
def section():
    return section_of("What to train on your own cells")


@pytest.fixture(scope="module")
def strings():
    """(arm, images) -> share of the drawn strings."""
    return pd.read_csv(REFERENCE / "fine_tuning.csv").set_index(["arm", "images"])["exact_match"]


def test_each_row_is_what_its_section_found(section, strings):
    curve = pd.read_csv(REFERENCE / "learning_curve.csv")
    of_images = curve[curve["loss"] == "ctc"].groupby("images")["test_clean"].mean()
    together = pd.read_csv(REFERENCE / "best.csv")
    ctc = set(together[together["loss"] == "ctc"]["run_id"])
    members = together["members"].fillna("").str.split().map(set)
    [three] = together[members == ctc]["test_clean"]
    longer = pd.read_csv(REFERENCE / "longer.csv").set_index("run_id")
    of_three = set(longer[(longer["loss"] == "ctc") & (longer["epochs"] == 50)].index)
    [three_longer] = longer.index[longer["members"].fillna("").str.split().map(set) == of_three]
    as_it_is = re.search(r"\| none: the reader as it is \| \| ([\d.]+) \|", section_of("Beginning"))
    expected = [
        ("none", as_it_is[1]),
        *((f"{n:,}", percent(strings["CTC, from the reader", n])) for n in (50, 200, 1000)),
        *((f"{n:,}", percent(of_images[n])) for n in (500, 1000, 2000)),
        ("5,059", percent(CLEAN[ids("ctc")].mean().mean())),
        ("the same", percent(three)),
        ("the same", percent(longer.loc[list(of_three), "test_clean"].mean())),
        ("the same", percent(longer.loc[three_longer, "test_clean"])),
    ]
    rows = re.findall(r"^\| ([\d,]+|none|the same).* \| ([\d.]+) \|$", section, re.M)
    assert rows == expected


def test_what_more_images_are_worth(section, strings):
    cells = section[section.index("| published cells") :]
    rows = re.findall(r"^\| ([\d,]+) images.* \| ([\d.]+) \|$", cells, re.M)
    shown = {int(images.replace(",", "")): float(share) for images, share in rows}
    gains = [
        f"{shown[more] - shown[fewer]:.1f}"
        for fewer, more in [(500, 1000), (1000, 2000), (2000, 5059)]
    ]
    words = " ".join(section.split())
    assert "are worth {} and {} points, from 2,000 to 5,059 {}.".format(*gains) in words
    begun, fresh = (strings[f"CTC, from {how}", 1000] for how in ("the reader", "nothing"))
    reader = f"{100 * (begun - fresh):.1f} points by the reader to begin with"
    assert f"{reader} ({percent(begun)} and {percent(fresh)}, both in 30 epochs)" in words
