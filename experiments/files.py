"""A lock between processes."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from experiments.errors import UserError


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
    with file.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (fcntl.LOCK_NB if otherwise else 0))
        except BlockingIOError:
            raise UserError(otherwise) from None
        yield
