"""An ablation whose tracking server, or its database, goes away in the middle, and comes back.

AWAY in the environment is for how many seconds.
"""

from __future__ import annotations

import os
import time
from contextlib import contextmanager

import pytest

from experiments.records.tracker import Tracker
from tests.bench import Bench, found, trained_since

pytestmark = pytest.mark.long

AWAY = float(os.environ.get("AWAY", "8"))
# A server that hangs is given up after so many seconds, in place of MLflow's two minutes.
PATIENCE = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "3"}


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    return Bench("ablation", tmp_path_factory.mktemp("bench"))


@pytest.fixture(scope="module")
def undisturbed(bench):
    """What an ablation leaves in a store of this machine. Made before a server is named."""
    out = bench.folder / "whole"
    bench.finish(out)
    return left_by(out)


def left_by(out):
    """Files, settings and curves of all runs, and how many there are of each kind."""
    tracker = Tracker(out)
    runs = tracker.all_runs()
    kinds = sorted(run.data.tags["kind"] for run in runs if run.data.tags["kind"] != "claims")
    curves = {
        (run.data.tags["run_hash"], key): [
            (one.step, one.value)
            for one in tracker._client.get_metric_history(run.info.run_id, key)
        ]
        for run in runs
        for key in run.data.metrics
        if "run_hash" in run.data.tags and key.startswith("epoch/") and "seconds" not in key
    }
    settings = {
        run.data.tags["run_hash"]: run.data.params for run in runs if "run_hash" in run.data.tags
    }
    return {"files": found(out), "kinds": kinds, "settings": settings, "curves": curves}


@contextmanager
def killed(server, _database):
    server.stop()
    yield
    server.start()


@contextmanager
def hanging(server, _database):
    server.pause()
    yield
    server.go_on()


@contextmanager
def without_database(_server, database):
    database.stop()
    yield
    database.start()


@pytest.mark.parametrize(
    ("away", "line"),
    [
        (killed, "cannot be reached"),
        (hanging, "does not answer in time"),
        (without_database, "answers that it cannot for now"),
    ],
)
def test_nothing_is_lost_or_made_twice(away, line, bench, undisturbed, server, database, tmp_path):
    out = bench.folder / tmp_path.name
    process = bench.start(out, **PATIENCE)
    while not trained_since(0, out):
        assert process.poll() is None, bench.said(out)
        time.sleep(0.05)
    with away(server, database):
        time.sleep(AWAY)
        assert process.poll() is None, bench.said(out)
    assert process.wait() == 0, bench.said(out)
    assert left_by(out) == undisturbed
    logs = [
        file.read_text() for file in (*out.glob("logs/*.log"), bench.folder / f"{out.name}.log")
    ]
    said = [text.count(f"{line}; waiting for it") for text in logs]
    assert max(said) == 1, logs
