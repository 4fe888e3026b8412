"""Commands for a model that is trained: read with it, give it away, serve it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from experiments.errors import UserError, one_line
from experiments.options import OUT, Out

# As in __main__: what a command needs is imported when it runs.

app = typer.Typer()

Run = Annotated[
    str | None,
    typer.Option(
        help="An MLflow id, 'champion', or a reader that comes with the suite (ctc, ce_stop); by "
        "default the champion, or ctc where there is none."
    ),
]


@app.command()
def predict(
    paths: Annotated[
        list[str],
        typer.Argument(help="Images, folders of images, or quoted patterns: 'in/**/*.png'."),
    ],
    run: Annotated[
        list[str] | None,
        typer.Option(
            help="An MLflow id, also of an ensemble, 'champion', or a reader that comes with the "
            "suite (ctc, ce_stop); by default the champion, or ctc where there is none. Several "
            "read together."
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(help="A CSV to write as well: filename;value;confidence;characters."),
    ] = None,
    accuracy: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Mark readings too unsure to be right this often (0.98)."),
    ] = None,
    text_format: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="What readings have to fit: number, 'decimals=1,sign=never,min=0,max=120', or "
            "values=FILE with a value a line.",
        ),
    ] = None,
    out: Out = OUT,
) -> None:
    """Read your own images with a finished run; 1 is the exit code where some are broken."""
    from experiments.data.find import find_images
    from experiments.deploy.reading import predict as reading
    from experiments.deploy.reading.choice import choose

    if output and output.exists():
        raise UserError(f"{output}: exists already; name another file")
    if output and not output.parent.is_dir():
        raise UserError(f"{output.parent}: no such folder; make it, or name another file")
    chosen = choose(run or [], out)
    files = find_images(paths)
    reader = reading.open_together(chosen.members, chosen.views, text_format)
    lowest, kept = None, ""
    if accuracy is not None:
        from experiments.deploy.reading.threshold import describe, reject_threshold

        if chosen.judged is None:
            raise UserError(
                "--accuracy: how sure these are together was not measured on validation images; "
                "name one run, or the id of an ensemble"
            )
        found = reject_threshold(chosen.judged, accuracy)
        lowest, kept = found.kept.confidence, describe(found)
    broken: list[str] = []
    rows = reading.predict(reader, files, lowest, broken.append)
    reading.write_table(rows, reading.names_of(files), lowest is not None, output)
    # The table alone is what a pipe wants.
    read = len(files) - len(broken)
    print(f"{read} readings{f' in {output}' if output else ''}", file=sys.stderr)
    if kept:
        print(kept, file=sys.stderr)
    for reason in broken:
        print(f"not read: {one_line(reason)}", file=sys.stderr)
    if broken:
        raise typer.Exit(1)


@app.command()
def export(
    output: Annotated[Path, typer.Option(help="The folder to make.")],
    run: Run = None,
    data: Annotated[
        Path | None,
        typer.Option(
            help="What the run was trained on: to write an int8 model as well, and measure all."
        ),
    ] = None,
    strict: Annotated[
        bool,
        typer.Option("--strict", help="Exit with 1 where a form loses more than 0.5 points."),
    ] = False,
    out: Out = OUT,
) -> None:
    """Write a run's model for elsewhere: safetensors and JSON, and ONNX, checked against torch."""
    if strict and data is None:
        raise UserError("--strict: without data nothing is measured; set DATA (--data)")
    from experiments.deploy.export.folder import export as write
    from experiments.deploy.reading.choice import artifacts_of_reader

    made = write(artifacts_of_reader(run, out), output, data, out)
    print(f"{output}: ONNX and torch differ by {made.difference:.1g} of the largest score")
    if made.table is None:
        return
    print(made.text())
    for form in (lossy := made.table.too_bad()):
        print(f"{form} loses more than 0.5 points of the test part", file=sys.stderr)
    if lossy and strict:
        raise typer.Exit(1)


@app.command()
def peers(
    data: Annotated[Path, typer.Option(help="The data set that the suite's readers learnt from.")],
    out: Out = OUT,
) -> None:
    """Compare the readers that come with the suite with public ones (extra: peers), a table."""
    from experiments.deploy.peers.compare import as_table, compare

    print(as_table(*compare(data, out)))


