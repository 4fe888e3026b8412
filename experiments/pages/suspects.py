"""The suspect labels of a data set as pages with pictures."""

from __future__ import annotations

from pathlib import Path

from analysis.findings.suspects import FIRST, Suspects, suspects
from analysis.page.page import Page, code
from analysis.place import place_of
from analysis.spreadsheets import as_csv
from analysis.tables.load import NoRunsError, load
from experiments.data.audit.page import picture
from experiments.data.cells import Row, read_cells
from experiments.data.decode import digest
from experiments.data.images import data_digest
from experiments.errors import UserError
from experiments.files import write_whole
from experiments.records.tracker import Tracker
from experiments.settings.config import RunConfig
from experiments.settings.older import completed
from experiments.shell import make

_SHOWN = 200


def write_suspects(folder: Path, out: Path, data: Path | None) -> list[Path]:
    """Write a page and a CSV for the k-fold runs of this data; returns the files.

    data: the folder as the user named it, if so. Runs whose labels were changed on purpose have
    files of their own. Raises UserError.
    """
    # The charset holds for training; whatever the label is, it can be doubted.
    cells = read_cells(folder, RunConfig().charset, on_problem=lambda _: None)
    way_out = f"make some with: {make('ablation', out, DATA=data, PRESET='suspects')}"
    if place_of(out).is_there():
        Tracker(out, reading=True)  # raises for a store that is damaged or of another MLflow
    try:
        ranked = suspects(load(out, completed), data_digest(cells))
    except NoRunsError as error:
        raise UserError(f"{error}; {way_out}") from error
    if not ranked:
        raise UserError(f"{out}: no finished run of split=kfold on {cells.name}; {way_out}")
    by_name = {(row.part, row.filename): row for row in cells.rows}
    written = []
    for found in ranked:
        name = f"suspects-noise-{found.noise:g}" if found.noise else "suspects"
        target = out / "suspects" / cells.name
        written += _page(cells.name, found, by_name).write(target, name)
        table = target / f"{name}.csv"
        rows = [by_name[str(row.part), str(row.filename)] for row in found.table.itertuples()]
        images = [digest(row.path.read_bytes()).hex() for row in rows]
        write_whole(table, as_csv(found.table.assign(image=images)))
        written.append(table)
    return written


def _page(dataset: str, found: Suspects, rows: dict[tuple[str, str], Row]) -> Page:
    table = found.table
    differ = int((table["label"] != table["reading"]).sum())
    page = Page(f"Suspect labels of {dataset}")
    page.text(
        f"**{differ:,} of {len(table):,} labels are not what was read there** by "
        f"{', '.join(map(code, found.arms))}, each on images that it had not learnt from. The most "
        "doubtful first: by the loss of the label for the arm that finds it the likeliest. A doubt "
        "is no proof: look before you change a label."
    )
    if found.missing:
        page.text(f"Not read yet: {'; '.join(map(code, found.missing))}.")
    if (share := found.found()) is not None:
        page.text(
            f"{int(table['changed'].sum())} labels ({found.noise:.1%}) were changed by one "
            f"character on purpose. **{share.estimate:.1%} of them stand in the first "
            f"{FIRST:.0%} of the list** (95% interval {share.low:.1%} to {share.high:.1%})."
        )
    shown = table.head(_SHOWN)
    page.text(f"The first {len(shown)}; the CSV has all. Runs: {', '.join(map(code, found.runs))}.")
    page.pictures(
        [
            picture(
                rows[str(row.part), str(row.filename)],
                f"{place}. {row.part} {row.filename}: label {row.label}, read {row.reading} "
                f"({row.doubt:.2f})" + (", changed on purpose" if row.changed else ""),
            )
            for place, row in enumerate(shown.itertuples(), 1)
        ]
    )
    return page
