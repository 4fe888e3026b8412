"""What a run leaves behind: the names of its files and columns, and whether they are whole.

    config.json            every setting
    weights.safetensors    the model that it kept (not of an ensemble, which has members.json)
    learnt.csv             which images its weights have seen, by their pixels
    images.csv             what is known of each image that it read
    readers.csv            what people read, where the data set has that
    predictions.csv        what it read

The tag `digests` of a finished run has the size and the SHA-256 of each. A run from before there
was that tag counts as long as its files can be read.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

STORE = "mlflow.db"
EXPERIMENT = "head-to-head"
MODEL = EXPERIMENT  # the registered one

SETTINGS = "config.json"
WEIGHTS = "weights.safetensors"
LEARNT = "learnt.csv"
IMAGES = "images.csv"
READERS = "readers.csv"
PREDICTIONS = "predictions.csv"
MEMBERS = "members.json"
SEARCH = "search.json"

PREDICTION_COLUMNS = ("split", "filename", "truth", "reading", "confidence", "label_loss")
IMAGE_COLUMNS = ("split", "filename", "group", "clean", "part", "changed")
READER_COLUMNS = ("reader", "filename", "reading")
# The readers that are people; the others are published outputs.
PEOPLE = ("human1", "human2")

DIGESTS = "digests"
# Of the parent run of an ablation: tags `primary.1` and on, the comparison that its preset names.
PRIMARY = "primary"
# Of the experiment: how many reports were written of its runs.
REPORTS = "reports"
# Of a run that was made again, since its files were not whole: the id of the new one.
REPLACED = "replaced_by"

_NEEDED = {
    "run": (SETTINGS, WEIGHTS, IMAGES, PREDICTIONS),
    "ensemble": (MEMBERS, IMAGES, PREDICTIONS),
}
# What every recipe has written; later ones have more columns.
_LEAST = {
    PREDICTIONS: PREDICTION_COLUMNS[:5],
    IMAGES: IMAGE_COLUMNS[:2],
    READERS: READER_COLUMNS,
}


def confidence_text(confidence: float) -> str:
    """A confidence as tables have it."""
    return f"{confidence:.6g}"


def address(out: Path, *, reading: bool = False) -> str:
    """The store below `out` as the URL that MLflow wants, whatever characters are in the path.

    reading: whether nothing is going to be written, so that a store of somebody else's will do.
    """
    file = out.resolve() / STORE
    # With the driver's name MLflow does not take the quoted path for a folder to make.
    driver = "sqlite+pysqlite:///"
    if not reading or (os.access(file, os.W_OK) and os.access(file.parent, os.W_OK)):
        return driver + quote(str(file))
    # Where SQLite cannot write its shared memory, a log of changes can only be read by its index.
    log = file.with_name(f"{STORE}-wal")
    how = "mode=ro" if log.exists() and log.stat().st_size else "immutable=1"
    return f"{driver}{quote(f'file:{quote(str(file))}')}?{how}&uri=true"


def artifacts_of(out: Path, run_id: str) -> Path:
    """The folder of a run's files: not where MLflow says, since `out` may have been moved."""
    return out / "artifacts" / run_id / "artifacts"


def digest(file: Path) -> str:
    """The file's size in bytes and its SHA-256, as the tag has them."""
    with file.open("rb") as content:
        sha256 = hashlib.file_digest(content, "sha256").hexdigest()
    return f"{file.stat().st_size} {sha256}"


def flaw(folder: Path, tags: Mapping[str, str], *, weights: bool = True) -> str | None:
    """Why a finished run's files are not whole, in a few words; None where they are.

    weights: whether to read those as well; without, their recorded size is enough.
    """
    if (reason := _flaw_of_tags(tags)) is not None:
        return reason
    recorded = recorded_digests(tags)
    needed = {PREDICTIONS}
    if not recorded:
        needed |= set(_NEEDED.get(tags.get("kind", ""), ())) - ({WEIGHTS} if not weights else set())
    for name in sorted(needed | recorded.keys()):
        file = folder / name
        if not file.is_file():
            return f"{name} is missing"
        try:
            if name in recorded:
                whole = _same(file, recorded[name], read=weights or name != WEIGHTS)
            else:
                whole = _readable(file)
        except OSError as error:
            return f"{name} cannot be read ({error.strerror or error})"
        if not whole:
            return f"{name} is damaged"
    return None


def _flaw_of_tags(tags: Mapping[str, str]) -> str | None:
    if by := tags.get(REPLACED):
        return f"was made again as {by}"
    try:
        recorded_digests(tags)
    except ValueError:
        return f"its tag {DIGESTS} cannot be read"
    return None


def recorded_digests(tags: Mapping[str, str]) -> dict[str, str]:
    """The size and SHA-256 of each file that a finished run left, by its name.

    Raises ValueError for what is no such tag, or names a file of another folder.
    """
    recorded = json.loads(tags.get(DIGESTS) or "{}")
    if not isinstance(recorded, dict) or not all(
        isinstance(text, str) and name == Path(name).name for name, text in recorded.items()
    ):
        raise ValueError(f"{DIGESTS}: not a digest for each file")
    return recorded


def recorded_flaw(
    tags: Mapping[str, str], sizes: Mapping[str, int] | None = None, needed: str = PREDICTIONS
) -> str | None:
    """As `flaw`, of a run whose files are elsewhere: by what is recorded of them.

    sizes: in bytes, of the files that there are; without, that is not looked at. needed: a file
        without which the run is nothing.
    """
    if (reason := _flaw_of_tags(tags)) is not None:
        return reason
    recorded = recorded_digests(tags)
    for name in sorted({needed} | recorded.keys()):
        if name not in recorded or (sizes is not None and name not in sizes):
            return f"{name} is missing"
        if sizes is not None and recorded[name].partition(" ")[0] != str(sizes[name]):
            return f"{name} is damaged"
    return None


def read_object(file: Path) -> dict[str, object]:
    """A JSON file that holds an object. Raises ValueError for anything else, and OSError."""
    # Nesting without end exhausts the stack of the parser.
    try:
        found = json.loads(file.read_text(encoding="utf-8-sig"))
    except RecursionError:
        raise ValueError(f"{file.name}: nested too deep") from None
    if not isinstance(found, dict):
        raise ValueError(f"{file.name}: not a JSON object")
    return found


def _same(file: Path, recorded: str, *, read: bool) -> bool:
    if not read:
        return recorded.partition(" ")[0] == str(file.stat().st_size)
    return digest(file) == recorded


def _readable(file: Path) -> bool:
    """Whether a file of which no digest is known has the form that it ought to have."""
    try:
        if file.suffix == ".json":
            read_object(file)
        elif file.suffix == ".csv":
            with file.open(encoding="utf-8", newline="") as content:
                heads = next(csv.reader(content), [])
            return set(_LEAST.get(file.name, ())) <= set(heads)
        elif file.name == WEIGHTS:
            return _length(file) == file.stat().st_size
    except (ValueError, KeyError, TypeError, csv.Error):
        return False
    return True


def _length(file: Path) -> int:
    """How long a safetensors file says that it is: its header has where the last tensor ends."""
    with file.open("rb") as content:
        size = int.from_bytes(content.read(8), "little")
        if size > 100_000_000:  # more than the format allows
            raise ValueError("no safetensors")
        header = json.loads(content.read(size))
    ends = [at["data_offsets"][1] for name, at in header.items() if name != "__metadata__"]
    return 8 + size + int(max(ends, default=0))
