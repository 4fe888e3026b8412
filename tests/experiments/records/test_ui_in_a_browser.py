"""MLflow's own pages of a store, in a browser."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from analysis.record import EXPERIMENT
from experiments.records.tracker import Tracker

ROOT = Path(__file__).parents[3]
BROWSER = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "chrome"))), None)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="no chromium to open the pages with"),
]


@pytest.fixture(scope="module")
def address(store, tmp_path_factory):
    """MLflow's server of two finished runs, as `make ui` starts it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = (tmp_path_factory.mktemp("ui") / "log").open("wb")
    server = subprocess.Popen(
        [
            *(sys.executable, "-m", "experiments", "ui", "--port", str(port)),
            *("--out", str(store.out)),
        ],
        cwd=ROOT,
        stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip
    try:
        for _ in range(240):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).close()
                break
            except OSError:
                time.sleep(0.5)
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait()
        log.close()


def page(address, tmp_path):
    """What a browser makes of a page once its scripts have run."""
    done = subprocess.run(
        [
            BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--window-size=1600,1000",
            f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=30000",
            "--dump-dom", address,
        ],
        capture_output=True, text=True, timeout=180, check=True,
    )  # fmt: skip
    return done.stdout


def test_the_experiment_lists_the_runs_and_a_run_has_its_curves(address, store, tmp_path):
    experiment = Tracker(store.out).experiment_id
    runs = page(f"{address}/#/experiments/{experiment}/runs", tmp_path)
    assert EXPERIMENT in runs
    for name in ("ctc-columns-small_cnn-affine-0", "ce_stop-latent_lstm-small_cnn-affine-0"):
        assert name in runs
    # Metrics are columns where a view says so; see experiments.records.ui.
    column = 'col-id="metrics.`val.exact_match`"'
    assert column not in runs
    view = f"{address}/#/experiments/{experiment}/runs?viewStateShareKey=runs"
    assert column in page(f"{view}&workflowType=machine_learning", tmp_path)
    run = f"{address}/#/experiments/{experiment}/runs/{store.runs['columns']}"
    assert "epoch/val.exact_match" in page(run, tmp_path)
    # The curves are drawn when they come into view; the section that holds them is there.
    assert re.search(r">\s*epoch\b", page(f"{run}/model-metrics", tmp_path))
    artifacts = page(f"{run}/artifacts", tmp_path)
    for name in ("config.json", "predictions.csv", "weights.safetensors"):
        assert name in artifacts
