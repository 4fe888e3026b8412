"""The database: made whole, recognised for what it is, waited for."""

import multiprocessing
import random
import re
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path
from unittest.mock import patch

import pytest
from mlflow.tracking import MlflowClient
from sqlalchemy import event
from sqlalchemy.engine import Engine

from experiments.errors import UserError
from experiments.records import client as clients
from experiments.records import store
from experiments.records.client import PatientClient
from experiments.records.store import check_store, ensure_store
from experiments.records.tracker import Tracker

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module", autouse=True)
def quick(make_store):
    """Here stores are made as they are; returns how the other tests make theirs."""
    copied = store._make
    with patch.object(store, "_make", make_store):
        yield copied


@pytest.fixture(scope="module")
def made(quick, tmp_path_factory):  # noqa: ARG001
    """A store without runs; to be copied."""
    out = tmp_path_factory.mktemp("made") / "out"
    ensure_store(out)
    return out


@pytest.fixture
def out(made, tmp_path):
    copy = shutil.copytree(made, tmp_path / "out")
    place = (copy / "artifacts").as_uri()
    change(copy, f"update experiments set artifact_location = '{place}'")
    return copy


def test_a_new_store_has_its_experiment_and_nothing_beside(made):
    assert sorted(file.name for file in made.iterdir()) == ["mlflow.db", "mlflow.lock"]
    with closing(sqlite3.connect(made / "mlflow.db")) as database:
        assert database.execute("pragma journal_mode").fetchone() == ("wal",)
        names = {name for (name,) in database.execute("select name from experiments")}
    assert "head-to-head" in names


def rows(out):
    """All that stands in the tables, without the times and numbers that MLflow draws."""
    with closing(sqlite3.connect(out / "mlflow.db")) as database:
        # Indexes come in any order, and so do the constraints within a table.
        parts = (sorted(re.split(r",\s*", one)) for one in database.iterdump())
        text = "\n".join(sorted(",".join(one) for one in parts))
    return re.sub(r"\b\d{13,}\b", "", text).replace(str(out), "OUT")


def test_the_stores_of_the_other_tests_are_as_one_that_is_made(made, quick, tmp_path):
    copy = tmp_path / "copy"
    copy.mkdir()
    quick(copy)
    assert rows(copy) == rows(made)
    assert str(copy) in "".join(Tracker(copy)._client.get_experiment("1").artifact_location)


@pytest.mark.slow
def test_it_is_not_there_until_it_is_whole(tmp_path, monkeypatch):
    seen = []
    create = MlflowClient.create_experiment

    def watching(self, *arguments, **options):
        seen.append((tmp_path / "out/mlflow.db").exists())
        return create(self, *arguments, **options)

    monkeypatch.setattr(MlflowClient, "create_experiment", watching)
    ensure_store(tmp_path / "out")
    assert seen == [False]


@pytest.mark.long
def test_killed_at_any_moment_of_its_making_it_is_made_by_the_next(tmp_path):
    context = multiprocessing.get_context("spawn")
    draw = random.Random(0)
    begun = time.monotonic()
    whole = context.Process(target=ensure_store, args=(tmp_path / "whole",))
    whole.start()
    whole.join()
    seconds = time.monotonic() - begun
    for number in range(12):
        out = tmp_path / str(number)
        process = context.Process(target=ensure_store, args=(out,))
        process.start()
        time.sleep(seconds * draw.random())
        process.kill()
        process.join()
        ensure_store(out)
        assert not list(out.glob(".store-*"))
        check_store(out)


OLDER = "update alembic_version set version_num = '451aebb31d03'"


def change(out, *statements):
    with closing(sqlite3.connect(out / "mlflow.db")) as database:
        for statement in statements:
            database.execute(statement)
        database.commit()


@pytest.mark.slow
def test_a_half_made_one_is_set_aside_and_made_anew(out, caplog):
    # What MLflow leaves when it is killed: some tables, and an older schema.
    change(out, OLDER, "drop table tags")
    before = (out / "mlflow.db").read_bytes()
    ensure_store(out)
    check_store(out)
    (aside,) = out.glob("mlflow-half-made-*.db")
    assert aside.read_bytes() == before
    assert aside.name in caplog.text


@pytest.mark.slow
def test_an_empty_file_is_a_half_made_one(tmp_path):
    (tmp_path / "mlflow.db").touch()
    ensure_store(tmp_path)
    check_store(tmp_path)


@pytest.mark.parametrize("kept", ["a run", "files of a run"])
def test_an_older_schema_with_runs_is_left_alone(out, kept):
    if kept == "a run":
        run = "insert into runs (run_uuid, experiment_id) values ('abc', 1)"
        change(out, "pragma ignore_check_constraints = on", run)
    else:
        (out / "artifacts/abc/artifacts").mkdir(parents=True)
    change(out, OLDER)
    before = (out / "mlflow.db").read_bytes()
    for opened in (ensure_store, check_store):
        with pytest.raises(UserError, match=r"another version of MLflow.*db upgrade '?sqlite"):
            opened(out)
    assert (out / "mlflow.db").read_bytes() == before
    assert not list(out.glob("mlflow-half-made-*"))


