"""The store under two writers at once, and what a record holds."""

import multiprocessing
import sqlite3
import time

import pytest
from mlflow import MlflowClient
from mlflow.entities import LoggedModelStatus

from experiments.errors import UserError
from experiments.records.tracker import Tracker

EPOCHS = 40


def write_a_run(out, number):
    """What a worker does, without the training: open the store, begin, log each epoch, end."""
    tracker = Tracker(out)
    record = tracker.start_run(f"run {number}", f"hash{number}", {"kind": "run"})
    record.log_params({f"key{i}": i for i in range(30)})
    for epoch in range(EPOCHS):
        record.log_epoch(epoch, {"train.loss": 1 / (epoch + 1), "val.exact_match": epoch / 40})
    record.end()


@pytest.mark.slow
def test_workers_at_once_lose_no_row(tmp_path):
    context = multiprocessing.get_context("spawn")
    # They race for the making of the database, too.
    workers = [context.Process(target=write_a_run, args=(tmp_path, n)) for n in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(timeout=120)
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    with sqlite3.connect(tmp_path / "mlflow.db") as database:
        count = "select count(*) from metrics where key = 'epoch/val.exact_match'"
        assert database.execute(count).fetchone() == (3 * EPOCHS,)
        assert database.execute("select count(*) from params").fetchone() == (3 * 30,)
        assert database.execute("pragma journal_mode").fetchone() == ("wal",)


def test_a_reader_does_not_hold_up_a_writer(tmp_path):
    tracker = Tracker(tmp_path)
    record = tracker.start_run("a run", "hash", {"kind": "run"})
    with sqlite3.connect(tmp_path / "mlflow.db", isolation_level=None) as reader:
        reader.execute("begin")
        reader.execute("select count(*) from metrics").fetchone()
        record.log_metrics({"val.exact_match": 0.5})
        reader.execute("rollback")
    record.end()


def test_a_long_description_is_cut_at_the_end_of_a_line(tmp_path):
    record = Tracker(tmp_path).start_parent("some", "key")
    lines = [f"| arm {number} | {'x' * 90} |" for number in range(200)]
    record.describe("\n".join(lines))
    kept = Tracker(tmp_path).tags(record.run_id)["mlflow.note.content"].splitlines()
    assert 50 < len(kept) < 200
    assert kept == lines[: len(kept)]
    record.describe("short")
    assert Tracker(tmp_path).tags(record.run_id)["mlflow.note.content"] == "short"


def test_an_unfinished_run_is_gone_on_with_and_epochs_are_logged_once(tmp_path):
    tracker = Tracker(tmp_path)
    history = [{"val.exact_match": 0.1}, {"val.exact_match": 0.2}, {"val.exact_match": 0.3}]
    first = tracker.start_run("a run", "hash", {"kind": "run"})
    for epoch in (0, 1):
        first.log_epoch(epoch, history[epoch])
    first.end("KILLED")
    assert tracker.finished("hash") is None

    second = tracker.start_run("a run", "hash", {"kind": "run"})
    assert second.run_id == first.run_id
    for epoch in (1, 2):  # the checkpoint may be one epoch behind
        second.log_epoch(epoch, history[epoch])
    logged = tracker._client.get_metric_history(second.run_id, "epoch/val.exact_match")
    assert sorted((m.step, m.value) for m in logged) == [(0, 0.1), (1, 0.2), (2, 0.3)]
    second.end()


FILES = {
    "config.json": "{}",
    "images.csv": "split,filename,group,clean,part,changed\n",
    "predictions.csv": "split,filename,truth,reading,confidence,label_loss\n",
}


def finished_run(out, run_hash="hash", files=FILES):
    """A finished run that left these files."""
    tracker = Tracker(out)
    with tracker.recording("a run", run_hash, {"kind": "run"}) as record:
        for name, text in files.items():
            (out / name).write_text(text)
            record.log_file(out / name)
    return record.run_id


def files_of(out, run_id):
    return out / "artifacts" / run_id / "artifacts"


def test_a_run_counts_once_it_has_its_predictions(tmp_path):
    tracker = Tracker(tmp_path)
    finished_run(tmp_path, files={"config.json": "{}"})
    assert tracker.finished("hash") is None
    assert tracker.finished_runs() == []
    whole = finished_run(tmp_path)
    assert tracker.finished("hash") == whole
    assert [run.info.run_id for run in tracker.finished_runs()] == [whole]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", ["gone", "emptied", "changed"])
def test_a_run_whose_files_are_not_whole_is_named_and_made_again(tmp_path, caplog, name, damage):
    tracker = Tracker(tmp_path)
    old = finished_run(tmp_path)
    file = files_of(tmp_path, old) / name
    if damage == "gone":
        file.unlink()
    else:
        file.write_text("" if damage == "emptied" else FILES[name].replace("{", "[") + " ")
    assert tracker.finished("hash") is None
    (said,) = caplog.messages
    assert said.startswith(f"{old}: finished, but {name} is ")
    with pytest.raises(UserError, match=f"{old}: {name} is .*; make it again"):
        tracker.artifacts(old)
    new = finished_run(tmp_path)
    assert new != old
    assert tracker.finished("hash") == new
    # Nothing is deleted; and the old one never comes back, even if its file does.
    assert tracker.tags(old)["replaced_by"] == new
    file.write_text(FILES[name])
    with pytest.raises(UserError, match=f"was made again as {new}"):
        tracker.artifacts(old)
    assert [run.info.run_id for run in tracker.finished_runs()] == [new]


def test_an_unknown_or_unfinished_run_has_no_artifacts(tmp_path):
    tracker = Tracker(tmp_path)
    assert tracker.artifacts("nope") is None
    assert tracker.artifacts("0123456789abcdef0123456789abcdef") is None
    record = tracker.start_run("a run", "hash", {"kind": "run"})
    assert tracker.artifacts(record.run_id) is None
    record.end("FAILED")


def test_the_environment_of_another_project_changes_nothing(tmp_path, monkeypatch):
    theirs = tmp_path / "theirs"
    kept = finished_run(theirs, "theirs")
    ours = tmp_path / "ours"
    first = finished_run(ours, "first")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{theirs / 'mlflow.db'}")
    monkeypatch.setenv("MLFLOW_REGISTRY_URI", f"sqlite:///{theirs / 'mlflow.db'}")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "theirs")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", "77")
    for steering in (first, kept, "0123456789abcdef0123456789abcdef"):
        monkeypatch.setenv("MLFLOW_RUN_ID", steering)
        made = finished_run(ours, f"beside {steering}")
        assert made not in (first, kept)
        Tracker(ours).start_parent("parent", steering).end()
    tracker = Tracker(ours)
    assert tracker.finished("first") == first
    assert len(tracker.finished_runs()) == 4
    assert [run.info.run_id for run in Tracker(theirs).finished_runs()] == [kept]


