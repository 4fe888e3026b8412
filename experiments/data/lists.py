"""Text lists as files: their rows, and what is wrong with one."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from experiments.errors import UserError


@dataclass(frozen=True)
class Problem:
    """Something that is wrong with one row or image. message: one line, with the way out."""

    kind: str
    message: str


OnProblem = Callable[[Problem], None]


def stop(problem: Problem) -> None:
    """What a run does at the first problem."""
    raise UserError(f"{problem.message} (make audit lists every such row)")


def is_file(path: Path) -> bool:
    """Also false for a name that no file can have."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def read_table(file: Path, on_problem: OnProblem) -> dict[str, tuple[int, str]]:
    """Two columns, with or without a header, quoted where need be -> as read_values."""
    rows = lines(file)
    first = rows[0][1]
    # The delimiter is whichever of the two comes first.
    places = [(at, mark) for mark in ",;" if (at := first.find(mark)) >= 0]
    if not places:
        raise UserError(f"{file}, row {rows[0][0]}: {first!r} has one column; write filename,value")
    values: dict[str, tuple[int, str]] = {}
    for (number, line), fields in zip(rows, _fields(rows, min(places)[1], file), strict=True):
        where = f"{file}, row {number}"
        filename, label = (field.strip() for field in (*fields, "", "")[:2])
        # A header names no file: no suffix, and no file of that name.
        if number == rows[0][0] and "." not in filename and not is_file(file.parent / filename):
            continue
        if len(fields) != 2 or not filename:
            message = f"{where}: {line!r} is not file name and value; correct it"
            on_problem(Problem("malformed row", message))
        elif filename not in values:
            values[filename] = (number, label)
        elif values[filename][1] != label:
            on_problem(_two_values(where, filename, values[filename][0]))
    if not values:
        raise UserError(f"{file}: the list is empty; add at least one image")
    return values


def _fields(rows: list[tuple[int, str]], delimiter: str, file: Path) -> Iterator[list[str]]:
    """The fields of each row. A row is a line: a quote that stays open is no longer row."""
    for number, line in rows:
        try:
            yield next(csv.reader([line], delimiter=delimiter, strict=True))
        except csv.Error as error:
            raise UserError(f"{file}, row {number}: {error}; correct the row") from error


def read_values(file: Path, on_problem: OnProblem) -> dict[str, tuple[int, str]]:
    """filename;value rows behind a header -> file name -> (row number, value)."""
    (header_row, header), *rows = lines(file)
    # A list without its header would lose its first image.
    if header.lower() != "filename;value":
        raise UserError(
            f"{file}, row {header_row}: {header!r} is no header; put filename;value first"
        )
    if not rows:
        raise UserError(f"{file}: the list is empty; add at least one image")
    values: dict[str, tuple[int, str]] = {}
    for number, line in rows:
        filename, separator, value = line.partition(";")
        where = f"{file}, row {number}"
        if not separator or not filename:
            message = f"{where}: {line!r} is not filename;value; correct it"
            on_problem(Problem("malformed row", message))
        elif filename not in values:
            values[filename] = (number, value)
        elif values[filename][1] != value:
            on_problem(_two_values(where, filename, values[filename][0]))
    return values


def _two_values(where: str, filename: str, first_row: int) -> Problem:
    message = f"{where}: {filename} has a second value, unlike that of row {first_row}; keep one"
    return Problem("two values", message)


def name_in(line: str, values: dict[str, tuple[int, str]]) -> str:
    """The file name at the begin of a list's row: the longest that has a value, spaces and all."""
    name = line
    while name not in values and " " in name:
        name = name.rpartition(" ")[0].rstrip()
    # Where none has a value, the name is what stands before the classes.
    return name if name in values else line.partition(" ")[0]


def lines(file: Path) -> list[tuple[int, str]]:
    """The rows that are not blank, stripped, with their numbers as an editor counts them."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise UserError(f"{file}: no such file; the README shows the layout") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file}: cannot be read as UTF-8 text ({error}); save it so") from error
    if "\0" in text:
        raise UserError(f"{file}: holds zero bytes and is no UTF-8 text; save it as UTF-8")
    # Line ends alone part rows; str.splitlines would also part at rarer characters in a label.
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    rows = [(i, row) for i, line in enumerate(text.split("\n"), 1) if (row := line.strip())]
    if not rows:
        raise UserError(f"{file}: the list is empty; add at least one image")
    return rows
