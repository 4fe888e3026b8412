"""MLflow's client of a place, which waits while the store is held by another program, or away."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

# Before MLflow: it says what that logs and reports.
from analysis.tracking_server import CONFLICTS, ServerClient, is_conflict

# isort: split
from mlflow.tracking import MlflowClient

from analysis.place import Place
from analysis.record import STORE
from experiments.errors import UserError

# A database is made without 60 log lines.
logging.getLogger("alembic").setLevel(logging.WARNING)

# What MLflow says of a database error, with a traceback, is said here, in a line.
logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
logging.getLogger("mlflow.system_metrics").setLevel(logging.CRITICAL)

_log = logging.getLogger(__name__)

# How long to wait for a database that another program holds, and between two attempts.
PATIENCE, PAUSE = 120.0, 1.0  # seconds


def patient(call: Callable[..., Any], file: Path) -> Callable[..., Any]:
    """The call, made again while another program holds the database file. Raises UserError.

    Also where two runs that begin at once write the row of the data set that they have in common.
    """

    def waiting(*arguments: Any, **options: Any) -> Any:
        begun = time.monotonic()
        said = False
        conflicts = 0
        while True:
            try:
                return call(*arguments, **options)
            except Exception as error:
                if is_conflict(error) and conflicts < CONFLICTS:
                    conflicts += 1
                    continue
                if not _is_busy(error):
                    raise
                if time.monotonic() - begun > PATIENCE:
                    raise UserError(
                        f"{file}: another program has held it for {PATIENCE:.0f} s; close that, "
                        "and the same command goes on from here"
                    ) from error
            if not said:
                _log.warning("%s: another program holds it; waiting for it", file)
                said = True
            time.sleep(PAUSE)

    return waiting


class PatientClient:
    """MLflow's client of one store, which waits while another program holds the database.

    It knows its tracking and its registry address from here alone, whatever the environment says.
    """

    def __init__(self, out: Path, uri: str) -> None:
        self._file = out / STORE
        self._client = patient(MlflowClient, self._file)(uri, registry_uri=uri)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._client, name)
        return patient(found, self._file) if callable(found) else found


Client = PatientClient | ServerClient


def open_client(place: Place, *, reading: bool = False) -> Client:
    """MLflow's client of a place, which waits where the store is held, or away, for now."""
    if place.server is not None:
        return ServerClient(place.server)
    return PatientClient(place.out, place.uri(reading=reading))


def _is_busy(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, sqlite3.Error):
            return getattr(error, "sqlite_errorname", "").startswith(
                ("SQLITE_BUSY", "SQLITE_LOCKED")
            )
        error = error.__cause__
    return False
