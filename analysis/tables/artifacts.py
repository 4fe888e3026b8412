"""What stands in the files of a run, as tables."""

from __future__ import annotations

import json
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.record import (
    IMAGES,
    MEMBERS,
    PREDICTIONS,
    READER_COLUMNS,
    READERS,
    SETTINGS,
    read_object,
)

_IMAGE = ["split", "filename"]
_ABOUT = ["group", "clean", "part", "changed"]

# The settings that a run wrote -> the same with those that it does not know yet.
Complete = Callable[[dict[str, Any]], dict[str, Any]]


def settings_of(folder: Path, complete: Complete) -> dict[str, str]:
    """Every setting by its dotted key: a text as it is, all else as JSON."""
    return _flatten(complete(read_object(folder / SETTINGS)))


def members_of(folder: Path) -> list[dict[str, object]]:
    """The runs that read together. Raises ValueError where there is no list of them."""
    members = read_object(folder / MEMBERS)["members"]
    if not isinstance(members, list):
        raise ValueError(f"{MEMBERS}: members: not a list")
    return members


def predictions_of(folder: Path, about: Callable[[bytes], pd.DataFrame]) -> pd.DataFrame:
    """A row an image that the run read. Raises ValueError where rows are missing.

    about: as `images_in`, which may answer from memory.
    """
    read = _table((folder / PREDICTIONS).read_bytes())
    images = about((folder / IMAGES).read_bytes())
    # As they are written, both have the same images in the same order.
    same = len(read) == len(images) and all((read[c] == images[c]).all() for c in _IMAGE)
    if not same:
        raise ValueError(f"{PREDICTIONS} and {IMAGES} are of different images")
    return pd.concat([read.drop(columns=_IMAGE), images], axis=1).assign(
        confidence=read["confidence"].astype(float),
        label_loss=pd.to_numeric(read.get("label_loss", pd.Series(index=read.index, dtype=str))),
    )


def images_in(content: bytes) -> pd.DataFrame:
    """An images.csv, which is the same for many runs."""
    # Runs of an older recipe did not log all of these.
    table = _table(content).reindex(columns=[*_IMAGE, *_ABOUT], fill_value="")
    return table.assign(
        group=table["group"].astype(int),
        clean=table["clean"] == "1",
        changed=table["changed"] == "1",
    )


def readers_of(folder: Path) -> pd.DataFrame | None:
    """What each reader read: reader, filename, reading.

    None where the data set has no readers, or where the file of an older run is damaged.
    """
    try:
        return _table((folder / READERS).read_bytes())[list(READER_COLUMNS)]
    except (OSError, ValueError, KeyError):
        return None


def _table(content: bytes) -> pd.DataFrame:
    """All text: '007' and '1.0' stay what they are, and an empty field is an empty text."""
    return pd.read_csv(BytesIO(content), dtype=str, keep_default_na=False)


def _flatten(nested: dict[str, object], prefix: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for key, value in nested.items():
        if isinstance(value, dict):
            flat |= _flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value if isinstance(value, str) else json.dumps(value)
    return flat
