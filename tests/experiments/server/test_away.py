"""Two machines on one ablation while the server, and its database, go away and come back."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from analysis.record import WEIGHTS, digest
from experiments.settings.config import run_config
from experiments.tracking import Tracker
from experiments.training.run import run

ROOT = Path(__file__).parents[3]
SMALL = {"epochs": 3, "batch_size": 8, "width_stride": 8, "hidden": 16}
SIZE = {"image.height": 32, "image.width": 80}
PRESET = """
seeds = 2
[run]
epochs = 3
batch_size = 8
width_stride = 8
hidden = 16
image = { height = 32, width = 80 }
[[grid]]
loss = ["ctc", "ce_stop"]
"""


def client(preset, data, out):
    """Another machine's ablation: a process with a folder of its own."""
    out.mkdir()
    command = [sys.executable, "-m", "experiments", "ablation", "--preset", str(preset)]
    command += ["--data", str(data), "--out", str(out), "--jobs", "1"]
    with (out / "said.txt").open("w") as said:
        return subprocess.Popen(
            command, cwd=ROOT, stdout=said, stderr=said, env=os.environ | {"OMP_NUM_THREADS": "1"}
        )


@pytest.mark.long
def test_two_machines_share_an_ablation_and_the_server_goes_away(
    server, database, tmp_path, make_cells, monkeypatch
):
    data = make_cells(train=24, dev=6, val=8, human=2)
    preset = tmp_path / "shared.toml"
    preset.write_text(PRESET, encoding="utf-8")
    outs = [tmp_path / "one", tmp_path / "two"]
    clients = [client(preset, data, out) for out in outs]
    try:
        begun = time.monotonic()
        while not list(tmp_path.glob("*/runs/*/checkpoint.safetensors")):
            assert time.monotonic() - begun < 600
            time.sleep(0.2)
        server.stop()
        time.sleep(60)
        server.start()
        database.stop()
        time.sleep(10)
        database.start()
        assert [one.wait(timeout=900) for one in clients] == [0, 0], [
            (out / "said.txt").read_text() for out in outs
        ]
    finally:
        for one in clients:
            one.kill()
    runs = Tracker(outs[0]).finished_runs()
    assert len(runs) == 4
    assert len({one.data.tags["run_hash"] for one in runs}) == 4
    assert len([r for r in Tracker(outs[0]).all_runs() if r.data.tags.get("kind") == "run"]) == 4
    for one in runs:
        epochs = Tracker(outs[0])._client.get_metric_history(
            one.info.run_id, "epoch/val.exact_match"
        )
        assert [metric.step for metric in epochs] == [0, 1, 2]
    # Each machine has made some, and each has a report of all.
    made = {out.name: len(list(out.glob("logs/*.log"))) for out in outs}
    assert all(made.values()), made
    for out in outs:
        assert (out / "report/report.md").is_file()
    said = "".join(file.read_text() for file in tmp_path.glob("*/logs/*.log"))
    said += "".join((out / "said.txt").read_text() for out in outs)
    assert "waiting for it" in said
    # The same bits as without any of it, below one folder.
    chosen = runs[0]
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    loss, seed = chosen.data.tags["loss"], int(chosen.data.tags["seed"])
    local = run(run_config(SMALL | {"loss": loss, "seed": seed}, SIZE), data, tmp_path / "local")
    file = tmp_path / "local/artifacts" / local / "artifacts" / WEIGHTS
    assert digest(file) in chosen.data.tags["digests"]
