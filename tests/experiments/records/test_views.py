"""The views that MLflow's pages offer: what they show is there to be shown."""

import json

from analysis.report import arms, read_chapters
from experiments.records.tracker import Tracker
from experiments.records.views import VIEW
from tests.analysis.test_report import four_runs, results


def views(tracker):
    """What each shows: its metrics and tags; and by what it is sorted."""
    experiment = tracker._client.get_experiment(tracker.experiment_id)
    for key, value in experiment.tags.items():
        if key.startswith(VIEW):
            view = json.loads(value)
            assert isinstance(view["createdAt"], int)
            assert key == VIEW + view["name"]
            yield view["name"], json.loads(view["state"])


def names(columns, kind):
    return {column[len(kind) + 2 : -1] for column in columns if column.startswith(f"{kind}.`")}


def test_a_new_store_has_a_view_of_arms_and_one_of_runs(tmp_path):
    found = dict(views(Tracker(tmp_path)))
    assert {name: state["searchFilter"] for name, state in found.items()} == {
        "arms": "tags.kind = 'arm'",
        "runs": "tags.kind = 'run'",
    }
    for state in found.values():
        assert state["orderByKey"] == state["selectedColumns"][0]
        assert state["orderByAsc"] is False


def test_their_columns_are_what_arms_and_runs_have(tmp_path, store):
    shown = {name: state["selectedColumns"] for name, state in views(Tracker(tmp_path))}
    of_arms = arms(read_chapters(results(four_runs())))
    assert names(shown["arms"], "metrics") <= set(of_arms.columns)
    assert {"exact_match", "low", "high"} <= names(shown["arms"], "metrics")
    for run in Tracker(store.out).finished_runs():
        assert names(shown["runs"], "metrics") <= set(run.data.metrics)
        assert names(shown["runs"], "tags") <= set(run.data.tags)
