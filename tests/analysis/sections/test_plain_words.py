"""Every table of the report is followed by what it says, for a reader without statistics."""

import ast
import re
from pathlib import Path

import analysis.sections
from tests.analysis.test_report import report_of_four_runs

FOLDER = Path(analysis.sections.__file__).parent


def test_every_table_of_a_chapter_has_its_sentence():
    calls = [
        (file.name, node)
        for file in sorted(FOLDER.glob("*.py"))
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "table"
    ]
    assert len(calls) > 15
    for name, call in calls:
        given = [keyword for keyword in call.keywords if keyword.arg == "plain"]
        assert given, f"{name}:{call.lineno}"
        assert isinstance(given[0].value, ast.Constant), f"{name}:{call.lineno}"
        assert str(given[0].value.value).endswith("."), f"{name}:{call.lineno}"


def test_it_stands_directly_below_the_table():
    below = re.findall(r"\| ---.*\|\n(?:\|.*\n)+\n(.*)\n", report_of_four_runs())
    assert len(below) > 8
    assert all(text.startswith("In plain words: ") for text in below)