@pytest.mark.parametrize("damage", ["gone", "emptied", "garbage", "cut"])
def test_a_store_that_lost_its_database_is_never_begun_anew(out, damage):
    (out / "artifacts/abc/artifacts").mkdir(parents=True)
    file = out / "mlflow.db"
    content = {"emptied": b"", "garbage": b"garbage" * 1000, "cut": file.read_bytes()[:9000]}
    file.unlink()
    if damage in content:
        file.write_bytes(content[damage])
    for opened in (ensure_store, check_store):
        with pytest.raises(UserError, match=r"mlflow\.db: (is damaged|is gone|holds no)") as said:
            opened(out)
        assert "set OUT" in str(said.value)
    assert (file.read_bytes() if file.exists() else None) == content.get(damage)


def test_out_that_is_a_file(tmp_path):
    (tmp_path / "file").touch()
    for out in (tmp_path / "file", tmp_path / "file/below"):
        with pytest.raises(UserError, match="is no folder"):
            ensure_store(out)


def test_two_runs_that_begin_at_once_both_have_their_data_set(out, tmp_path):
    first, second = (Tracker(out).start_run(name, name, {"kind": "run"}) for name in "ab")
    between = []

    def other_first(_connection, _cursor, statement, *_):
        """MLflow has looked, and found no such data set; before it writes, the other one does."""
        if statement.lower().startswith("insert into datasets") and not between:
            between.append(statement)
            second.log_data("cells", tmp_path, "digest")

    event.listen(Engine, "before_cursor_execute", other_first)
    try:
        first.log_data("cells", tmp_path, "digest")
    finally:
        event.remove(Engine, "before_cursor_execute", other_first)
    first.end()
    second.end()
    assert between
    for run in Tracker(out).all_runs():
        assert [one.dataset.digest for one in run.inputs.dataset_inputs] == ["digest"]


def hold(file, held, seconds):
    database = sqlite3.connect(file, isolation_level=None)
    database.execute("begin exclusive")
    held.set()
    time.sleep(seconds)
    database.execute("rollback")
    database.close()


@pytest.fixture
def impatient(monkeypatch):
    """SQLite itself gives up at once, so that what is tested here has to wait."""
    monkeypatch.setattr(clients, "PAUSE", 0.05)

    def hurry(connection, cursor, statement, parameters, context, many):  # noqa: ARG001
        return statement.replace("busy_timeout = 20000", "busy_timeout = 1"), parameters

    event.listen(Engine, "before_cursor_execute", hurry, retval=True)
    yield
    event.remove(Engine, "before_cursor_execute", hurry)


def test_a_database_that_another_program_holds_is_waited_for(out, impatient, caplog, capfd):  # noqa: ARG001
    tracker = Tracker(out)
    held = threading.Event()
    holder = threading.Thread(target=hold, args=(out / "mlflow.db", held, 2))
    holder.start()
    held.wait()
    run = tracker._client.create_run(tracker.experiment_id)
    holder.join()
    assert tracker._client.get_run(run.info.run_id)
    assert caplog.text.count("another program holds it") == 1
    assert "Traceback" not in capfd.readouterr().err


def test_in_the_end_it_is_given_up_in_a_line(out, impatient, monkeypatch):  # noqa: ARG001
    monkeypatch.setattr(clients, "PATIENCE", 0.5)
    tracker = Tracker(out)
    held = threading.Event()
    holder = threading.Thread(target=hold, args=(out / "mlflow.db", held, 4))
    holder.start()
    held.wait()
    with pytest.raises(UserError, match=r"mlflow\.db: another program has held it"):
        tracker._client.create_run(tracker.experiment_id)
    holder.join()


def test_a_database_that_cannot_even_be_looked_at_is_given_up_in_a_line(out, monkeypatch):
    monkeypatch.setattr(clients, "PATIENCE", 0.5)
    monkeypatch.setattr(clients, "PAUSE", 0.05)

    def held(_):
        raise BUSY

    with closing(sqlite3.connect(out / "mlflow.db", timeout=0)) as one:
        one.execute("begin exclusive")
        with (
            closing(sqlite3.connect(out / "mlflow.db", timeout=0)) as other,
            pytest.raises(sqlite3.OperationalError) as found,
        ):
            other.execute("begin exclusive")
    BUSY = found.value  # noqa: N806
    monkeypatch.setattr(store, "look", held)
    begun = time.monotonic()
    with pytest.raises(UserError, match=r"mlflow\.db: another program has held it"):
        check_store(out)
    assert time.monotonic() - begun < 10


def test_a_folder_of_somebody_elses_stays(tmp_path):
    mine = tmp_path / ".mlflow.db-mine" / "kept"
    mine.parent.mkdir()
    mine.write_text("mine")
    left = tmp_path / ".mlflow.db-of_a_killed_one" / "mlflow.db"
    left.parent.mkdir()
    left.touch()
    ensure_store(tmp_path)
    assert mine.exists()
    assert not left.parent.exists()


def test_other_errors_are_not_waited_for(out):
    client = PatientClient(out, store.address(out))
    begun = time.monotonic()
    with pytest.raises(Exception, match="nowhere"):
        client.get_run("nowhere")
    assert time.monotonic() - begun < 20


@pytest.mark.slow
def test_it_is_read_where_the_process_that_wrote_it_was_killed(out):
    # It leaves its log of changes beside the database.
    code = (
        "import os, sys; from pathlib import Path\n"
        "from experiments.records.tracker import Tracker\n"
        "Tracker(Path(sys.argv[1])).start_run('a', 'hash', {'kind': 'run'})\n"
        "os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", code, out], cwd=ROOT, check=False)
    assert (out / "mlflow.db-wal").stat().st_size
    assert len(Tracker(out, reading=True)._search("tags.kind = 'run'")) == 1
