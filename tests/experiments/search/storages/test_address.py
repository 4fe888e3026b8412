"""The address of a database for studies: what is taken, what is refused, what is shown of it."""

from __future__ import annotations

import sys

import pytest

from experiments.errors import UserError
from experiments.search.storages.address import address
from experiments.search.storages.database import Database
from tests.command_line import one_line
from tests.servers import free_port

WORD = "s3cret"


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg", "PostgreSQL"])
def test_the_driver_is_the_one_that_the_suite_installs(scheme):
    where = address(f"{scheme}://anna:{WORD}%2F%40@lab:5433/studies?sslmode=require")
    assert where.url.drivername == "postgresql+psycopg"
    assert (where.url.username, where.url.host, where.url.port) == ("anna", "lab", 5433)
    assert where.url.database == "studies"
    assert where.url.query == {"sslmode": "require"}
    assert where.password == f"{WORD}/@"
    assert str(where) == "postgresql://anna@lab:5433/studies?sslmode=require"


def test_the_password_may_come_from_elsewhere():
    where = address("postgresql:///studies")
    assert (where.password, where.url.host, str(where)) == (None, None, "postgresql:///studies")


def test_nothing_that_shows_an_address_has_its_password():
    where = address(f"postgresql://anna:{WORD}@lab/studies")
    assert WORD not in str(where)
    assert WORD not in where.url.render_as_string(hide_password=False)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (f"mysql+pymysql://anna:{WORD}@lab/studies", "mysql was not tried"),
        (f"redis://:{WORD}@lab", "redis was not tried"),
        ("sqlite:///studies.db", "SQLite is for one machine"),
        (f"postgresql+psycopg2://anna:{WORD}@lab/studies", "psycopg2 is not the driver"),
        (f"postgresql://anna:{WORD}@lab", "names no database"),
        (f"postgresql://anna:{WORD}@lab/", "names no database"),
        (f"postgresql://anna:{WORD}@lab:port/studies", "is no address"),
        (f"anna:{WORD}@lab/studies", "is no address"),
        # What would be cut elsewhere, and then shown.
        (f"postgresql://anna:a/{WORD}@lab/studies", "%2F"),
        (f"postgresql://anna:it's {WORD}@lab/studies", "%20"),
        (f"postgresql://lab/studies?user=anna&password={WORD}", "no password belongs behind"),
    ],
)
def test_what_is_refused_is_so_without_its_password(given, said):
    with pytest.raises(UserError, match=said) as refused:
        address(given)
    assert WORD not in str(refused.value)


def test_a_command_refuses_in_a_line_before_anything_is_made(cli, make_cells, tmp_path):
    out = tmp_path / "out"
    command = ("search", "--data", make_cells(), "--out", out, "--storage")
    one_line(cli(*command, "mysql://lab/studies"), "PostgreSQL", "postgresql://USER@HOST/DATABASE")
    assert not (out / "search").exists()


def test_the_environment_names_it_as_well(cli, make_cells, tmp_path, monkeypatch):
    # So that the list of processes does not show it.
    monkeypatch.setenv("HEAD_TO_HEAD_STORAGE", "sqlite:///studies.db")
    one_line(cli("search", "--data", make_cells(), "--out", tmp_path), "SQLite is for one machine")


def test_one_that_is_not_there_is_said_at_once(tmp_path):
    pytest.importorskip("psycopg")
    port = free_port()
    with pytest.raises(UserError, match=rf"127.0.0.1:{port}/studies: .*start it, or correct"):
        Database(f"postgresql://anna:{WORD}@127.0.0.1:{port}/studies", tmp_path)


def test_without_its_driver_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(UserError, match=r"needs the driver psycopg .*pip install -e"):
        Database("postgresql://anna@127.0.0.1/studies", tmp_path)
