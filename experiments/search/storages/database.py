"""The studies of several machines, in PostgreSQL by Optuna's RDBStorage.

Optuna would end a trial whose heartbeat is too old, and begin another in its place under another
number. A search promises so many trials, each with the settings that its number draws; so here
a trial whose owner died keeps its number and settings, and gets another owner. Its heartbeat is
noted where Optuna notes them, and watched by each worker with a clock of its own: no two machines'
clocks are compared, and time in which nobody could write is no silence.
"""

from __future__ import annotations

import logging
import threading
import time
import warnings
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy
from optuna.exceptions import ExperimentalWarning, StorageInternalError
from optuna.storages import RDBStorage
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from analysis.absence import Absence
from experiments.errors import UserError
from experiments.files import is_held, lock
from experiments.search.storages.address import Address, address
from experiments.search.storages.owners import is_of_this_machine, owner_file
from experiments.search.storages.refusals import refuse_others, refusing, words_of

_T = TypeVar("_T")

# In seconds: how often a worker says that it lives, how often others look, and after which silence
# they go on with its trials.
BEAT, LOOK, DEAD = 20, 2.0, 180

# What decides is one lock for a whole database: it is held for a moment.
_LOCK = 0x4832485345415243
# Who holds it for longer than this, such as a machine that sleeps, loses it.
_LONGEST_HOLD = "60s"

# A server that vanished is noticed within half a minute, also while its answer is waited for.
_NOTICE = {
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}


class AwayError(Exception):
    """The database cannot be reached for now.

    No error of SQLAlchemy, for which Optuna would try some calls again by itself, and could begin
    a trial twice.
    """


class Database:
    """Studies in a database of their own; see Storage."""

    def __init__(self, given: str, home: Path) -> None:
        """Open it, and make its tables where there are none. Raises UserError."""
        self._home, where = home, address(given)
        self._place = str(where)
        self.look = LOOK
        # The connection that has the lock, while this worker decides.
        self._deciding: sqlalchemy.Connection | None = None
        self._watched: dict[int, tuple[object, float]] = {}
        # A broken connection is said by ourselves, in one line.
        logging.getLogger("sqlalchemy.pool").setLevel(logging.CRITICAL)
        with refusing(where):
            self._locks = sqlalchemy.create_engine(
                where.url, connect_args=_connect(where), poolclass=NullPool
            )
            with self._locked() as connection:
                refuse_others(connection, where)
                self.optuna = _storage(where)
        for engine in (self._locks, self.optuna.engine):
            sqlalchemy.event.listen(engine, "handle_error", _tell_away)
            weakref.finalize(self, engine.dispose)  # its connections end with it

    def together(self, decide: Callable[[], _T]) -> _T:
        """See Storage."""
        assert self._deciding is None  # else it would wait for itself

        def decided() -> _T:
            with self._locked() as connection:
                self._deciding = connection
                try:
                    return decide()
                finally:
                    self._deciding = None

        return self._waiting(decided)

    def confirm(self) -> None:
        """See Storage; another worker has its turn once the connection with the lock is gone."""
        assert self._deciding is not None
        self._deciding.execute(sqlalchemy.text("SELECT 1"))

    def patient(self, call: Callable[[], _T]) -> _T:
        """See Storage."""
        return call() if self._deciding is not None else self._waiting(call)

    @contextmanager
    def working(self, owner: str, beat: Callable[[], None]) -> Iterator[None]:
        """See Storage."""
        ended = threading.Event()

        def beats() -> None:
            while not ended.wait(BEAT):
                try:
                    beat()
                except (AwayError, StorageInternalError, OperationalError):
                    # What is wrong the worker itself says, at its next look.
                    self._forget_silence()

        with lock(owner_file(self._home, owner)):
            thread = threading.Thread(target=beats, daemon=True)
            thread.start()
            try:
                yield
            finally:
                ended.set()
                thread.join()

    def beat(self, trial_id: int) -> None:
        """See Storage."""
        self.optuna.record_heartbeat(trial_id)

    def is_dead(self, trial_id: int, owner: str) -> bool:
        """See Storage; of one that worked in this folder the lock says it at once."""
        file = owner_file(self._home, owner)
        if is_of_this_machine(owner) and file.is_file():
            return not is_held(file)
        with self.optuna.engine.connect() as connection:
            beat = connection.execute(_HEARTBEAT, {"trial": trial_id}).scalar()
        now, heard = time.monotonic(), (owner, beat)
        last, since = self._watched.get(trial_id, (None, now))
        if heard != last:
            self._watched[trial_id] = (heard, now)
            return False
        return now - since > DEAD

    def _waiting(self, call: Callable[[], _T]) -> _T:
        absence = Absence(self._place)
        while True:
            try:
                answer = call()
            except AwayError as error:
                self._forget_silence()
                absence.wait(str(error))
            except (StorageInternalError, OperationalError) as error:  # such as a full disk
                said = f"{self._place}: {words_of(error)}"
                raise UserError(f"{said}; put that right, and the same command goes on") from error
            else:
                absence.over()
                return answer

    def _forget_silence(self) -> None:
        """Nobody could say anything while the database was away."""
        self._watched.clear()

    @contextmanager
    def _locked(self) -> Iterator[sqlalchemy.Connection]:
        with self._locks.begin() as connection:
            connection.execute(_SHORT)
            connection.execute(_HOLD, {"key": _LOCK})
            yield connection


_SHORT = sqlalchemy.text(f"SET LOCAL idle_in_transaction_session_timeout = '{_LONGEST_HOLD}'")
_HOLD = sqlalchemy.text("SELECT pg_advisory_xact_lock(:key)")
_HEARTBEAT = sqlalchemy.text("SELECT heartbeat FROM trial_heartbeats WHERE trial_id = :trial")


def _connect(where: Address) -> dict[str, Any]:
    given = {} if where.password is None else {"password": where.password}
    return _NOTICE | given


def _storage(where: Address) -> RDBStorage:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return RDBStorage(
            # Optuna fills what stands in braces.
            where.url.render_as_string().replace("{", "{{").replace("}", "}}"),
            engine_kwargs={"connect_args": _connect(where), "pool_pre_ping": True},
        )


def _tell_away(context: sqlalchemy.engine.ExceptionContext) -> None:
    """Raise AwayError for a connection that broke, or that could not be made."""
    if context.is_pre_ping:  # the pool connects anew by itself
        return
    if context.is_disconnect:
        raise AwayError("the connection broke")
    if context.connection is None:
        _, _, refused = str(context.original_exception).partition("FATAL:")
        raise AwayError(" ".join(refused.split()) or "cannot be reached")
