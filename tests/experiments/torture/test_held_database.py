"""Another program holds the database for 5, 30 and 90 s in a run: it is waited for."""

import sqlite3
import threading
import time

import pytest

from experiments.records.run_record import RunRecord
from experiments.records.tracker import Tracker


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [5, 30, 90])
def test_a_run_goes_on_behind_it(cli, store, tmp_path, monkeypatch, seconds):
    out, held = tmp_path / "out", []
    log_epoch = RunRecord.log_epoch

    def hold():
        database = sqlite3.connect(out / "mlflow.db", timeout=60, isolation_level=None)
        database.execute("begin exclusive")
        taken.set()
        time.sleep(seconds)
        database.execute("rollback")
        database.close()

    def first_held(self, *arguments):
        if not held:
            held.append(threading.Thread(target=hold))
            held[0].start()
            taken.wait()
        log_epoch(self, *arguments)

    taken = threading.Event()
    monkeypatch.setattr(RunRecord, "log_epoch", first_held)
    begun = time.monotonic()
    run = ("train", "--data", store.data, "--config", store.artifacts("columns") / "config.json")
    code, said, error = cli(*run, "--out", out)
    held[0].join()
    assert code == 0
    assert time.monotonic() - begun > seconds
    # MLflow itself waits for 20 s; then we say it, once.
    assert " ".join(error.split()).count("another program") == (1 if seconds > 20 else 0)
    assert "Traceback" not in error
    assert Tracker(out, reading=True).artifacts(said.split()[-1]) is not None
