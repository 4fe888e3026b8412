"""Commands that tune arms."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from experiments.options import OUT, Data, Engine, Out

# As in __main__: what a command needs is imported when it runs.

app = typer.Typer()

_STORAGE = "HEAD_TO_HEAD_STORAGE"


@app.command()
def search(
    preset: Annotated[
        str, typer.Option(help="Arms and [search]: a preset by its name, or a .toml file.")
    ] = "search",
    arm: Annotated[
        str | None, typer.Option(help="One arm, by its loss or name; else all of the preset's.")
    ] = None,
    trials: Annotated[
        int | None, typer.Option(min=1, help="For each arm and sampler; else the preset's number.")
    ] = None,
    data: Data = None,
    out: Out = OUT,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Trials side by side; by default one a CPU core.")
    ] = None,
    engine: Engine = "local",
    storage: Annotated[
        str | None,
        typer.Option(
            envvar=_STORAGE,
            help="A PostgreSQL database for the trials, which several machines make together, as "
            "postgresql://USER@HOST/DATABASE; else a journal below --out.",
        ),
    ] = None,
) -> None:
    """Tune the arms of a preset on equal terms; then train the best settings on fresh seeds."""
    from experiments.files import lock
    from experiments.search.tune import tune
    from experiments.settings.presets import load_preset
    from experiments.sweep.engines.engine import engine as made_by
    from experiments.sweep.pipeline import ablation_and_report

    # No trial needs it, and a cluster's nodes are given such variables.
    os.environ.pop(_STORAGE, None)
    name, loaded = Path(preset).stem, load_preset(preset)
    with made_by(engine) as runner:
        found = tune(name, loaded, data, out, runner, arm, trials, jobs, storage)
        for line in found.lines:
            print(line)
        print(f"{found.best}: the arms as they are and at their best; now on fresh seeds")
        # Of two searches the second waits, and finds the runs of the first.
        with lock(found.best.with_suffix(".lock")):
            well = ablation_and_report(str(found.best), data, out, runner, None, jobs)
    if not well:
        raise typer.Exit(1)


@app.command(hidden=True)
def trial(
    folder: Annotated[Path, typer.Argument(help="The folder of the trial, made by a search.")],
    data: Annotated[Path, typer.Option()],
    parent: Annotated[str, typer.Option()],
    threads: Annotated[int, typer.Option(min=1)],
    out: Out = OUT,
) -> None:
    """One trial of a search, which starts it."""
    import torch

    from experiments.search.trial import trial as make

    torch.set_num_threads(threads)
    make(folder, data, out, parent)
