"""Options that commands have in common."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from experiments.errors import UserError

Preset = Annotated[
    str, typer.Option(help="A preset by its name (quick, ablation, ...), or a .toml file.")
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", help="key=value over the settings, such as image.width=80."),
]
Data = Annotated[
    Path | None,
    typer.Option(help="A folder in the published layout; without it, the embedded strings."),
]


def _folder(out: Path) -> Path:
    """The folder, or where one can be made. Raises UserError."""
    there = next(path for path in (out, *out.absolute().parents) if os.path.lexists(path))
    if not there.is_dir():
        raise UserError(f"{there}: is no folder; set OUT (--out) to one")
    return out


Out = Annotated[
    Path,
    typer.Option(help="Where all state is kept: MLflow, logs, the report.", callback=_folder),
]
OUT = Path("outputs")
Engine = Annotated[
    str,
    typer.Option(help="Who makes them: local (processes of this machine), or ray."),
]
