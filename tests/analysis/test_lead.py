"""The figure of the front page and its table in RESULTS, from what each run read right."""

import pandas as pd
import pytest

from tests.analysis.lead import REFERENCE, cells, leads
from tests.analysis.test_reference import ROOT
from tests.analysis.test_reference_settings import section_of


@pytest.fixture(scope="module")
def found():
    return leads()


def test_it_shows_what_the_runs_read(found):
    drawn = pd.read_csv(REFERENCE / "lead.csv").fillna("")
    pd.testing.assert_frame_equal(drawn, found.reset_index(drop=True), atol=1e-5)


def test_the_table_says_the_same(found):
    section = section_of("The two losses in other settings")
    lines = [f"| {' | '.join(cells(lead))} |" for _, lead in found.iterrows()]
    assert "\n".join(lines) + "\n\n" in section


def test_what_is_said_of_it(found):
    """In the words under the table and beside the figure."""
    _, *others = found.to_dict("records")
    ahead = [lead for lead in others if lead["shown"] and lead["estimate"] > 0]
    assert [(lead["first"], lead["second"]) for lead in ahead] == [
        ("ce_stop, mobilenet", "ctc, mobilenet"),
        ("ce_stop, 30 columns", "ctc, 7 time steps"),
    ]
    highest = 100 * max(lead["high"] for lead in others if lead not in ahead)
    assert highest < 3
    for name in ("RESULTS.md", "README.md"):
        assert "all lie below 3 but" in " ".join((ROOT / name).read_text(encoding="utf-8").split())
