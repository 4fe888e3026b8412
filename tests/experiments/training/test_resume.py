"""A run killed at any moment and started again ends as one that was never killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from safetensors.numpy import load_file

from experiments.data.synthetic.strings import ensure_strings
from experiments.records.tracker import Tracker
from experiments.settings.presets import load_run
from experiments.training.run import run

ROOT = Path(__file__).parents[3]
EPOCHS = 4


def command(data: Path, out: Path, *settings: str) -> list[str]:
    sets = [part for setting in (f"epochs={EPOCHS}", *settings) for part in ("--set", setting)]
    return [
        *(sys.executable, "-m", "experiments", "train", "--preset", "smoke", "--threads", "1"),
        *("--data", str(data), "--out", str(out), *sets),
    ]


def kill_after_epoch(epoch: int, data: Path, out: Path, *settings: str) -> None:
    """SIGKILL a run as soon as it says that it has finished this epoch."""
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command(data, out, *settings), cwd=ROOT, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith(f"epoch {epoch}/"):
                time.sleep(0.3)  # somewhere in the next epoch or at the writing of the checkpoint
                process.send_signal(signal.SIGKILL)
                break
        process.stdout.read()
    assert process.returncode == -signal.SIGKILL


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param(["loss=ctc"], id="ctc-adamw", marks=pytest.mark.slow),
        pytest.param(["loss=ce_stop", "ema=0.9"], id="ce_stop-ema", marks=pytest.mark.long),
        pytest.param(
            ["loss=ce_stop", "decoder=latent_lstm", "optimizer={name='sgd_cyclic', cycles=2}"],
            id="latent_lstm-sgd_cyclic",
            marks=pytest.mark.long,
        ),
    ],
)
def test_a_killed_run_ends_with_the_same_weights_bit_for_bit(tmp_path, capsys, settings):
    data = ensure_strings(tmp_path, counts={"train": 640, "val": 64, "dev": 64})
    config = load_run("smoke", overrides=[f"epochs={EPOCHS}", *settings])
    # What is killed is a process of its own; with one thread as well this one computes the same.
    whole = run(config, data, tmp_path / "whole")
    broken = tmp_path / "broken"
    kill_after_epoch(2, data, broken, *settings)
    capsys.readouterr()
    resumed = run(config, data, broken)
    said = capsys.readouterr().out.splitlines()
    # It did not begin anew, which would end with the same weights as well.
    epochs = [line.split("/")[0] for line in said if line.startswith("epoch ")]
    assert epochs[-1] == f"epoch {EPOCHS}"
    assert "epoch 1" not in epochs

    def artifact(out: Path, run_id: str, name: str) -> Path:
        folder = Tracker(out).artifacts(run_id)
        assert folder is not None
        return folder / name

    expected = load_file(artifact(tmp_path / "whole", whole, "weights.safetensors"))
    found = load_file(artifact(broken, resumed, "weights.safetensors"))
    assert expected.keys() == found.keys()
    for name, tensor in expected.items():
        assert tensor.tobytes() == found[name].tobytes(), name
    predictions = [
        artifact(out, run_id, "predictions.csv").read_text()
        for out, run_id in ((tmp_path / "whole", whole), (broken, resumed))
    ]
    assert predictions[0] == predictions[1]

    # One record, in which every epoch stands once.
    client = Tracker(broken)._client
    runs = client.search_runs([Tracker(broken).experiment_id], "tags.kind = 'run'")
    assert [run.info.run_id for run in runs] == [resumed]
    steps = [m.step for m in client.get_metric_history(resumed, "epoch/val.exact_match")]
    assert sorted(set(steps)) == list(range(EPOCHS))

    # And a third start has nothing to do.
    before = artifact(broken, resumed, "weights.safetensors").stat().st_mtime_ns
    assert run(config, data, broken) == resumed
    assert artifact(broken, resumed, "weights.safetensors").stat().st_mtime_ns == before
