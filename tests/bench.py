"""An ablation or a search of seconds, that can be killed, and what it leaves."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from experiments.data.synthetic.strings import ensure_strings
from experiments.records.tracker import Tracker
from experiments.sweep.engines.process import CODE

SEED = int(os.environ.get("SEED", "0"))
OF_COMMANDS = {"PYTHONPATH": str(CODE), "OMP_NUM_THREADS": "1"}

PRESET = """
seeds = 1

[run]
epochs = 20
batch_size = 16
image = { height = 16, width = 40 }
width_stride = 4
hidden = 16
optimizer = { name = "sgd_cyclic", cycles = 1 }

[[grid]]
loss = LOSSES

[search]
trials = 2
samplers = ["random"]
fresh_seeds = 1
"""
# The search of an arm has as many runs as the ablation of two: as it is, and at its best.
LOSSES = {"ablation": '["ctc", "ce_stop"]', "search": '["ctc"]'}
# The trial of a search that is killed alone has failed, by design: there it is all or the parent.
VICTIMS = {"ablation": ["parent", "child", "all"], "search": ["parent", "all"]}


class Bench:
    """One command on one data set, killed at random moments, in one folder after the other."""

    def __init__(self, command: str, folder: Path) -> None:
        self.command, self.folder = command, folder
        self.preset = folder / "tiny.toml"
        self.preset.write_text(PRESET.replace("LOSSES", LOSSES[command]))
        self.data = ensure_strings(folder, counts={"train": 64, "val": 16, "dev": 16})
        self.rng = random.Random(f"{SEED}/{command}")
        self.moments: Counter[str] = Counter()

    def start(self, out: Path, *engine: str, **environment: str) -> subprocess.Popen[bytes]:
        """Begin the command, or go on with it. engine: the options that choose one."""
        with (self.folder / f"{out.name}.log").open("ab") as log:
            return subprocess.Popen(
                [
                    *(sys.executable, "-P", "-m", "experiments", self.command, "--jobs", "2"),
                    *("--preset", str(self.preset), "--data", str(self.data), "--out", str(out)),
                    *engine,
                ],
                env=os.environ | OF_COMMANDS | environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def finish(self, out: Path) -> float:
        """Let the command go on to its end; returns the seconds that it took."""
        began = time.monotonic()
        code = self.start(out).wait()
        assert code == 0, self.said(out)
        return time.monotonic() - began

    def said(self, out: Path) -> str:
        """The end of what the commands said."""
        return (self.folder / f"{out.name}.log").read_text()[-3000:]

    def kill(self, out: Path, within: float) -> bool:
        """SIGKILL at a random moment; whether there was still something to kill.

        A small run spends its time on imports, so every other kill waits until something trains.
        """
        began = time.time()
        process = self.start(out)
        if self.rng.random() < 0.5:
            time.sleep(self.rng.uniform(0, within))
        else:
            while process.poll() is None and not trained_since(began, out):
                time.sleep(0.02)
            time.sleep(self.rng.uniform(0, within / 10))
        if process.poll() is not None:
            # At its end before its time had come: it ended well.
            assert process.returncode == 0, self.said(out)
            return False
        self.moments[moment(out, began)] += 1
        parent = psutil.Process(process.pid)
        children = parent.children(recursive=True)
        victim = self.rng.choice(VICTIMS[self.command])
        if victim == "child" and children:
            killed = [self.rng.choice(children)]
        else:
            killed = [parent, *(children if victim == "all" else [])]
        for one in killed:
            _kill(one)
        process.wait()
        # Nothing trains on unseen.
        _, alive = psutil.wait_procs(children, timeout=60)
        assert not alive
        return True


def trained_since(began: float, out: Path) -> bool:
    """Whether a training has kept an epoch since then, and has not ended."""
    for pattern in ("runs/*/checkpoint.safetensors", "search/*/*/*/checkpoint.safetensors"):
        for checkpoint in out.glob(pattern):
            with suppress(FileNotFoundError):
                if checkpoint.stat().st_mtime > began:
                    return True
    return False


def moment(out: Path, began: float) -> str:
    """What is going on in the folder, by what lies there."""
    if not (out / "mlflow.db").exists():
        return "before or in the making of the store"
    return "while something trains" if trained_since(began, out) else "between trainings"


def _kill(process: psutil.Process) -> None:
    with suppress(psutil.NoSuchProcess):
        process.send_signal(signal.SIGKILL)


def tried(out: Path) -> list[dict[str, Any]]:
    """What each trial of the searches drew and scored; each was recorded once, and ended well."""
    recorded = [run.data.tags for run in Tracker(out).all_runs() if "trial" in run.data.tags]
    names = Counter((tags["study"], tags["trial"]) for tags in recorded)
    searches = [json.loads(file.read_text()) for file in sorted(out.glob("search/*/search.json"))]
    studies = [study for search in searches for study in search["studies"]]
    wanted = {(study["study"], str(one["number"])) for study in studies for one in study["trials"]}
    assert names == dict.fromkeys(wanted, 1)
    assert {tags["state"] for tags in recorded} <= {"complete"}
    trials = [{"study": study["study"], **one} for study in studies for one in study["trials"]]
    for trial in trials:
        # Who made it, and in which time, is another one's each time.
        del trial["owner"], trial["about"]["seconds"]
    return trials


def found(out: Path) -> dict[str, tuple[str, str]]:
    """For each run hash the digests of weights and predictions; each was finished once."""
    tracker = Tracker(out)
    digests: dict[str, tuple[str, str]] = {}
    for run in tracker.finished_runs():
        run_hash = run.data.tags["run_hash"]
        assert run_hash not in digests, f"{run_hash} was made twice"
        folder = tracker.artifacts(run.info.run_id)
        assert folder is not None
        weights, predictions = (
            hashlib.sha256((folder / name).read_bytes()).hexdigest()
            for name in ("weights.safetensors", "predictions.csv")
        )
        digests[run_hash] = (weights, predictions)
    return digests
