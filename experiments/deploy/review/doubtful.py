"""What a person is asked about: readings that were rejected, and labels that are doubted."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from experiments.data.cells import read_cells
from experiments.data.decode import digest
from experiments.deploy.reading.predict import ImageReader, names_of, predict
from experiments.errors import UserError
from experiments.settings.config import RunConfig
from experiments.shell import make

_SUSPECTS = "suspects.csv"


class Doubtful(NamedTuple):
    """An image; what is to be confirmed or corrected; and why it is asked, in a few words."""

    image: Path
    value: str
    why: str


def rejected(
    reader: ImageReader, files: Sequence[Path], lowest: float | None, broken: list[str]
) -> list[Doubtful]:
    """The images whose reading is rejected, the least sure first; all of them without a bound.

    lowest: the confidence below which a reading is rejected. broken: gets the reason for each file
    that is no readable image.
    """
    by_name = dict(zip(names_of(files), files, strict=True))
    by_confidence: list[tuple[float, Doubtful]] = []
    for row in predict(reader, files, lowest, broken.append):
        if row.rejected or row.rejected is None:
            sure = float(row.confidence)
            why = f"read {row.value or 'nothing'} with {sure:.1%}"
            by_confidence.append((sure, Doubtful(by_name[row.filename], row.value, why)))
    return [doubt for _, doubt in sorted(by_confidence, key=lambda pair: pair[0])]


def doubted(data: Path, out: Path) -> list[Doubtful]:
    """The labels of a data set that are not what was read there, the most doubtful first.

    Raises UserError where `suspects` has not been asked yet.
    """
    cells = read_cells(data, RunConfig().charset, on_problem=lambda _: None)
    table = out / "suspects" / cells.name / _SUSPECTS
    if not table.is_file():
        raise UserError(f"{table}: no such file; make it with: {make('suspects', out, DATA=data)}")
    by_name = {(row.part, row.filename): row for row in cells.rows}
    found = []
    with table.open(encoding="utf-8", newline="") as file:
        for listed in csv.DictReader(file):
            # As a spreadsheet got them: see analysis/spreadsheets.py.
            name, reading = listed["filename"].removeprefix("./"), listed["reading"].lstrip("'")
            row = by_name.get((listed["part"], name))
            if row is None or row.label is None:
                raise UserError(f"{table}: {name} is not in {data}; delete it and make it again")
            if row.label != reading:
                # A label may have been corrected since; another folder may have the same names.
                if listed.get("image") != digest(row.path.read_bytes()).hex():
                    raise UserError(
                        f"{table}: is of other images than {data}, or of an earlier version; "
                        "make it with: "
                        f"{make('suspects', out, DATA=data)}"
                    )
                why = f"the label is {row.label}, read was {reading or 'nothing'}"
                found.append(Doubtful(row.path, row.label, why))
    return found
