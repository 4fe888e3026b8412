"""No cell is a formula, and nothing else is changed."""

import csv
import io

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.spreadsheets import as_csv, no_formula, no_formula_name


@pytest.mark.parametrize("text", ["-5", "+5", "-.5", "-0.66", "12", "5.", "", "a=1", " =1"])
def test_what_is_no_formula_stays(text):
    assert no_formula(text) == text


@pytest.mark.parametrize(
    "text", ["=1+1", "-1+1", "+a", "@SUM(A1)", "\t=1", "\r=1", "-", "--5", "-5e"]
)
def test_what_would_be_one_is_a_text(text):
    assert no_formula(text) == "'" + text


@given(st.text())
def test_a_name_names_the_same_file(name):
    assert no_formula_name(name) in (name, f"./{name}")
    assert not no_formula_name(name).startswith(("=", "+", "-", "@", "\t", "\r"))


def test_a_table_of_all_kinds_of_cells():
    table = pd.DataFrame(
        {
            "filename": ["=1.png", "-5"],
            "label": ["=HYPERLINK()", "-5"],
            "loss": [-1.5, float("nan")],
            "changed": [True, False],
        }
    )
    text = as_csv(table)
    assert list(csv.reader(io.StringIO(text))) == [
        ["filename", "label", "loss", "changed"],
        ["./=1.png", "'=HYPERLINK()", "-1.5", "True"],
        ["./-5", "-5", "", "False"],
    ]
    assert table["label"][0] == "=HYPERLINK()"  # the table of the caller is as it was
