"""The audit of the published figures, on numbers and readings worked out by hand."""

from __future__ import annotations

from fractions import Fraction

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.findings import claims
from analysis.statistics import comparison as paired
from analysis.statistics.contest import contest
from analysis.tables import arms as tables
from tests.analysis.test_report import CE, CTC, MANY, results, run, scores

NUMBERS = scores(0.5, 0.5, 0.5, 0.5, 1)


def ends(table, images, how):
    row = table[table["images"] == images].iloc[0]
    return None if pd.isna(row[f"{how}_low"]) else (row[f"{how}_low"], row[f"{how}_high"])


def test_the_claimed_accuracy_is_no_share_of_the_images_people_read():
    table = claims.granularity("94.66")
    assert ends(table, 522, "rounded") is ends(table, 522, "truncated") is None
    assert list(table.loc[table["images"] == 522, ["below", "above"]].iloc[0]) == ["94.64", "94.83"]
    assert ends(table, 1875, "rounded") is None
    assert ends(table, 1875, "truncated") == (1775, 1775)
    assert ends(table, 7488, "rounded") == (7088, 7088)


@pytest.mark.parametrize(("figure", "right"), [("86.59", 452), ("85.06", 444)])
def test_two_other_published_figures_are_shares_of_them(figure, right):
    assert ends(claims.granularity(figure), 522, "rounded") == (right, right)


@given(st.integers(1, 400), st.integers(0, 10_000))
@settings(max_examples=60)
def test_granularity_agrees_with_trying_all_counts(images, hundredths):
    figure = f"{hundredths / 100:.2f}"
    table = claims.granularity(figure, {"some": images})
    of = [Fraction(10_000 * k, images) for k in range(images + 1)]
    rounded = [k for k, x in enumerate(of) if int(x + Fraction(1, 2)) == hundredths]
    truncated = [k for k, x in enumerate(of) if int(x) == hundredths]
    for how, found in (("rounded", rounded), ("truncated", truncated)):
        assert ends(table, images, how) == ((found[0], found[-1]) if found else None)


def section_of(runs):
    built = results(runs)
    (section,) = tables.sections(built)
    return section, built


def lead_of(section, built):
    pairs = paired.comparisons(section, contest(section, built.predictions))
    return claims.lead(section, pairs).to_dict("records")


def test_a_claimed_lead_is_ruled_out_by_a_test_or_not_at_all():
    right, some = ["12"] * 60, ["12"] * 50 + ["1"] * 10
    runs = [run(s, 0, read, images=MANY, **NUMBERS) for s, read in ((CTC, right), (CE, some))]
    section, built = section_of(runs)
    (row,) = lead_of(section, built)
    assert row["estimate"] == pytest.approx(-10 / 60)
    assert row["ruled_out"]
    assert row["needed_points"] == pytest.approx(0.6)
    assert row["needed_relative"] == pytest.approx(0.55)
    runs = [run(s, 0, read, images=MANY, **NUMBERS) for s, read in ((CE, right), (CTC, some))]
    section, built = section_of(runs)
    (row,) = lead_of(section, built)
    assert row["estimate"] == pytest.approx(10 / 60)
    assert not row["ruled_out"]


def test_a_section_without_any_of_it_has_an_empty_audit():
    section, built = section_of([run(CTC, 0, ["12"] * 60, images=MANY, **NUMBERS)])
    found = claims.audit(section, built, [])
    assert found.people is None
    assert found.outputs.empty
    assert found.lead.empty