@app.command()
def pack(
    name: Annotated[str, typer.Option(help="Of the reader: a folder of models/trained.")],
    data: Annotated[Path, typer.Option(help="The data set that the run was trained on.")],
    run: Annotated[str, typer.Option(help="A finished run's MLflow id, or 'champion'.")],
    command: Annotated[str, typer.Option(help="What made the run, for the reader's card.")],
    out: Out = OUT,
) -> None:
    """Make a reader that comes with the suite of a run: half precision, and a card."""
    from experiments.deploy.registry import Registry
    from experiments.deploy.trained import pack as make

    print(make(Registry(out).artifacts(run), run, command, name, data, out))


@app.command()
def register(
    run: Annotated[
        str | None, typer.Option(help="A finished run's MLflow id; else the best on validation.")
    ] = None,
    out: Out = OUT,
) -> None:
    """Put a run's model into MLflow's registry, as the champion that predict and serve use."""
    from experiments.deploy.registry import Registry

    registry = Registry(out, reading=False)
    version = registry.register(run or registry.best())
    print(f"champion: run {version.run_id}, version {version.version} of {version.name}")


@app.command()
def serve(
    port: Annotated[int, typer.Option(min=1, max=65535)] = 5000,
    out: Out = OUT,
) -> None:
    """Answer for images with the champion, on 127.0.0.1, by MLflow's own server."""
    from experiments.deploy.registry import serve as become

    become(out, port)


@app.command()
def demo(
    run: Annotated[
        list[str] | None,
        typer.Option(
            help="Two of them: MLflow ids, 'champion', or readers that come with the suite; by "
            "default ctc and ce_stop."
        ),
    ] = None,
    port: Annotated[int, typer.Option(min=1, max=65535)] = 5000,
    out: Out = OUT,
) -> None:
    """Draw a number or choose images, and see two readers answer, on a page on 127.0.0.1."""
    if run is not None and (len(run) != 2 or run[0] == run[1]):
        raise UserError(
            f"--run {' --run '.join(run)}: two different readers answer side by side; name two "
            "(with make, RUN=ctc,ce_stop)"
        )
    from experiments.deploy.demo.application import serve as answer

    answer(run or ["ctc", "ce_stop"], out, port)


@app.command()
def review(
    output: Annotated[
        Path, typer.Option(help="The labelled folder to fill; one of the same review goes on.")
    ],
    paths: Annotated[
        list[str] | None,
        typer.Argument(help="Images to read, folders of images, or quoted patterns; or --data."),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(help="In place of images: a data set whose doubted labels are asked about."),
    ] = None,
    run: Run = None,
    accuracy: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Ask only where predict would reject; else about all."),
    ] = None,
    port: Annotated[int, typer.Option(min=1, max=65535)] = 5000,
    out: Out = OUT,
) -> None:
    """Confirm or correct unsure readings on a page on 127.0.0.1; saves a data set to learn from."""
    if bool(paths) == (data is not None):
        raise UserError("review: give images to read (IMAGES), or a data set (--data), one of them")
    from experiments.deploy.review.application import serve as ask
    from experiments.deploy.review.doubtful import doubted, rejected

    broken: list[str] = []
    if data is not None:
        if run is not None or accuracy is not None:
            raise UserError("review --data: asks about labels; leave out --run and --accuracy")
        asked = doubted(data, out)
    else:
        from experiments.data.find import find_images
        from experiments.deploy.reading.choice import artifacts_of_reader
        from experiments.deploy.reading.predict import open_reader
        from experiments.deploy.reading.threshold import reject_threshold

        artifacts = artifacts_of_reader(run, out)
        files = find_images(paths or [])
        lowest = None
        if accuracy is not None:
            lowest = reject_threshold(artifacts, accuracy).kept.confidence
        asked = rejected(open_reader(artifacts), files, lowest, broken)
    for reason in broken:
        print(f"not read: {one_line(reason)}", file=sys.stderr)
    ask(asked, output, port, out if data is None else None)
