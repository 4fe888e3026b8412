"""Text lists as files: their rows, and what is wrong with one."""

from __future__ import annotations

import csv
import re
import reprlib
import stat
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from experiments.errors import UserError
from experiments.limits import refuse_long

# No system takes a longer name; a row of a million words is looked at no further.
_LONGEST_NAME = 4096
_QUOTED = re.compile('"(?:[^"]|"")*"')

# file name -> (row number, value)
Values = dict[str, tuple[int, str]]

_shortened = reprlib.Repr()
_shortened.maxstring = 80


@dataclass(frozen=True)
class Problem:
    """Something that is wrong with one row or image. message: one line, with the way out."""

    kind: str
    message: str


OnProblem = Callable[[Problem], None]


def stop(problem: Problem) -> None:
    """What a run does at the first problem."""
    raise UserError(f"{problem.message} (make audit lists every such row)")


def lacks(path: Path) -> str:
    """Why there is no file to read here, as "absent"; empty where there is one.

    A pipe or a device is none: to read one could wait for ever.
    """
    try:
        return "" if stat.S_ISREG(path.stat().st_mode) else "no file"
    except FileNotFoundError:
        return "absent"
    except (OSError, ValueError) as error:  # links in a circle, a name that no file can have
        return f"not to be opened ({getattr(error, 'strerror', None) or error})"


def in_another_form(name: str, names: Iterable[str]) -> str:
    """What to do where a name that is not among these is there in another form of Unicode.

    Empty where it is not. An accent is a character of its own on some systems and part of its
    letter on others: the two names look the same, and are not.
    """
    if name.isascii():
        return ""
    composed = unicodedata.normalize("NFC", name)
    twin = next((n for n in names if unicodedata.normalize("NFC", n) == composed), None)
    if twin is None:
        return ""
    return (
        f"the same name in another Unicode form is there, {twin!a} in place of "
        f"{name!a}; write one as the other"
    )


def read_table(file: Path, on_problem: OnProblem) -> Values:
    """Two columns, with or without a header, quoted where need be."""
    rows = lines(file)
    rows = rows[_hint(rows) :]
    number, first = rows[0]
    # The delimiter is whichever of the two comes first, outside of quotes.
    delimiter = re.search("[,;]", _QUOTED.sub("", first))
    if delimiter is None:
        raise UserError(f"{file}, row {number}: {first!r} has one column; write filename,value")
    pairs = [(number, line, _pair(line, delimiter[0])) for number, line in rows]
    if _is_header(pairs[0][2], file.parent):
        del pairs[0]
    return _gather(file, pairs, f"filename{delimiter[0]}value", on_problem)


def _hint(rows: list[tuple[int, str]]) -> int:
    """How many rows stand before the header: 1 for the sep=; of a spreadsheet, where more follow.

    The rows themselves show the separator.
    """
    return int(len(rows) > 1 and re.fullmatch("sep=[,;]", rows[0][1], re.IGNORECASE) is not None)


def _pair(line: str, delimiter: str) -> tuple[str, str] | None:
    """A row's two fields; None for another number. A row is a line: a quote must end in it."""
    try:
        fields = next(csv.reader([line], delimiter=delimiter, strict=True))
    except csv.Error:
        return None
    return (fields[0].strip(), fields[1].strip()) if len(fields) == 2 else None


def _is_header(pair: tuple[str, str] | None, folder: Path) -> bool:
    """It names no file and has no number: taken for one, an image's row would be lost."""
    if pair is None:
        return False
    name, value = pair
    named = "." in name or not name or not lacks(folder / name)
    return not named and not any(character.isdigit() for character in value)


def read_values(file: Path, on_problem: OnProblem) -> Values:
    """filename;value rows behind a header."""
    rows = lines(file)
    (header_row, header), *rows = rows[_hint(rows) :]
    # A list without its header would lose its first image.
    if header.lower().replace('"', "") != "filename;value":
        raise UserError(
            f"{file}, row {header_row}: {_shortened.repr(header)} is no header; put filename;value "
            "first"
        )
    pairs = [(number, line, _published_pair(line)) for number, line in rows]
    return _gather(file, pairs, "filename;value", on_problem)


def _published_pair(line: str) -> tuple[str, str] | None:
    """A row's name, and all behind the first ';'. A program may have put quotes around either."""
    if (line.startswith('"') or line.endswith('"')) and (quoted := _pair(line, ";")):
        return quoted
    name, separator, value = line.partition(";")
    return (name.rstrip(), value.lstrip()) if separator else None


def _gather(
    file: Path,
    pairs: Iterable[tuple[int, str, tuple[str, str] | None]],
    layout: str,
    on_problem: OnProblem,
) -> Values:
    """pairs: row number, the whole row, and its name and value where it has both."""
    values: Values = {}
    for number, line, pair in pairs:
        where = f"{file}, row {number}"
        filename, value = pair or ("", "")
        if not filename:
            message = f"{where}: {_shortened.repr(line)} is not {layout}; correct it"
            on_problem(Problem("malformed row", message))
        elif filename not in values:
            values[filename] = (number, value)
        elif values[filename][1] != value:
            first_row = values[filename][0]
            message = f"{where}: {filename} has a second value, unlike that of row {first_row}"
            on_problem(Problem("two values", f"{message}; keep one"))
    if not values:
        raise UserError(f"{file}: the list is empty; add at least one image")
    return values


def name_in(line: str, values: Values) -> str:
    """The file name at the begin of a list's row: the longest that has a value, spaces and all.

    Quotes around it are no part of it, unless the name with them has a value.
    """
    quoted = re.match('"([^"]+)"', line)
    if quoted and quoted[0] not in values and quoted[1] in values:
        return quoted[1]
    name = line[:_LONGEST_NAME]
    while name not in values and len(parts := name.rsplit(maxsplit=1)) == 2:
        name = parts[0]
    # Where none has a value, `name` has become what stands before the classes.
    return name


def lines(file: Path) -> list[tuple[int, str]]:
    """The rows that are not blank, stripped, with their numbers as an editor counts them."""
    if (lacking := lacks(file)) == "absent":
        raise UserError(f"{file}: no such file; experiments/data/README.md shows the layout")
    if lacking:
        raise UserError(f"{file}: {lacking}; put the list there")
    try:
        refuse_long(file)
        content = file.read_bytes()
    except OSError as error:
        raise UserError(f"{file}: cannot be read ({error.strerror}); make it readable") from error
    # Line ends alone part rows; str.splitlines would also part at rarer characters in a label.
    content = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        number = error.object.count(b"\n", 0, error.start) + 1
        raise UserError(f"{file}, row {number}: is no UTF-8 text; save the list as UTF-8") from None
    if (zero := text.find("\0")) >= 0:
        number = text.count("\n", 0, zero) + 1
        raise UserError(f"{file}, row {number}: holds a zero byte; save the list as UTF-8 text")
    rows = [(i, row) for i, line in enumerate(text.split("\n"), 1) if (row := line.strip())]
    if not rows:
        raise UserError(f"{file}: the list is empty; add at least one image")
    return rows
