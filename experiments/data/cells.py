"""The layouts of a data set: lists, labels and human readings, before any image is opened.

The published layout:

    cell_images/training_set_values.txt   filename;value, with a header row
    cell_images/training_set/             the images of these rows
    crnn_labels/train.txt, dev.txt        a row an image: its file name first, the rest is ignored
    crnn_labels/val.txt                   optional: a validation part of your own
    cell_images/validation_set/           optional: the images that people read
    output/human1.txt, human2.txt         optional: what two people read, filename;value
    output/output1.txt, output2.txt       optional: what a published model read

Or a folder with images and one .csv file of two columns, file name and value, separated by ',' or
';'. It has no lists: the split cuts its test part.

Nothing is ever written here.
"""

from __future__ import annotations

import os
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from experiments.data.lists import (
    OnProblem,
    Problem,
    in_another_form,
    lacks,
    lines,
    name_in,
    read_table,
    read_values,
    stop,
)
from experiments.errors import UserError

READERS = ("human1", "human2", "output1", "output2")
# Of these an image is in at most one; `labelled` are the images of a folder without lists.
LABELLED_PARTS = ("train", "val", "dev", "labelled")

_VALUES = "cell_images/training_set_values.txt"
_LABELLED = "cell_images/training_set"
_HUMAN = "cell_images/validation_set"
_LISTS = "crnn_labels"
_READINGS = "output"
_LONGEST_LABEL = 1000


@dataclass(frozen=True, slots=True)
class Row:
    """An image that a list names. Only those of the part human have no label."""

    part: str
    filename: str
    label: str | None
    folder: Path

    @property
    def path(self) -> Path:
        """Its file."""
        return self.folder / self.filename


@dataclass(frozen=True)
class Cells:
    """What a folder says, before any image is opened.

    rows: by part (train, val, dev or labelled, human) and file name, whatever the lists' order.
    readings: reader -> file name -> what that reader read in the human part.
    unlisted: labelled images that no list names; no run reads them, and none was checked.
    """

    name: str
    folder: Path
    rows: tuple[Row, ...]
    readings: dict[str, dict[str, str]]
    unlisted: tuple[Row, ...] = ()


def read_cells(
    folder: Path, charset: str, on_problem: OnProblem = stop, *, judges: bool = True
) -> Cells:
    """Read the lists of a data set.

    judges: whether to read the dev list and what people read. Without, neither is opened; a folder
    without lists has neither.
    on_problem: gets what is wrong with a row. Where it returns, the row is left out, unless its
    label is merely outside the charset.
    Raises UserError for a folder or list that cannot be read at all.
    """
    if not folder.is_dir():
        problem = "is no folder" if folder.exists() else "no such folder"
        raise UserError(f"{folder}: {problem}; set DATA (--data) to a data set")
    if (folder / _VALUES).exists() or (folder / _LISTS).exists():
        return _read_published(folder, charset, on_problem, judges)
    # Hidden ones are made by a system beside its files, and are no lists.
    tables = sorted(
        p for p in folder.iterdir() if p.suffix.lower() == ".csv" and not p.name.startswith(".")
    )
    if len(tables) != 1:
        found = " and ".join(p.name for p in tables[:2]) or "no .csv file"
        raise UserError(
            f"{folder}: {found} and no {_VALUES}; give it one .csv with file name and value, or "
            "the published layout (see experiments/data/README.md)"
        )
    return _read_table(folder, tables[0], charset, on_problem)


