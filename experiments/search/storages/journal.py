"""The studies of one machine, in a file: a line an operation, whole or not at all.

Every line is forced to disk, under a lock that the system frees when its holder dies.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TypeVar

from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from experiments.files import is_held, lock
from experiments.search.storages.owners import owner_file

_T = TypeVar("_T")


class Journal:
    """Studies in `journal.log` of a folder; see Storage.

    A worker holds the lock of its file for as long as it lives, so others find the trials of a
    dead one at once.
    """

    look = 0.0

    def __init__(self, home: Path) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self._home = home
        file = home / "journal.log"
        held = _JournalLock(file)
        backend = JournalFileBackend(str(file), lock_obj=held)  # type: ignore[arg-type]
        held.acquire()
        held.release()
        self.optuna = JournalStorage(backend)

    def together(self, decide: Callable[[], _T]) -> _T:
        """See Storage."""
        with lock(self._home / "ask.lock"):
            return decide()

    def confirm(self) -> None:
        """See Storage; a lock that is held stays held."""

    def patient(self, call: Callable[[], _T]) -> _T:
        """See Storage; a file is never away."""
        return call()

    @contextmanager
    def working(self, owner: str, beat: Callable[[], None]) -> Iterator[None]:  # noqa: ARG002
        """See Storage."""
        with lock(owner_file(self._home, owner)):
            yield

    def beat(self, trial_id: int) -> None:
        """See Storage; the lock says it."""

    def is_dead(self, trial_id: int, owner: str) -> bool:  # noqa: ARG002
        """See Storage."""
        return not is_held(owner_file(self._home, owner))


class _JournalLock:
    """A journal's lock in the form that Optuna asks for, freed by the system when its holder dies.

    Optuna's own ones outlive a killed holder by 30 seconds.
    """

    def __init__(self, journal: Path) -> None:
        self._journal, self._file = journal, journal.with_suffix(".lock")
        self._held = ExitStack()

    def acquire(self) -> bool:
        """Wait for it, and hold it; the journal then ends with a whole line."""
        with ExitStack() as held:
            held.enter_context(lock(self._file))
            _mend(self._journal)
            self._held = held.pop_all()
        return True

    def release(self) -> None:
        """Let it go."""
        self._held.close()


def _mend(journal: Path) -> None:
    """Cut off the line that a process died in, or found no room for: what it says was never done.

    Before every line and not at the opening alone: behind half a line another would be part of it.
    """
    with journal.open("r+b") as handle:
        if not (end := handle.seek(0, os.SEEK_END)):
            return
        handle.seek(end - 1)
        if handle.read() != b"\n":
            handle.seek(0)
            handle.truncate(handle.read().rfind(b"\n") + 1)
