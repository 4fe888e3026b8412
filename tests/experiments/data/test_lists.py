"""Lists as files: what is written as CSV is read back, whatever is in it."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.data.lists import Problem, lines, name_in, read_table, read_values
from experiments.errors import UserError

modest = settings(max_examples=100)


def collected(problems):
    return [(problem.kind, problem.message) for problem in problems]


# What a row can hold: a row is a line, and what stands around a field is no part of it.
texts = st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=12).filter(
    lambda text: text == text.strip()
)
tables = st.lists(st.tuples(texts.filter(bool), texts), min_size=1, unique_by=lambda row: row[0])
delimiters = st.sampled_from(",;")
ends = st.sampled_from(["\n", "\r\n", "\r"])


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return tmp_path_factory.mktemp("lists") / "labels.csv"


def write(file, rows, delimiter, end="\n"):
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator=end).writerows(rows)
    file.write_bytes(text.getvalue().encode())


def refuse(problem: Problem) -> None:
    raise AssertionError(problem)


@modest
@given(tables, delimiters, ends)
def test_what_csv_writes_is_read_back(file, table, delimiter, end):
    write(file, [("filename", "value"), *table], delimiter, end)
    values = read_table(file, refuse)
    # The header is row 1.
    assert values == {name: (row, value) for row, (name, value) in enumerate(table, 2)}


@modest
@given(tables, delimiters)
def test_what_csv_writes_without_a_header_is_read_back(file, table, delimiter):
    # A name with a suffix is no header. It has no mark of its own where the delimiter is to show.
    table = [("1.png", "7"), *((name, value) for name, value in table if name != "1.png")]
    write(file, table, delimiter)
    values = read_table(file, refuse)
    assert values == {name: (row, value) for row, (name, value) in enumerate(table, 1)}


@modest
@given(tables, delimiters, st.data())
def test_a_broken_row_is_told_and_the_others_are_read(file, table, delimiter, data):
    at = data.draw(st.integers(0, len(table) - 1))
    write(file, [("filename", "value"), *table], delimiter)
    rows = file.read_text().split("\n")
    broken = data.draw(st.sampled_from(["one", f"a{delimiter}b{delimiter}c", f'x{delimiter}"1']))
    rows[at + 1 : at + 1] = [broken]
    file.write_text("\n".join(rows))
    problems = []
    values = read_table(file, problems.append)
    assert {name: value for name, (_, value) in values.items()} == dict(table)
    ((kind, message),) = collected(problems)
    assert kind == "malformed row"
    assert f"row {at + 2}: {broken!r}" in message
    with pytest.raises(AssertionError, match="malformed row"):
        read_table(file, refuse)


@pytest.mark.parametrize(
    ("first", "taken"),
    [
        ("filename,value", True),
        ('"Bild","Wert in %"', True),
        ("image,", True),
        ("image,label 2", False),  # a digit: it may be an image's row
        ("image.name,value", False),
        ("1,7", False),
        (",value", False),
        ("there,value", False),  # a file of this name is there
    ],
)
def test_only_what_cannot_be_an_image_is_taken_for_a_header(tmp_path, first, taken):
    (tmp_path / "there").write_bytes(b"")
    file = tmp_path / "labels.csv"
    file.write_text(f"{first}\n1.png,7\n")
    problems = []
    values = read_table(file, problems.append)
    assert (len(values) + len(problems) == 1) == taken
    assert values["1.png"] == (2, "7")


def test_a_list_in_which_every_row_is_broken_is_told_row_by_row(tmp_path):
    file = tmp_path / "values.txt"
    file.write_text("filename;value\none\n\ntwo\n")
    problems = []
    with pytest.raises(UserError, match="the list is empty"):
        read_values(file, problems.append)
    assert [message.partition(": ")[0] for _, message in collected(problems)] == [
        f"{file}, row 2",
        f"{file}, row 4",
    ]


@modest
@given(st.lists(texts.filter(bool), min_size=1), ends)
def test_lines_are_those_of_an_editor(file, rows, end):
    file.write_bytes(end.join(rows).encode())
    # The first sign of a file that is U+FEFF is its byte order mark.
    rows[0] = rows[0].removeprefix("\ufeff").strip()
    wanted = [(number, row) for number, row in enumerate(rows, 1) if row]
    if wanted:
        assert lines(file) == wanted


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("1.jpg 1 2 3", "1.jpg"),
        ("1.jpg", "1.jpg"),
        ("1.jpg\t1\t2", "1.jpg"),
        ("my cell  1.jpg 4 5", "my cell  1.jpg"),
        ("my cell  1.jpg", "my cell  1.jpg"),
        ("my 4 5", "my"),  # the longest that has a value
        ("your cell.jpg 4", "your"),  # none has one
    ],
)
def test_the_name_at_the_begin_of_a_row(line, name):
    values = dict.fromkeys(("1.jpg", "my cell  1.jpg", "my"), (1, ""))
    assert name_in(line, values) == name
