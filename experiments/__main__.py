"""The command line: head-to-head COMMAND, or from the clone python -m experiments COMMAND."""

from __future__ import annotations

import io
import logging
import os
import signal
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.logging import RichHandler

# Started by -m, the folder where the user stands comes first: its `models` would be taken for ours.
sys.path.insert(0, str(Path(__file__).parents[1]))

from analysis.place import TRACKING, is_local, place_of
from experiments.deploy import commands as deploy
from experiments.errors import UserError, explain, one_line
from experiments.options import OUT, Data, Engine, Out, Preset, Settings
from experiments.search import commands as search
from experiments.speed import commands as speed
from experiments.sweep.parent import follow_parent

# The commands import what they need when they run: --help and a wrong option answer at once.

app = typer.Typer(
    help="Which head should read handwritten numbers: CTC, or cross-entropy with a stop?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


_log = logging.getLogger("experiments")


@app.callback()
def common(
    debug: Annotated[
        bool, typer.Option("--debug", help="Before the command: show where an error came from.")
    ] = False,
    tracking: Annotated[
        str | None,
        typer.Option(
            help="Before the command: the MLflow server that has the runs, as http://HOST:PORT; "
            f"else {TRACKING}, else --out."
        ),
    ] = None,
) -> None:
    """What all commands have in common."""
    if debug:
        _log.setLevel(logging.DEBUG)
    if tracking is not None:
        if is_local(tracking):
            raise UserError(
                f"--tracking {tracking}: is no server; give one as http://HOST:PORT, or --out for "
                "a folder of this machine"
            )
        # For the processes that this one starts as well.
        os.environ[TRACKING] = tracking
        place_of(OUT)  # raises for an address that is none


@app.command()
def ablation(
    preset: Preset = "quick",
    data: Data = None,
    out: Out = OUT,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Runs side by side; by default one a CPU core.")
    ] = None,
    seeds: Annotated[
        str | None, typer.Option(help="A count (3 is 0, 1, 2) or a list (4,7); else the preset's.")
    ] = None,
    engine: Engine = "local",
) -> None:
    """Train every arm of a preset and compare them; finished runs are skipped, others resumed."""
    from experiments.settings.presets import parse_seeds
    from experiments.sweep.engines import engine as made_by
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
    run: Annotated[list[str], typer.Option(help="The MLflow id of a finished run; several times.")],
    tta: Annotated[
        int,
        typer.Option(min=1, max=1000, help="Views of each image: itself, and slightly moved ones."),
    ] = 1,
    data: Data = None,
    out: Out = OUT,
) -> None:
    """Evaluate finished runs that read together (or one, with --tta). Prints its MLflow id."""
    from experiments.deploy.ensemble import ensemble as evaluate
    from experiments.training.run import data_folder

    print(evaluate(run, tta, data_folder(data, out), out))


@app.command()
def audit(
    data: Data = None,
    json_: Annotated[
        Path | None, typer.Option("--json", help="A file to write the findings to, for programs.")
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(help="Whose charset and image size to hold the data against; else ablation."),
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="In place of a preset: a run's own config.json.")
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 1 when something leaks or conflicts.")
    ] = False,
    out: Out = OUT,
) -> None:
    """What is wrong with a data set: leaks, conflicts, labels, images; a page and JSON."""
    from experiments.settings.presets import load_run

    settings = load_run("ablation" if preset is None and config is None else preset, config)
    from experiments.data.audit.findings import audit as examine
    from experiments.data.audit.page import page, write_json
    from experiments.training.progress import counting
    from experiments.training.run import data_folder

    size = settings.image
    shape = (size.channels, size.height, size.width)
    with counting("images") as count:
        found = examine(data_folder(data, out), settings.charset, shape, on_start=count)
    made = page(found)
    print(made.headline())
    folder = out / "audit" / found.facts["dataset"]
    for file in made.write(folder, "audit"):
        print(file)
    print(write_json(found, json_ or folder / "audit.json"))
    if strict and not found.sound:
        raise typer.Exit(1)


@app.command()
def suspects(data: Data = None, out: Out = OUT) -> None:
    """List the labels that all arms doubt, from finished runs of the preset `suspects`."""
    from experiments.pages.suspects import write_suspects
    from experiments.training.run import data_folder

    for file in write_suspects(data_folder(data, out), out):
        print(file)


@app.command()
def mnist(
    source: Annotated[
        str,
        typer.Option(help="packaged, torchvision, or a folder with the four MNIST idx files."),
    ] = "packaged",
    out: Out = OUT,
) -> None:
    """Write MNIST digits as cells, below OUT/data; prints the folder, to be given as DATA."""
    from experiments.data.synthetic.mnist import ensure_mnist

    print(ensure_mnist(out / "data", source))


@app.command()
def data(out: Out = OUT) -> None:
    """Fetch the published data set into OUT/data/cells; where it is there, check it."""
    from experiments.data.published.fetch import PUBLISHED, fetch

    folder = fetch(PUBLISHED, out)
    print(f"next: make ablation DATA={folder} PRESET=ablation")


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
def augmentations(
    preset: Annotated[
        str, typer.Option(help="Whose strengths and image size to draw them with.")
    ] = "ablation",
    data: Data = None,
    out: Out = OUT,
    set_: Settings = None,
) -> None:
    """Show what each augmentation does to cells of DATA: OUT/figures/augmentation.png."""
    from experiments.pages.contact_sheet import write_augmentations
    from experiments.settings.presets import load_run
    from experiments.training.run import data_folder

    settings = load_run(preset, overrides=set_)
    file = out / "figures" / "augmentation.png"
    write_augmentations(settings, data_folder(data, out), file)
    print(file)


# Their help stands behind that of the commands here.
app.add_typer(speed.app)
app.add_typer(search.app)
app.add_typer(deploy.app)


def _interrupted(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def _refuse(why: str) -> NoReturn:
    """Exit with code 2 and a line."""
    _log.debug("in full:", exc_info=True)
    sys.stderr.write(f"error: {one_line(why)}\n")
    sys.exit(2)


def _prepare_output() -> None:
    """What libraries log goes to stderr; what a locale cannot write is escaped."""
    for package in ("experiments", "analysis"):
        logger = logging.getLogger(package)
        logger.setLevel(logging.WARNING)
        if not logger.handlers:
            console = Console(stderr=True, soft_wrap=True)
            logger.addHandler(RichHandler(console=console, show_time=False, show_path=False))
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def main() -> NoReturn:
    """Run the command line; 2 is the user's error, 130 an interrupted run."""
    follow_parent()
    # A parent that stops its runs sends SIGTERM, a closed terminal SIGHUP: stop as for Ctrl-C.
    for name in ("SIGTERM", "SIGHUP"):  # Windows has no closed terminal
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _interrupted)
    _prepare_output()
    try:
        app(prog_name="head-to-head")
    except UserError as error:
        _refuse(str(error))
    except Exception as error:
        if (explained := explain(error)) is None:
            raise  # a bug of ours is a traceback
        _refuse(explained)
    except SystemExit as ended:
        if ended.code == 130:
            sys.stderr.write("stopped; the same command goes on from what is finished\n")
        raise
    sys.exit(0)


if __name__ == "__main__":
    main()
