"""A report stands as long as it is of what there is, and as it was written."""

import json

import pytest

from analysis.record import REPLACED
from experiments.records.tracker import Tracker
from experiments.sweep import up_to_date as module
from experiments.sweep.up_to_date import Report, made_of, note, up_to_date


@pytest.fixture
def noted(tmp_path):
    files = [tmp_path / "report.html", tmp_path / "runs.csv"]
    figures = [tmp_path / "figures" / "errors.png"]
    figures[0].parent.mkdir()
    for file in (*files, *figures):
        file.write_text(file.name)
    note(tmp_path, "key", Report(["an answer"], files), figures)
    return tmp_path


def test_what_was_written_stands(noted):
    found = up_to_date(noted, "key")
    assert found == Report(["an answer"], [noted / "report.html", noted / "runs.csv"])


@pytest.mark.parametrize(
    "damage",
    [
        *("another", "gone", "edited", "note gone", "note cut", "a list"),
        *("a figure gone", "a figure edited"),
    ],
)
def test_anything_else_does_not(noted, damage):
    key = "key"
    beside = noted / "made_of.json"
    match damage:
        case "another":
            key = "another"
        case "gone":
            (noted / "runs.csv").unlink()
        case "edited":
            (noted / "report.html").write_text("report.htm")
        case "a figure gone":
            (noted / "figures/errors.png").unlink()
        case "a figure edited":
            (noted / "figures/errors.png").write_text("another")
        case "note gone":
            beside.unlink()
        case "note cut":
            beside.write_text(beside.read_text()[:-9])
        case "a list":
            beside.write_text(json.dumps([beside.read_text()]))
    assert up_to_date(noted, key) is None


def test_it_was_made_of_runs_images_and_code(tmp_path, monkeypatch):
    tracker = Tracker(tmp_path)
    known = [made_of(tracker, "data")]

    def new():
        """Whether it is another one than ever before."""
        key = made_of(tracker, "data")
        known.append(key)
        return known.count(key) == 1

    # The page of an ablation has the report itself, and each start of it ends anew.
    parent = tracker.start_parent("quick", "key")
    assert new()
    parent.describe("what was found")
    parent.log_metrics({"runs.finished": 1.0})
    parent.end("FAILED")
    assert not new()
    parent.set_tags({"primary.1": "{}"})
    assert new()

    run = tracker.start_run("a run", "hash", {"kind": "run"})
    assert new()
    run.describe("its command")
    assert not new()
    run.end()
    assert new()
    run.set_tags({REPLACED: "another"})
    assert new()

    tracker.count_report()
    assert not new()
    assert made_of(tracker, "other data") not in known
    monkeypatch.setattr(module, "_code", lambda: "another version")
    assert new()
