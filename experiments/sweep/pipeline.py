"""From a preset to the report."""

from __future__ import annotations

import sys
from pathlib import Path

from analysis.report import Written, write_report
from analysis.tables.load import NoRunsError
from experiments.errors import UserError
from experiments.pages.pictures import pictures
from experiments.settings.older import completed
from experiments.settings.presets import load_preset
from experiments.sweep.ablation import ablation
from experiments.tracking import Tracker


def ablation_and_report(
    preset: str, data: Path | None, out: Path, seeds: list[int] | None, jobs: int | None
) -> bool:
    """Make every run of the preset that is not finished yet, then the report; whether all did well.

    preset: a name or a file. Else as for `ablation`. Raises UserError.
    """
    outcome, parent = ablation(Path(preset).stem, load_preset(preset), data, out, seeds, jobs)
    print(f"{len(outcome.made)} made, {outcome.skipped} finished before", end="")
    print(f", {len(outcome.failed)} failed" if outcome.failed else "")
    for run in outcome.failed:
        print(f"failed: {run.name}: {run.last_line()}; see {run.log}", file=sys.stderr)
    try:
        if outcome.made or outcome.skipped:
            written = report(data, out)
            for file in written.files:
                parent.log_file(file)
            parent.describe(written.summary)
    finally:
        parent.end("FAILED" if outcome.failed else "FINISHED")
    return not outcome.failed


def report(data: Path | None, out: Path) -> Written:
    """Write the report of what MLflow holds. Raises UserError without runs.

    data: the data set of the runs, for pictures of their mistakes.
    """
    # Raises for a store that is none, damaged or of another MLflow.
    tracker = Tracker(out, reading=True)
    picture_of = pictures(data, out)
    try:
        written = write_report(out, out / "report", picture_of, completed)
    except NoRunsError as error:
        raise UserError(f"{error}; make some with: make ablation") from error
    tracker.count_report()
    for answer in written.answers:
        print(answer)
    for file in written.files:
        print(file)
    return written
