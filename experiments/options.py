"""Options that commands have in common."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

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
Out = Annotated[Path, typer.Option(help="Where all state is kept: MLflow, logs, the report.")]
OUT = Path("outputs")
