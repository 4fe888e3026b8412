"""Files between processes: written whole or not at all, and locks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from analysis.files import whole, write_whole
from experiments.errors import UserError

__all__ = ["is_held", "lock", "whole", "write_whole"]


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
