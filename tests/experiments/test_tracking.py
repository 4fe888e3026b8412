"""The store under two writers at once, and what a record holds."""

import multiprocessing
import sqlite3

import pytest

from experiments.tracking import Tracker

EPOCHS = 40


def write_a_run(out, number):
    """What a worker does, without the training: open the store, begin, log each epoch, end."""
    tracker = Tracker(out)
    record = tracker.start_run(f"run {number}", f"hash{number}", {"kind": "run"})
    record.log_params({f"key{i}": i for i in range(30)})
    for epoch in range(EPOCHS):
        record.log_epoch(epoch, {"train.loss": 1 / (epoch + 1), "val.exact_match": epoch / 40})
    record.end()


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


@pytest.mark.parametrize(("predictions", "counts"), [(False, False), (True, True)])
def test_a_run_counts_once_it_has_its_predictions(tmp_path, predictions, counts):
    tracker = Tracker(tmp_path / "out")
    record = tracker.start_run("a run", "hash", {"kind": "run"})
    if predictions:
        file = tmp_path / "predictions.csv"
        file.write_text("split,filename,truth,reading,confidence\n")
        record.log_file(file)
    record.end()
    assert tracker.finished("hash") == (record.run_id if counts else None)
