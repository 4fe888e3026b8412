"""Commands about a data set: get it, examine it, look at it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from experiments.options import OUT, Data, Out, Settings
from experiments.shell import make

# As in __main__: what a command needs is imported when it runs.

app = typer.Typer()


@app.command()
def data(out: Out = OUT) -> None:
    """Fetch the published data set into OUT/data/cells; where it is there, check it."""
    from experiments.data.published.fetch import PUBLISHED, fetch

    folder = fetch(PUBLISHED, out)
    print(f"next: {make('ablation', out, DATA=folder, PRESET='ablation')}")


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

    for file in write_suspects(data_folder(data, out), out, data):
        print(file)


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
