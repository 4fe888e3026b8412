"""The address of a database for studies, as its user gives it."""

from __future__ import annotations

import re
from typing import NamedTuple

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from experiments.errors import UserError

EXAMPLE = "postgresql://USER@HOST/DATABASE"
_INSTEAD = "or leave STORAGE (--storage) out for a journal below OUT"


class Address(NamedTuple):
    """url: for SQLAlchemy, without the password, so that nothing that shows it has that.

    password: None where none is given: the system's own way (PGPASSWORD, ~/.pgpass) counts then.
    """

    url: URL
    password: str | None

    def __str__(self) -> str:
        """For people, and for what is logged."""
        return self.url.set(drivername="postgresql").render_as_string()


def address(given: str) -> Address:
    """A database for studies by its address. Raises UserError; no error shows a password."""
    scheme, parted, rest = given.partition("://")
    scheme = scheme.lower()
    kind, _, driver = scheme.partition("+")
    if not parted:
        raise UserError(f"--storage: is no address of a database; give {EXAMPLE}, {_INSTEAD}")
    if kind == "sqlite":
        raise UserError(
            "--storage: SQLite is for one machine, as the journal below OUT is; leave STORAGE "
            f"(--storage) out, or give {EXAMPLE}"
        )
    if kind not in ("postgresql", "postgres"):
        raise UserError(
            f"--storage: {kind} was not tried with a search, PostgreSQL was; give {EXAMPLE}, "
            f"{_INSTEAD}"
        )
    if driver not in ("", "psycopg"):
        raise UserError(
            f"--storage: {driver} is not the driver that is used, psycopg is; give {EXAMPLE}"
        )
    who, _, where = rest.rpartition("@")
    # What has these unescaped is understood in more than one way, and may be shown where it is cut.
    if re.search(r"[\s/?#'\"]", who):
        raise UserError(
            "--storage: write what is special in a user or a password as %2F for /, %3F for ?, "
            "%23 for #, %20 for a space"
        )
    if "password" in where.partition("?")[2].lower():
        raise UserError(
            "--storage: no password belongs behind the ?; write it as USER:PASSWORD@HOST, or into "
            "~/.pgpass or PGPASSWORD"
        )
    try:
        url = make_url(f"postgresql+psycopg://{rest}")
    except (ArgumentError, ValueError):
        raise UserError(f"--storage: is no address of a database; give {EXAMPLE}") from None
    if not url.database:
        raise UserError(f"--storage: names no database; give {EXAMPLE}")
    password = str(url.password) if url.password is not None else None
    return Address(URL.create(**{**url._asdict(), "password": None}), password)
