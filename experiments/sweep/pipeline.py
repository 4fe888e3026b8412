"""From a preset to its runs, to those read together where it asks for that, to the report."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.errors import UserError
from experiments.records.run_record import RunRecord
from experiments.records.tracker import Tracker
from experiments.settings.older import completed
from experiments.settings.presets import load_preset
from experiments.sweep.ablation import ablation
from experiments.sweep.arm_records import record_arms
from experiments.sweep.engines.runner import Runner
from experiments.sweep.up_to_date import Report, made_of, note, up_to_date

if TYPE_CHECKING:
    from analysis.report import Written


def ablation_and_report(
    preset: str,
    data: Path | None,
    out: Path,
    runner: Runner,
    seeds: list[int] | None,
    jobs: int | None,
) -> bool:
    """Make what is not finished yet of a preset, then the report; whether all did well.

    That is its runs and, if it says so and all of them are finished, its ensembles.

    Where nothing was made and a report of the same runs lies there, that one stands.
    preset: a name or a file. Else as for `ablation`. Raises UserError.
    """
    name, loaded = Path(preset).stem, load_preset(preset)
    outcome, parent = ablation(name, loaded, data, out, runner, seeds, jobs)
    print(f"{len(outcome.made)} made, {outcome.skipped} finished before", end="")
    print(f", {len(outcome.failed)} failed" if outcome.failed else "")
    for run in outcome.failed:
        print(f"failed: {run.name}: {run.last_line()}; see {run.log}", file=sys.stderr)
    well = False
    try:
        # One run by itself, of a preset for several (SEEDS), is no ensemble.
        if loaded.read_together and not outcome.failed and len(loaded.points(seeds)) > 1:
            # Here: it takes torch.
            from experiments.sweep.ensembles import ensembles

            for what, run_id in ensembles(preset, data, out, seeds, views=1):
                print(f"{run_id}  {what}")
        if outcome.made or outcome.skipped:
            key = made_of(Tracker(out, reading=True), outcome.data_digest)
            stands = None if outcome.made else up_to_date(out / "report", key)
            if stands is None:
                _report_on(parent, data, out, key)
            else:
                _print(stands)
        well = not outcome.failed
    finally:
        parent.end("FINISHED" if well else "FAILED")
    return well


def report(data: Path | None, out: Path) -> Written:
    """Write the report of what MLflow holds. Raises UserError without runs.

    data: the data set of the runs, for pictures of their mistakes.
    """
    # Here: they are half of the time of an ablation that finds nothing to do.
    from analysis.report import write_report
    from analysis.tables.load import NoRunsError
    from experiments.pages.pictures import pictures

    # Raises for a store that is none, damaged or of another MLflow.
    tracker = Tracker(out, reading=True)
    picture_of = pictures(data, out)
    try:
        written = write_report(out, out / "report", picture_of, completed)
    except NoRunsError as error:
        raise UserError(f"{error}; make some with: make ablation") from error
    tracker.count_report()
    _print(Report(written.answers, written.files))
    return written


def _report_on(parent: RunRecord, data: Path | None, out: Path, key: str) -> None:
    """Write the report, also into the page of the ablation's run; `key` as of `made_of`."""
    written = report(data, out)
    for file in written.files:
        parent.log_file(file)
    parent.describe(written.summary)
    record_arms(written.arms, Tracker(out))
    note(out / "report", key, Report(written.answers, written.files), written.figures)


def _print(found: Report) -> None:
    for line in (*found.answers, *found.files):
        print(line)
