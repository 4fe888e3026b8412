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


def test_how_many_are_ahead(found):
    """As said in short, and under the table."""
    _, *others = found.to_dict("records")
    words = {2: "two", 3: "three", 5: "five", 6: "six", 10: "ten"}
    short = " ".join(section_of("In short").split())

    def counted(seeds):
        """How many pairs have so many seeds; those with CTC ahead; those with neither."""
        rows = [lead for lead in others if lead["seeds"] == seeds]
        ahead = sum(lead["shown"] and lead["estimate"] < 0 for lead in rows)
        return [words[n] for n in (len(rows), ahead, sum(not lead["shown"] for lead in rows))]

    pairs, ctc, _ = counted(3)
    assert f"Of {pairs} other pairs with three seeds CTC is shown ahead in {ctc} " in short
    pairs, ctc, neither = counted(1)
    assert f"Of {pairs} with one seed" in short
    assert f"; CTC in {ctc}, neither in {neither} |" in short
    level = pd.DataFrame([lead for lead in others if not lead["shown"]])
    ends = [
        f"{100 * x:+.1f}"
        for name in ("estimate", "low", "high")
        for x in (level[name].min(), level[name].max())
    ]
    said = " ".join(section_of("The two losses in other settings").split())
    words_of = f"In the other {words[len(level)]} no difference is shown"
    assert (
        f"{words_of} ({ends[0]} to {ends[1]} points, intervals from {ends[2]} to {ends[5]})" in said
    )
