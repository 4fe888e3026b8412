"""Commands about the records themselves: look at them, and let a moved folder go on."""

from __future__ import annotations

from typing import Annotated

import typer

from experiments.options import OUT, Out

# As in __main__: what a command needs is imported when it runs.

app = typer.Typer()


@app.command()
def ui(
    port: Annotated[int, typer.Option(min=1, max=65535)] = 5000,
    out: Out = OUT,
) -> None:
    """Show the runs, their curves and files in MLflow's own pages, on 127.0.0.1."""
    from experiments.records.store import open_place
    from experiments.records.ui import browse

    if (server := open_place(out).server) is not None:
        print(f"{server} has pages of its own: open that address")
        return
    browse(out, port)


@app.command()
def move(out: Out = OUT) -> None:
    """Let the runs of a folder that was moved or copied go on: rewrite its store's addresses."""
    from experiments.records.move import move as rewrite

    for line in rewrite(out):
        print(line)
