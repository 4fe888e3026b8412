"""Files between processes: written whole or not at all, read back with proof, and locks."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from analysis.files import whole, write_whole
from experiments.errors import UserError

__all__ = [
    "DamagedError",
    "free_name",
    "is_held",
    "lock",
    "read_checked",
    "refuse_folder",
    "whole",
    "whole_folder",
    "write_checked",
    "write_whole",
]


def free_name(file: Path, why: str) -> Path:
    """A name beside a file for what it was, which nothing has: STEM-WHY-TIME, and a number."""
    stem = f"{file.stem}-{why}-{datetime.now():%Y%m%d-%H%M%S}"
    names = (stem if number == 1 else f"{stem}-{number}" for number in count(1))
    places = (file.with_name(name + file.suffix) for name in names)
    return next(place for place in places if not place.exists())


def is_held(file: Path) -> bool:
    """Whether some process holds the file's lock right now."""
    try:
        with lock(file, otherwise="held"):
            return False
    except UserError:
        return True


@contextmanager
def lock(file: Path, otherwise: str | None = None) -> Iterator[None]:
    """Hold the file's lock, which the system frees when its holder dies.

    otherwise: the UserError to raise where another process holds it; by default wait for it.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(file, blocking=otherwise is None):
            yield
    except Timeout:
        raise UserError(otherwise) from None


def refuse_folder(file: Path) -> None:
    """Raise UserError for a folder where a file is to be written: nobody's is ever removed."""
    if file.is_dir():
        raise UserError(
            f"{file}: is a folder where a file belongs; move it away, and the same command goes on"
        )


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """A folder to fill, which gets this name once it is whole; where something fails it is gone.

    Raises UserError where there is such a folder already, or none to make it in.
    """
    if folder.exists():
        raise UserError(f"{folder}: exists already; choose another name")
    if not folder.parent.is_dir():
        raise UserError(f"{folder.parent}: no such folder; make it, or name another")
    making = Path(tempfile.mkdtemp(prefix=".making-", dir=folder.parent))
    try:
        making.chmod(0o755)  # a temporary folder is closed to others
        yield making
        making.rename(folder)
    finally:
        shutil.rmtree(making, ignore_errors=True)


class DamagedError(Exception):
    """A file whose content is not what was written."""


def write_checked(file: Path, content: Any) -> None:
    """Write what JSON can hold, whole or not at all, with its digest."""
    write_whole(file, json.dumps({"digest": _digest(content), "content": content}))


def read_checked(file: Path) -> Any:
    """What `write_checked` wrote.

    Raises FileNotFoundError, UserError for a folder, and DamagedError for anything else.
    """
    refuse_folder(file)
    try:
        held = json.loads(file.read_bytes())
        digest, content = held["digest"], held["content"]
    except (ValueError, KeyError, TypeError, RecursionError, IsADirectoryError) as error:
        raise DamagedError(f"{file}: is not whole") from error
    if digest != _digest(content):
        raise DamagedError(f"{file}: is damaged, its content does not have the digest noted in it")
    return content


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
