"""Commands that make runs, and compare them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from experiments.errors import UserError
from experiments.options import OUT, Data, Engine, Out, Preset, Settings

# As in __main__: what a command needs is imported when it runs.

app = typer.Typer()

Seeds = Annotated[
    str | None, typer.Option(help="A count (3 is 0, 1, 2) or a list (4,7); else the preset's.")
]


@app.command()
def ablation(
    preset: Preset = "quick",
    data: Data = None,
    out: Out = OUT,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Runs side by side; by default one a CPU core.")
    ] = None,
    seeds: Seeds = None,
    engine: Engine = "local",
) -> None:
    """Train every arm of a preset and compare them; finished runs are skipped, others resumed."""
    from experiments.settings.presets import parse_seeds
    from experiments.sweep.engines.engine import engine as made_by
    from experiments.sweep.pipeline import ablation_and_report

    of_seeds = parse_seeds(seeds) if seeds else None
    with made_by(engine) as runner:
        well = ablation_and_report(preset, data, out, runner, of_seeds, jobs)
    if not well:
        raise typer.Exit(1)


@app.command()
def train(
    preset: Annotated[
        str | None, typer.Option(help="The settings that a preset's runs share; a name or .toml.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="In place of a preset: a run's own config.json.")
    ] = None,
    data: Data = None,
    out: Out = OUT,
    set_: Settings = None,
    threads: Annotated[
        int | None,
        typer.Option(min=1, max=1024, help="CPU threads; by default torch's own choice."),
    ] = None,
    parent: Annotated[
        str | None, typer.Option(help="The MLflow run to file this one under.")
    ] = None,
    profile: Annotated[
        bool, typer.Option("--profile", help="In place of a run: where the time of its steps goes.")
    ] = False,
) -> None:
    """Make one run, or go on with it. The last line is its MLflow id."""
    from experiments.settings.presets import load_run

    settings = load_run(preset, config, set_)
    import torch

    from experiments.training.run import data_folder, load_data, run

    if threads:
        torch.set_num_threads(threads)
    if profile:
        from experiments.speed.profile import profile_training

        images = load_data(settings, data_folder(data, out), out, judges=False)
        print(profile_training(settings, images))
        return
    print(run(settings, data_folder(data, out), out, parent))


@app.command()
def ensemble(
    run: Annotated[
        list[str] | None, typer.Option(help="The MLflow id of a finished run; several times.")
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(help="In place of ids: the seeds of each arm of a preset, and all its runs."),
    ] = None,
    tta: Annotated[
        int,
        typer.Option(min=1, max=1000, help="Views of each image: itself, and slightly moved ones."),
    ] = 1,
    data: Data = None,
    out: Out = OUT,
    seeds: Seeds = None,
) -> None:
    """Evaluate finished runs that read together (or one, with --tta). Prints its MLflow id."""
    if bool(run) == (preset is not None):
        raise UserError("ensemble: name runs (--run), or a preset (--preset), one of them")
    if preset is not None:
        from experiments.settings.presets import parse_seeds
        from experiments.sweep.ensembles import ensembles

        of_seeds = parse_seeds(seeds) if seeds else None
        for name, run_id in ensembles(preset, data, out, of_seeds, tta):
            print(f"{run_id}  {name}")
        return
    named = run or []
    if len(set(named)) < len(named):
        raise UserError(f"--run {' --run '.join(named)}: one of them twice; name each once")
    from experiments.deploy.ensemble import ensemble as evaluate
    from experiments.training.run import data_folder

    print(evaluate(named, tta, data_folder(data, out), out))


@app.command()
def report(
    data: Annotated[
        Path | None,
        typer.Option(help="The data set of the runs, for pictures of their mistakes."),
    ] = None,
    out: Out = OUT,
) -> None:
    """Write the comparison from what MLflow holds: OUT/report/report.html, .md, figures, CSV."""
    from experiments.sweep.pipeline import report as write

    write(data, out)


@app.command()
def evidence(
    preset: Preset,
    output: Annotated[Path, typer.Option(help="The folder that gets NAME.csv and NAME_right.csv.")],
    data: Data = None,
    out: Out = OUT,
    seeds: Seeds = None,
) -> None:
    """Write a preset's finished runs as two tables to publish: scores, and what each read right."""
    from experiments.settings.presets import parse_seeds
    from experiments.sweep.evidence import write_evidence

    for file in write_evidence(preset, data, out, parse_seeds(seeds) if seeds else None, output):
        print(file)
