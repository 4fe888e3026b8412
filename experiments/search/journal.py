"""The file that studies are written to: a line an operation, whole or not at all."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from experiments.files import lock


class JournalLock:
    """A journal's lock in the form that Optuna asks for, freed by the system when its holder dies.

    Optuna's own ones outlive a killed holder by 30 seconds.
    """

    def __init__(self, journal: Path) -> None:
        self._file = journal.with_suffix(".lock")
        self._held = ExitStack()

    def acquire(self) -> bool:
        """Wait for it, and hold it."""
        self._held.enter_context(lock(self._file))
        return True

    def release(self) -> None:
        """Let it go."""
        self._held.close()


def mend(journal: Path) -> None:
    """Cut off the line that a process was killed in: what it says was never done."""
    with lock(journal.with_suffix(".lock")):
        content = journal.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            with journal.open("r+b") as handle:
                handle.truncate(whole)
