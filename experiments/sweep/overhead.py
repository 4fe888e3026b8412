"""What Ray, and what a tracking server, cost on one machine: the runs of a preset each way in turn.

    .venv/bin/python -m experiments.sweep.overhead --preset smoke --jobs 2

By local processes, by Ray, and by local processes that record on an MLflow server over SQLite. All
runs are made anew each time, in a folder that is removed afterwards.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext, suppress
from pathlib import Path
from statistics import median
from typing import Annotated

import typer

from analysis.place import TRACKING
from analysis.record import address
from experiments.errors import UserError
from experiments.options import Data
from experiments.ports import listening
from experiments.settings.presets import Preset, load_preset
from experiments.sweep.ablation import ablation
from experiments.sweep.engines.engine import engine
from experiments.sweep.engines.processes import LocalProcesses

_WAYS = ("local", "ray", "server")
_START = 300.0  # seconds that a server may take to start


class _Local(LocalProcesses):
    """Without the estimate of how long the runs will take, which with Ray nobody makes."""

    def on_this_cpu(self) -> bool:
        return False


def main(
    preset: Annotated[str, typer.Option(help="A preset by its name, or a .toml file.")] = "smoke",
    data: Data = None,
    jobs: Annotated[int, typer.Option(min=1, help="Runs side by side.")] = 1,
    rounds: Annotated[int, typer.Option(min=1, help="How often each of the three is timed.")] = 3,
) -> None:
    """Print a line a round, then how many times as long the runs take with Ray, and a server."""
    loaded = load_preset(preset)
    ratios: dict[str, list[float]] = {"ray": [], "server": []}
    for number in range(rounds):
        # What changes with time is not the same one's every time.
        order = _WAYS if number % 2 == 0 else _WAYS[::-1]
        taken = {name: _seconds(name, loaded, data, jobs) for name in order}
        line = f"round {number + 1}: local {taken['local'][1]:.1f} s"
        for name, of_name in ratios.items():
            started, seconds = taken[name]
            of_name.append(seconds / taken["local"][1])
            line += f", {name} {seconds:.1f} s after {started:.1f} s to start it: {of_name[-1]:.3f}"
        print(line, flush=True)
    for name, of_name in ratios.items():
        print(
            f"with {name} the runs take {median(of_name):.3f} times as long ({min(of_name):.3f} to "
            f"{max(of_name):.3f} in {rounds} rounds)"
        )


def _seconds(name: str, preset: Preset, data: Path | None, jobs: int) -> tuple[float, float]:
    """How long this way takes to start, and then the runs. Raises UserError where one fails."""
    began = time.monotonic()
    with (
        tempfile.TemporaryDirectory() as folder,
        _server(Path(folder, "server")) if name == "server" else nullcontext() as uri,
        _recorded_at(uri),
        engine("ray") if name == "ray" else nullcontext(_Local()) as runner,
    ):
        runner.threads_each(jobs)
        started = time.monotonic()
        out = Path(folder, "out")
        outcome, parent = ablation("overhead", preset, data, out, runner, None, jobs)
        ended = time.monotonic()
        parent.end()
        for run in outcome.failed:
            raise UserError(f"{run.name}: {run.last_line()}; choose a preset whose runs end well")
    return started - began, ended - started


@contextmanager
def _recorded_at(uri: str | None) -> Iterator[None]:
    """Within it runs are recorded at this server, or without one in their folder."""
    before = os.environ.pop(TRACKING, None)
    if uri is not None:
        os.environ[TRACKING] = uri
    try:
        yield
    finally:
        os.environ.pop(TRACKING, None)
        if before is not None:
            os.environ[TRACKING] = before


@contextmanager
def _server(folder: Path) -> Iterator[str]:
    """An MLflow server with its database and files in a folder of its own; yields its address."""
    folder.mkdir()
    with closing(listening(0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-P", "-m", "mlflow", "server", "--host", "127.0.0.1"]
    command += ["--port", str(port), "--workers", "1", "--backend-store-uri", address(folder)]
    command += ["--artifacts-destination", str(folder / "artifacts")]
    # MLflow's options have variables; and it would start processes for language models.
    kept = {key: value for key, value in os.environ.items() if "MLFLOW_" not in key}
    set_ = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    log = folder / "server.log"
    with log.open("wb") as said:
        server = subprocess.Popen(command, env=kept | set_, stdout=said, stderr=said)
    try:
        uri = f"http://127.0.0.1:{port}"
        _wait_for(f"{uri}/health", server, log)
        yield uri
    finally:
        server.terminate()
        server.wait()


def _wait_for(page: str, server: subprocess.Popen[bytes], log: Path) -> None:
    """Until it answers. Raises UserError where it does not."""
    begun = time.monotonic()
    while server.poll() is None and time.monotonic() - begun < _START:
        with suppress(OSError), urllib.request.urlopen(page, timeout=5):
            return
        time.sleep(0.3)
    last = log.read_text(encoding="utf-8").strip().rpartition("\n")[2]
    raise UserError(f"MLflow's server does not start: {last}; try it by itself: mlflow server")


if __name__ == "__main__":
    typer.run(main)
