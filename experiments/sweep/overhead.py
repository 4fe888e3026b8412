"""What Ray costs on one machine: the runs of a preset by it and by local processes, in turn.

    .venv/bin/python -m experiments.sweep.overhead --preset smoke --jobs 2

All runs are made anew each time, in a folder that is removed afterwards.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Annotated

import typer

from experiments.errors import UserError
from experiments.options import Data
from experiments.settings.presets import Preset, load_preset
from experiments.sweep.ablation import ablation
from experiments.sweep.engines.engine import engine

_ENGINES = ("local", "ray")


def main(
    preset: Annotated[str, typer.Option(help="A preset by its name, or a .toml file.")] = "smoke",
    data: Data = None,
    jobs: Annotated[int, typer.Option(min=1, help="Runs side by side.")] = 1,
    rounds: Annotated[int, typer.Option(min=1, help="How often each of the two is timed.")] = 3,
) -> None:
    """Print a line a round, then how many times as long the runs take with Ray."""
    loaded = load_preset(preset)
    ratios = []
    for number in range(rounds):
        # What changes with time is not the same one's every time.
        order = _ENGINES if number % 2 == 0 else _ENGINES[::-1]
        taken = {name: _seconds(name, loaded, data, jobs) for name in order}
        ratios.append(taken["ray"][1] / taken["local"][1])
        print(
            f"round {number + 1}: local {taken['local'][1]:.1f} s, ray {taken['ray'][1]:.1f} s "
            f"after {taken['ray'][0]:.1f} s to start it: {ratios[-1]:.3f}",
            flush=True,
        )
    print(
        f"with Ray the runs take {median(ratios):.3f} times as long ({min(ratios):.3f} to "
        f"{max(ratios):.3f} in {rounds} rounds)"
    )


def _seconds(name: str, preset: Preset, data: Path | None, jobs: int) -> tuple[float, float]:
    """How long the engine takes to start, and then the runs. Raises UserError where one fails."""
    with tempfile.TemporaryDirectory() as folder, engine(name) as runner:
        began = time.monotonic()
        runner.threads_each(jobs)
        started = time.monotonic()
        outcome, parent = ablation("overhead", preset, data, Path(folder), runner, None, jobs)
        ended = time.monotonic()
        parent.end()
        for run in outcome.failed:
            raise UserError(f"{run.name}: {run.last_line()}; choose a preset whose runs end well")
    return started - began, ended - started


if __name__ == "__main__":
    typer.run(main)
