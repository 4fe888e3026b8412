"""Why a database cannot have studies, in a line with the way out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy
from sqlalchemy.exc import SQLAlchemyError

from experiments.errors import UserError
from experiments.search.storages.address import Address

# Tables that MLflow makes, and Optuna does not.
_MLFLOWS = {"experiments", "runs", "latest_metrics"}

# In what PostgreSQL says, and what helps.
_WAYS_OUT = {
    "password authentication failed": "correct USER:PASSWORD in STORAGE (--storage), or ~/.pgpass",
    "no password supplied": "give USER:PASSWORD in STORAGE (--storage), or use ~/.pgpass",
    "Connection refused": "start it, or correct STORAGE (--storage)",
    'FATAL: database "': "make it (createdb), or correct STORAGE (--storage)",
    'FATAL: role "': "make it (createuser), or correct STORAGE (--storage)",
    "permission denied": "its owner has to let this user make tables there (GRANT CREATE ON SCHEMA "
    "public TO ...)",
}


def refuse_others(connection: sqlalchemy.Connection, where: Address) -> None:
    """Raise UserError for a database that has something else, before anything is written."""
    tables = set(sqlalchemy.inspect(connection).get_table_names())
    # Both note their version in a table of this name: the later one would take it for its own.
    if tables >= _MLFLOWS or ("alembic_version" in tables and "studies" not in tables):
        whose = "MLflow" if tables >= _MLFLOWS else "another program"
        raise UserError(
            f"{where}: has the tables of {whose}; make a database for studies alone (createdb "
            "NAME), and give its address as STORAGE (--storage)"
        )


@contextmanager
def refusing(where: Address) -> Iterator[None]:
    """A database that cannot be used from the beginning, as a UserError with the way out."""
    try:
        yield
    except ImportError as error:
        raise UserError(
            f"{where}: needs the driver psycopg ({error}); install it: "
            ".venv/bin/pip install -e '.[server]'"
        ) from error
    except SQLAlchemyError as error:
        said = words_of(error)
        ways = (way for words, way in _WAYS_OUT.items() if words in said)
        way_out = next(ways, "see to the database, or correct STORAGE (--storage)")
        raise UserError(f"{where}: {said}; {way_out}") from error
    except RuntimeError as error:  # tables of another version of Optuna
        raise UserError(f"{where}: {error}") from error


def words_of(error: BaseException) -> str:
    """What is wrong, in the database's words, without the statement that was made."""
    found: BaseException | None = error
    while found is not None:
        if (original := getattr(found, "orig", None)) is not None:
            return " ".join(str(original).split())
        found = found.__cause__
    return " ".join(str(error).split())
