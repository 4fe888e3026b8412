"""A store whose folder was moved: the addresses in its database, whole paths, follow it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote, urlsplit

from analysis.record import EXPERIMENT, STORE
from experiments.errors import UserError
from experiments.files import free_name, lock, whole
from experiments.records.store import check_store

# Where MLflow writes down in which folder files lie.
_ADDRESSES = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)


def move(out: Path) -> list[str]:
    """Rewrite the addresses in the store of `out`, so that its runs go on where it is now.

    Returns what was done, in lines. A copy of the database as it was is kept beside it, and no file
    of a run is touched. Raises UserError for a store that is none, in use, or was not moved.
    """
    check_store(out)
    file, now = out / STORE, (out.resolve() / "artifacts").as_uri()
    busy = f"{out}: an ablation is at work there; wait for it, and then move its addresses"
    with (
        lock(out / "ablation.lock", otherwise=busy),
        lock(out / "mlflow.lock"),
        closing(sqlite3.connect(file)) as database,
    ):
        before = _recorded(database, out)
        if before == now:
            raise UserError(f"{out}: its addresses are those of this folder; nothing to do")
        kept = free_name(file, "before-move")
        with (
            whole(kept, replace=False, alone=True) as copy,
            closing(sqlite3.connect(copy)) as target,
        ):
            database.backup(target)
        with database:  # all of them or none
            changed = sum(_rewrite(database, *at, before, now) for at in _ADDRESSES)
    return [
        f"{changed} addresses in {file} now begin with {now} instead of {before}",
        f"the database as it was: {kept}",
        "the next command goes on from the runs that it has",
    ]


def _recorded(database: sqlite3.Connection, out: Path) -> str:
    """The address of all files, as the experiment has it. Raises UserError."""
    query = "SELECT artifact_location FROM experiments WHERE name = ?"
    found = database.execute(query, (EXPERIMENT,)).fetchone()
    if found is None or urlsplit(found[0]).scheme != "file":
        raise UserError(f"{out}: has no runs of its own that could be moved")
    if not unquote(found[0]).endswith("/artifacts"):
        raise UserError(f"{out}: its files lie in {found[0]}, which is not below it; leave it so")
    return str(found[0])


def _rewrite(database: sqlite3.Connection, table: str, column: str, before: str, now: str) -> int:
    """How many addresses began with `before` and begin with `now` from here on."""
    begins = f"{column} = ?1 OR substr({column}, 1, length(?1) + 1) = ?1 || '/'"
    change = f"UPDATE {table} SET {column} = ?2 || substr({column}, length(?1) + 1) WHERE {begins}"
    return database.execute(change, (before, now)).rowcount
