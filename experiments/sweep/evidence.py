"""The finished runs of a preset, as tables that a text about them can be computed from again."""

from __future__ import annotations

from pathlib import Path

from analysis.evidence import evidence
from analysis.spreadsheets import as_csv
from analysis.tables.load import NoRunsError, load
from experiments.errors import UserError
from experiments.files import whole
from experiments.records.tracker import Tracker
from experiments.settings.older import completed
from experiments.settings.presets import load_preset
from experiments.shell import make
from experiments.sweep.ablation import planned_of


def write_evidence(
    preset: str, data: Path | None, out: Path, seeds: list[int] | None, folder: Path
) -> list[Path]:
    """Write NAME.csv and NAME_right.csv into a folder, for a preset of that name; both new files.

    Stages on other data are left out. Raises UserError.
    """
    name = Path(preset).stem
    runs, right = folder / f"{name}.csv", folder / f"{name}_right.csv"
    for file in (runs, right):
        if file.exists():
            raise UserError(f"{file}: exists already; move it, or name another folder")
    loaded = load_preset(preset)
    # Before data are made in `out`: it raises for a store that is none, or of another MLflow.
    Tracker(out, reading=True)
    planned, *_ = planned_of(loaded, seeds, data, out)
    way_out = f"make them with: {make('ablation', out, DATA=data, PRESET=preset)}"
    hashes = {one.run_hash for one in planned if one.data == "same"}
    try:
        found = evidence(load(out, completed), hashes)
    except NoRunsError as error:
        raise UserError(f"{error}; {way_out}") from error
    if found.runs.empty:
        raise UserError(f"{out}: no finished run of {name} on this data; {way_out}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise UserError(f"--output {folder}: is no folder; name one") from None
    for file, table in zip((runs, right), found, strict=True):
        with whole(file, replace=False) as making:
            making.write_text(as_csv(table), encoding="utf-8")
    return [runs, right]
