"""Whether a report that lies there is the one that would be written now.

Beside its files stands `made_of.json`: a digest of what it was made of, what it answered, and a
digest of each of its files.
"""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import NamedTuple

import analysis
import experiments
from analysis.record import PRIMARY, digest, read_object
from experiments.files import write_whole
from experiments.records.claims import KIND as CLAIMS
from experiments.records.tracker import ARM, Tracker

_NAME = "made_of.json"


class Report(NamedTuple):
    """A report that was written: the lines that say what it found, and its files."""

    answers: list[str]
    files: list[Path]


def made_of(tracker: Tracker, data_digest: str) -> str:
    """A digest of all that a report depends on: the runs, the pictures' images, the code."""
    content = [_code(), _runs(tracker), data_digest]
    return hashlib.sha256("\n".join(content).encode()).hexdigest()


def note(folder: Path, key: str, report: Report, figures: list[Path]) -> None:
    """Write down what the report in the folder was made of (see `made_of`), and its figures."""
    held = {
        "made_of": key,
        "answers": report.answers,
        "files": {file.name: digest(file) for file in report.files},
        "figures": {file.relative_to(folder).as_posix(): digest(file) for file in figures},
    }
    write_whole(folder / _NAME, json.dumps(held, indent=1))


def up_to_date(folder: Path, key: str) -> Report | None:
    """The report in the folder; None where it was made of something else, or is not whole."""
    try:
        held = read_object(folder / _NAME)
    except (OSError, ValueError):
        return None
    answers, files, figures = held.get("answers"), held.get("files"), held.get("figures")
    if held.get("made_of") != key or not isinstance(answers, list):
        return None
    if not isinstance(files, dict) or not isinstance(figures, dict):
        return None
    parts = {**files, **figures}
    try:
        whole = all(digest(folder / name) == recorded for name, recorded in parts.items())
    except OSError:
        return None
    return Report(list(map(str, answers)), [folder / name for name in files]) if whole else None


def _runs(tracker: Tracker) -> str:
    """What there is to report on, as a text that changes with it.

    Of an ablation that is the comparison which its preset names: its report stands on its page.
    """
    known = {}
    for run in tracker.all_runs():
        tags = run.data.tags
        kind = tags.get("kind")
        if kind == "ablation":
            known[run.info.run_id] = [
                (tag, text)
                for tag, text in sorted(tags.items())
                if tag == "preset" or tag.startswith(f"{PRIMARY}.")
            ]
        elif kind not in (ARM, CLAIMS):
            said = sorted(tag for tag in tags.items() if tag[0] != "mlflow.note.content")
            known[run.info.run_id] = [run.info.status, run.info.end_time, *said]
    return json.dumps(known, sort_keys=True)


@cache
def _code() -> str:
    """A digest of the suite's own code: another version may write another report."""
    found = hashlib.sha256()
    for package in (analysis, experiments):
        for file in sorted(Path(str(package.__file__)).parent.rglob("*.py")):
            found.update(file.read_bytes())
    return found.hexdigest()