def test_a_moved_store_is_read_and_not_written(tmp_path):
    made = finished_run(tmp_path / "out")
    moved = (tmp_path / "out").rename(tmp_path / "moved")
    with pytest.raises(UserError, match=r"was made as .*/out.*set OUT"):
        Tracker(moved)
    reading = Tracker(moved, reading=True)
    assert reading.finished("hash") == made
    assert reading.artifacts(made) == files_of(moved, made)


def test_a_deleted_experiment_is_an_error_with_the_way_back(tmp_path):
    finished_run(tmp_path)
    tracker = Tracker(tmp_path)
    tracker._client.delete_experiment(tracker.experiment_id)
    for reading in (False, True):
        with pytest.raises(UserError, match=r"was deleted.*experiments restore --experiment-id 1"):
            Tracker(tmp_path, reading=reading)


def test_a_deleted_run_is_made_again(tmp_path):
    old = finished_run(tmp_path)
    tracker = Tracker(tmp_path)
    tracker._client.delete_run(old)
    assert tracker.finished("hash") is None
    assert finished_run(tmp_path) != old
    # What was chosen by its id, such as the champion, still reads.
    assert tracker.artifacts(old) == files_of(tmp_path, old)


def test_a_user_without_a_name_can_write(tmp_path, monkeypatch):
    def nobody():
        raise OSError("No username set in the environment")

    monkeypatch.setattr("getpass.getuser", nobody)
    made = finished_run(tmp_path)
    assert Tracker(tmp_path).tags(made)["mlflow.user"] == "unknown"


def test_reading_makes_nothing(tmp_path):
    with pytest.raises(UserError, match="make ablation"):
        Tracker(tmp_path / "gone", reading=True)
    assert not (tmp_path / "gone").exists()


def test_a_run_has_one_model_that_is_found_by_its_metrics_its_settings_and_its_data(tmp_path):
    tracker = Tracker(tmp_path)
    for number, right in enumerate((0.5, 0.9)):
        with tracker.recording("a run", f"hash{number}", {"kind": "run"}) as record:
            for _ in range(2):  # the second time it goes on, after a kill
                record.log_model(
                    "a-run", {"loss": f"loss{number}"}, {"val.exact_match": right}, ("cells", "d1")
                )
    client = MlflowClient(tracker.uri)

    def found(condition, digest="d1"):
        models = client.search_logged_models(
            [tracker.experiment_id],
            condition,
            datasets=[{"dataset_name": "cells", "dataset_digest": digest}],
        )
        return [(one.source_run_id, one.status) for one in models]

    assert found("metrics.`val.exact_match` > 0.8") == [(record.run_id, LoggedModelStatus.READY)]
    assert found("params.loss = 'loss1'") == [(record.run_id, LoggedModelStatus.READY)]
    assert found("metrics.`val.exact_match` > 0.8", "d2") == []
    # The run has its metrics as well.
    assert client.get_run(record.run_id).data.metrics == {"val.exact_match": 0.9}


@pytest.mark.slow
def test_the_load_of_the_machine_is_sampled_on_after_an_absence(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "0.05")
    answers, asked = MlflowClient.get_run, []

    def away_at_first(client, run_id):
        asked.append(run_id)
        if len(asked) < 4:
            raise ConnectionError
        return answers(client, run_id)

    record = Tracker(tmp_path).start_run("a run", "hash", {"kind": "run"})
    monkeypatch.setattr(MlflowClient, "get_run", away_at_first)
    begun = time.monotonic()
    while len(asked) < 8 and time.monotonic() - begun < 30:
        time.sleep(0.05)
    record.end()
    (run,) = Tracker(tmp_path).all_runs()
    assert any(key.startswith("system/") for key in run.data.metrics)


def test_of_two_commands_that_find_no_experiment_both_have_the_firsts(tmp_path, monkeypatch):
    first = Tracker(tmp_path)
    # The second had looked before the first made it.
    look, seen = MlflowClient.get_experiment_by_name, []

    def late(client, name):
        seen.append(name)
        return None if len(seen) == 1 else look(client, name)

    monkeypatch.setattr(MlflowClient, "get_experiment_by_name", late)
    assert Tracker(tmp_path).experiment_id == first.experiment_id
