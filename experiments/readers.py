"""The readers that come with the suite, by name: folders of models/trained (see deploy/trained.py).

Nothing heavy is imported here: to read an image takes a moment, to import torch several.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from analysis.record import WEIGHTS
from experiments.errors import UserError

# What a folder holds that is whole.
CARD = "card.json"
FOLDER = Path(__file__).parents[1] / "models" / "trained"


def reader_names() -> list[str]:
    """Of the readers that there are."""
    return sorted(file.parent.name for file in FOLDER.glob(f"*/{CARD}"))


def reader_folder(name: str) -> Path:
    """Where a reader stands, or is to stand."""
    return FOLDER / name


def start_from_reader(name: str) -> str:
    """What `start` says of a reader: its name and 16 hex digits of its weights.

    So that a run is another one where the reader of that name is another one.
    """
    weights = (reader_folder(name) / WEIGHTS).read_bytes()
    return f"{name}-{hashlib.sha256(weights).hexdigest()[:16]}"


def reader_of_start(start: str) -> str | None:
    """The name of the reader that a `start` means; None for one that means a run.

    Raises UserError where the reader has other weights by now.
    """
    name = start.rpartition("-")[0]
    if name not in reader_names():
        return None
    if start != (now := start_from_reader(name)):
        raise UserError(
            f"start: the reader {name} of this version is {now}, not {start}; set start={name}"
        )
    return name
