"""Where the studies of a search are kept, and how its workers agree."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol, TypeVar

from optuna.storages import BaseStorage

_T = TypeVar("_T")


class Storage(Protocol):
    """Studies that several workers write to. See Journal and Database."""

    @property
    def optuna(self) -> BaseStorage:
        """What has them."""

    @property
    def look(self) -> float:
        """Seconds between two looks at what other workers have done."""

    def together(self, decide: Callable[[], _T]) -> _T:
        """Do something while no other worker does anything this way.

        It is done anew, from its beginning, where the storage was away in the middle of it: what
        it wrote may be there or not, and others may have had their turn.
        """

    def confirm(self) -> None:
        """Within `together`, before what must not be done twice: start anew if it is not alone."""

    def patient(self, call: Callable[[], _T]) -> _T:
        """Do something that may be done twice; waits where the storage is away.

        Within `together` it waits for nothing: all of that is done anew.
        """

    def working(self, owner: str, beat: Callable[[], None]) -> AbstractContextManager[None]:
        """For as long as a worker of this name works, others can tell that it lives.

        beat: says so of each of its trials, where that is how they tell.
        """

    def beat(self, trial_id: int) -> None:
        """Say that the owner of a trial lives."""

    def is_dead(self, trial_id: int, owner: str) -> bool:
        """Whether the owner of a running trial is gone."""


def open_storage(address: str | None, home: Path) -> Storage:
    """The database of an address, else a journal. Raises UserError.

    home: the folder of the search on this machine.
    """
    if address:
        from experiments.search.storages.database import Database

        return Database(address, home)
    from experiments.search.storages.journal import Journal

    return Journal(home)
