"""Which errors are a line: those of the surroundings, however wrapped. Ours are tracebacks."""

import errno
import sqlite3
from contextlib import closing

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from experiments.errors import UserError, explain, one_line


def wrapped(error):
    """As a library hands on what happened below it, twice."""
    try:
        try:
            try:
                raise error
            except Exception as inner:
                raise RuntimeError("of a library") from inner
        except RuntimeError as middle:
            raise ValueError("of another") from middle
    except ValueError as outer:
        return outer


@pytest.mark.parametrize("hand_on", [lambda error: error, wrapped])
def test_errors_of_the_system_name_the_file_and_the_way_out(hand_on):
    for code, way_out in (
        (errno.ENOSPC, "make room"),
        (errno.EACCES, "change its rights"),
        (errno.EROFS, "set OUT"),
        (errno.EMFILE, "ulimit -n"),
    ):
        said = explain(hand_on(OSError(code, "why", "/a/file")))
        assert said.startswith("/a/file: ")
        assert way_out in said
    assert "make room" in explain(OSError(errno.ENOSPC, "why"))
    assert "batch_size" in explain(hand_on(MemoryError()))


def written_to(file):
    """The error of weights that cannot be written there."""
    with pytest.raises(SafetensorError) as raised:
        save_file({"a": torch.ones(100_000)}, file)
    return raised.value


@pytest.mark.parametrize("hand_on", [lambda error: error, wrapped])
def test_no_room_for_weights_is_a_line(hand_on):
    error = SafetensorError("Error while serializing: I/O error: No space left (os error 28)")
    assert "make room" in explain(hand_on(error))


def test_weights_for_a_folder_that_is_not_there_are_a_bug(tmp_path):
    # The number is read from what the library says today: it would be in vain elsewhere.
    error = written_to(tmp_path / "no" / "weights")
    assert f"(os error {errno.ENOENT})" in str(error)
    assert explain(error) is None


@pytest.mark.parametrize(
    "bug",
    [
        FileNotFoundError(errno.ENOENT, "No such file", "/our/own"),
        IsADirectoryError(errno.EISDIR, "Is a directory", "/our/own"),
        KeyError("x"),
        RuntimeError("shapes"),
        sqlite3.OperationalError("no such table: ours"),
    ],
)
def test_a_bug_of_ours_is_no_line(bug):
    assert explain(bug) is None
    assert explain(wrapped(bug)) is None


def database_error(tmp_path, kind):
    file = tmp_path / "a.db"
    with closing(sqlite3.connect(file, timeout=0)) as database:
        database.execute("create table a (b)")
        database.commit()
        if kind == "garbage":
            file.write_bytes(b"garbage" * 1000)
        if kind == "full":
            database.execute("pragma max_page_count = 2")
        with closing(sqlite3.connect(file, isolation_level=None)) as other:
            if kind == "held":
                other.execute("begin exclusive")
            with pytest.raises(sqlite3.Error) as caught:
                database.execute("insert into a values (zeroblob(100000))")
    return caught.value


@pytest.mark.parametrize(
    ("kind", "way_out"),
    [("garbage", "put a copy of it back"), ("full", "make room"), ("held", "another program")],
)
def test_errors_of_the_database_are_told_apart(tmp_path, kind, way_out):
    error = database_error(tmp_path, kind)
    for given in (error, wrapped(error)):
        assert way_out in explain(given)
        assert "mlflow.db" in explain(given)


def test_what_would_steer_a_terminal_is_escaped():
    assert one_line("a\x1b[31m b\x07\n  c\u202e") == "a\\x1b[31m b\\x07 c\\u202e"
    assert one_line("12½ é −") == "12½ é −"


@pytest.mark.parametrize(("error", "code"), [(UserError("a\x1b[0m\nb"), 2), (OSError(28, "x"), 2)])
def test_the_command_line_ends_with_a_line(cli, monkeypatch, tmp_path, error, code):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr("experiments.sweep.pipeline.report", fail)
    ended, _, err = cli("report", "--out", tmp_path)
    assert (ended, err.count("\n")) == (code, 1)
    assert "\x1b" not in err
    ended, _, err = cli("--debug", "report", "--out", tmp_path)
    assert ended == code
    assert "Traceback" in err
    assert cli("report", "--out", tmp_path)[2].count("\n") == 1  # the next is as before


def test_a_bug_is_a_traceback(cli, monkeypatch, tmp_path):
    def fail(*_, **__):
        raise FileNotFoundError(2, "No such file or directory", "ours")

    monkeypatch.setattr("experiments.sweep.pipeline.report", fail)
    with pytest.raises(FileNotFoundError):
        cli("report", "--out", tmp_path)


def test_out_below_a_file_is_refused(cli, tmp_path):
    (tmp_path / "file").touch()
    for out in (tmp_path / "file", tmp_path / "file/a/b"):
        ended, _, err = cli("report", "--out", out)
        assert ended == 2
        assert f"{tmp_path / 'file'}: is no folder" in err
