"""Pictures for the report, which itself never reads a data set."""

from __future__ import annotations

from pathlib import Path

from analysis.sections.chapter import PictureOf
from experiments.data.audit.page import picture
from experiments.data.cells import read_cells
from experiments.data.images import data_digest
from experiments.data.synthetic.strings import strings_folder
from experiments.settings.config import RunConfig


def pictures(data: Path | None, out: Path) -> PictureOf | None:
    """Where the report gets its pictures; None where there is no data set.

    data: without it, the embedded strings where runs of `out` have made them.
    Raises UserError for a data set that cannot be read.
    """
    folder = data if data is not None else strings_folder(out / "data")
    if data is None and not folder.is_dir():
        return None
    # The charset holds for training; whatever a label is, its image can be shown.
    cells = read_cells(folder, RunConfig().charset, on_problem=lambda _: None)
    digest = data_digest(cells)
    rows = {(row.part, row.filename): row for row in cells.rows}

    def picture_of(of_digest: str, part: str, filename: str) -> bytes | None:
        row = rows.get((part, filename)) if of_digest == digest else None
        return picture(row, filename).content if row else None

    return picture_of
