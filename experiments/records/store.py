"""The database file of a store: made whole, and recognised for what it is.

MLflow makes its tables in dozens of steps, so a new database is made under another name, and gets
its own once it is whole.
"""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
import sys
import tempfile
from contextlib import closing
from functools import cache
from pathlib import Path
from urllib.parse import quote

# Before MLflow: it says what that logs and reports.
from experiments.records.client import patient

# isort: split
import mlflow.store.db.utils as mlflow_database
from mlflow.tracking import MlflowClient

from analysis.place import TRACKING, Place, is_local, masked, place_of
from analysis.record import EXPERIMENT, STORE, address
from experiments.errors import UserError
from experiments.files import free_name, lock, whole
from experiments.records.views import experiment_tags
from experiments.shell import python

_log = logging.getLogger(__name__)

_MAKING = f".{STORE}-"


def open_place(out: Path) -> Place:
    """Where the runs of `out` are recorded; which server that is, is said once on standard error.

    Raises StoreError for an address that is no server's.
    """
    place = place_of(out)
    given = os.environ.get(TRACKING, "").strip()
    if place.server is not None:
        _say(f"runs are recorded at {place.server}, experiment {place.experiment}")
    elif given and is_local(given):
        _say(
            f"{TRACKING}={masked(given)} is no server and stays unused: runs are recorded in "
            f"{out / STORE}"
        )
    return place


@cache
def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def ensure_out(out: Path) -> None:
    """Make the folder where there is none. Raises UserError for something else of that name."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise UserError(f"{out}: is no folder; set OUT (--out) to one") from None


def ensure_store(out: Path) -> None:
    """The store of `out`, made where there is none. Raises UserError for one that is of no use."""
    ensure_out(out)
    with lock(out / "mlflow.lock"):
        file = out / STORE
        if file.exists() and _half_made(file):
            aside = free_name(file, "half-made")
            _set_aside(file, aside)
            _log.warning("%s: was left half-made, without any run; it is now %s", file, aside.name)
        if file.exists():
            check_store(out)
        else:
            _refuse_to_begin_anew(out)
            _make(out)


def check_store(out: Path) -> None:
    """Raises UserError where the database of `out` is none, damaged, or of another schema."""
    file = out / STORE
    if not file.is_file():
        _refuse_to_begin_anew(out)
        raise UserError(f"{out}: no runs here; make some with make ablation, or set --out")
    version = _version(file)
    if version == _newest():
        return
    if version is None:
        _refuse_to_begin_anew(out)
        raise UserError(
            f"{file}: holds no MLflow tables; put a copy of it back, or set OUT (--out) to a new "
            "folder"
        )
    upgrade = python("-m", "mlflow", "db", "upgrade", address(out))
    raise UserError(
        f"{file}: was made by another version of MLflow (schema {version}); keep a copy, then run: "
        f"{upgrade}, or install the MLflow that made it"
    )


def _make(out: Path) -> None:
    """Under the lock: make the database elsewhere below `out`, then give it its name."""
    for left in out.glob(f"{_MAKING}*"):  # by a process that was killed
        if left.is_dir() and all(file.name.startswith(STORE) for file in left.iterdir()):
            shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=_MAKING, dir=out, ignore_cleanup_errors=True) as making:
        MlflowClient(address(Path(making)), registry_uri=address(Path(making))).create_experiment(
            EXPERIMENT,
            artifact_location=(out.resolve() / "artifacts").as_uri(),
            tags=experiment_tags(),
        )
        # A copy by SQLite: whole, whatever MLflow still keeps open.
        with (
            whole(out / STORE, replace=False, alone=True) as copy,
            closing(sqlite3.connect(Path(making, STORE))) as source,
            closing(sqlite3.connect(copy)) as target,
        ):
            source.backup(target)
            # Write-ahead logging: a reader, such as the UI, never holds up a run.
            target.execute("PRAGMA journal_mode=WAL")


def _newest() -> str:
    """The schema of this MLflow."""
    return str(mlflow_database._get_latest_schema_revision())  # type: ignore[no-untyped-call]


def look(file: Path) -> sqlite3.Connection:
    """A connection to a database, which makes no file."""
    if os.access(file, os.W_OK) and os.access(file.parent, os.W_OK):
        how = "mode=rw"  # SQLite first has to end what a killed program was at
    else:
        log = file.with_name(f"{STORE}-wal")
        how = "mode=ro" if log.exists() and log.stat().st_size else "immutable=1"
    return sqlite3.connect(f"file:{quote(str(file.resolve()))}?{how}", uri=True)


def _version(file: Path) -> str | None:
    """The schema's version; None where there is none. Raises UserError for a damaged file."""

    def read() -> list[tuple[str]]:
        with closing(look(file)) as database:
            return database.execute("SELECT version_num FROM alembic_version").fetchall()

    try:
        found = patient(read, file)()
    except sqlite3.DatabaseError as error:
        if "no such table" in str(error):
            return None
        if not os.access(file, os.R_OK):
            raise UserError(f"{file}: may not be read; get the right to, or set OUT") from error
        raise UserError(
            f"{file}: is damaged ({error}); put a copy of it back, or set OUT (--out) to a new "
            "folder"
        ) from error
    return str(found[0][0]) if found else None


def _half_made(file: Path) -> bool:
    """Whether the making of this database was cut short: older, and nothing was ever put in it."""
    if any((file.parent / "artifacts").glob("*")):
        return False
    if _version(file) == _newest():
        return False
    with closing(look(file)) as database:
        tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master")}
        return not any(
            database.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchone()
            for table in ("runs", "registered_models", "traces", "trace_info")
            if table in tables
        )


def _set_aside(file: Path, aside: Path) -> None:
    for suffix in ("-wal", "-shm", ""):
        part = file.with_name(file.name + suffix)
        if part.exists():
            part.rename(aside.with_name(aside.name + suffix))


def _refuse_to_begin_anew(out: Path) -> None:
    """A store without its database is not an empty one. Raises UserError."""
    runs = len(list((out / "artifacts").glob("*/artifacts")))
    if runs:
        raise UserError(
            f"{out / STORE}: is gone or empty, though the files of {runs} runs lie in "
            f"{out / 'artifacts'}; put a copy of it back, or set OUT (--out) to a new folder"
        )