def _read_published(folder: Path, charset: str, on_problem: OnProblem, judges: bool) -> Cells:
    values = read_values(folder / _VALUES, on_problem)
    rows: list[Row] = []
    listed: dict[str, str] = {}
    for part in ("train", "val", "dev") if judges else ("train", "val"):
        file = folder / _LISTS / f"{part}.txt"
        # A link to nowhere is a list that is lost, not one that there never was.
        if part == "val" and not os.path.lexists(file):
            continue
        for number, line in lines(file):
            filename = name_in(line, values)
            where = f"{file}, row {number}: {filename}"
            if filename in listed:
                message = f"{where} is already in the {listed[filename]} list; keep one"
                on_problem(Problem("listed twice", message))
            elif filename not in values:
                way_out = in_another_form(filename, values) or f"add it to {folder / _VALUES}"
                message = f"{where} has no value; {way_out}"
                on_problem(Problem("no value", message))
            else:
                listed[filename] = part
                value_row, label = values[filename]
                row = Row(part, filename, label, folder / _LABELLED)
                if _usable(row, charset, f"{folder / _VALUES}, row {value_row}", on_problem):
                    rows.append(row)
    readings = {
        reader: {name: text for name, (_, text) in read_values(file, on_problem).items()}
        for reader in (READERS if judges else ())
        if os.path.lexists(file := folder / _READINGS / f"{reader}.txt")
    }
    for filename in sorted({name for by_name in readings.values() for name in by_name}):
        row = Row("human", filename, None, folder / _HUMAN)
        if _there(row, f"{folder / _READINGS}", on_problem):
            rows.append(row)
    unlisted = [
        Row("unlisted", filename, label, folder / _LABELLED)
        for filename, (_, label) in values.items()
        if judges and filename not in listed
    ]
    name = folder.resolve().name
    return Cells(name, folder, _ordered(rows), readings, _ordered(unlisted))


def _read_table(folder: Path, file: Path, charset: str, on_problem: OnProblem) -> Cells:
    """The folder of a .csv file; every image of it is labelled and in no list."""
    rows = [
        row
        for filename, (number, label) in read_table(file, on_problem).items()
        for row in [Row("labelled", filename, label, folder)]
        if _usable(row, charset, f"{file}, row {number}", on_problem)
    ]
    return Cells(folder.resolve().name, folder, _ordered(rows), {})


def _usable(row: Row, charset: str, where: str, on_problem: OnProblem) -> bool:
    label = row.label or ""
    place = f"{where}: {row.filename}"
    if not label:
        message = f"{place} has an empty label; add its value or remove it from the lists"
        on_problem(Problem("empty label", message))
        return False
    if len(label) > _LONGEST_LABEL:
        message = f"{place} has a label of {len(label)} characters, more than any cell; correct it"
        on_problem(Problem("label too long", message))
        return False
    if outside := [character for character in label if character not in charset]:
        message = (
            f"{place} has the label {label!r}, and {outside[0]!r} is not in the charset "
            f"{charset!r}; {_look_alike(outside[0], charset)}correct the label or set charset"
        )
        on_problem(Problem("outside charset", message))
    return _there(row, where, on_problem)


def _look_alike(character: str, charset: str) -> str:
    """Which character of the charset this one is easily taken for, both with their code points."""
    plain = _plain(character)
    for own in charset:
        if _plain(own) == plain:
            return f"it is {_code_point(character)}, type {own!r} ({_code_point(own)}) instead; "
    return "" if character.isascii() else f"it is {_code_point(character)}; "


def _plain(character: str) -> str:
    """A character without what only typography sees in it: any dash is a '-', any 1 a '1'."""
    if character == "\N{MINUS SIGN}" or unicodedata.category(character) == "Pd":
        return "-"
    digit = unicodedata.digit(character, None)
    # A comma is what a decimal point is in half of the world.
    return {",": "."}.get(unicodedata.normalize("NFKC", character), "") or (
        unicodedata.normalize("NFKC", character) if digit is None else str(digit)
    )


def _code_point(character: str) -> str:
    return f"U+{ord(character):04X} {unicodedata.name(character, '')}".rstrip()


def _there(row: Row, where: str, on_problem: OnProblem) -> bool:
    if ".." in Path(row.filename).parts or Path(row.filename).is_absolute():
        message = f"{where}: {row.filename} leads out of {row.folder}; keep images below it"
        on_problem(Problem("outside folder", message))
        return False
    if lacking := lacks(row.path):
        way_out = "add the image or remove its rows"
        if lacking == "absent" and row.path.parent.is_dir():
            names = (file.name for file in row.path.parent.iterdir())
            way_out = in_another_form(row.path.name, names) or way_out
        message = f"{row.path}: listed but {lacking}; {way_out}"
        on_problem(Problem("absent image", message))
    return not lacking


def _ordered(rows: list[Row]) -> tuple[Row, ...]:
    """By part, then by name: what depends on the order of images depends on no list's order."""
    parts = (*LABELLED_PARTS, "unlisted", "human")
    return tuple(sorted(rows, key=lambda row: (parts.index(row.part), _natural(row.filename))))


def _natural(filename: str) -> tuple[int, str]:
    return (len(filename), filename)
