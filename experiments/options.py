"""Options that commands have in common."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Data = Annotated[
    Path | None,
    typer.Option(help="A folder in the published layout; without it, the embedded strings."),
]
Out = Annotated[Path, typer.Option(help="Where all state is kept: MLflow, logs, the report.")]
OUT = Path("outputs")
