"""A search in a database: the one of a journal, whoever makes its trials and whatever stops."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from analysis.place import place_of
from experiments.records.tracker import Tracker
from experiments.search.storages import database as module
from experiments.search.storages.database import Database
from experiments.search.study import Study
from tests.command_line import one_line
from tests.experiments.search.test_search import PRESET
from tests.experiments.search.test_worker import HANGS, PARAMETERS, TELL, Home, Programs
from tests.servers import HOST, free_port, postgres

pytestmark = pytest.mark.long

WORD = "s3cretW0rd"
STUDIES = ("tpe", "random")
# Long enough for a database to stop in the middle of it.
SLOW = TELL.replace("time.sleep(0.02)", "time.sleep(0.3)")

# A worker on another machine: another process, with a folder of its own.
WORKER = """
import sys
from pathlib import Path
from experiments.search.storages import database
from tests.experiments.search.test_worker import HANGS, Home, Programs
database.BEAT, database.LOOK, database.DEAD = 0.5, 0.2, 5.0
out, address, trials, hang = sys.argv[1:]
programs = Programs()
if hang == "hang":
    programs.script = dict.fromkeys(range(99), HANGS)
Home(Path(out), "mine", address=address).worker(int(trials)).work(programs)
print("started", *programs.started)
"""


@pytest.fixture
def studies(database, request):
    """The address of a new database."""
    return database.database(request.node.name[-60:])


@pytest.fixture
def soon(monkeypatch):
    monkeypatch.setattr(module, "BEAT", 0.5)
    monkeypatch.setattr(module, "LOOK", 0.2)
    monkeypatch.setattr(module, "DEAD", 5.0)


def worker(out, address, trials, kind="good"):
    return subprocess.Popen(
        [sys.executable, "-c", WORKER, str(out), address, str(trials), kind],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
        # With what it has started, as a machine that is switched off.
        start_new_session=True,
    )


def without_chance(record):
    """What a search wrote down, but for times, machines and who made which trial."""
    del record["made_by"]
    for study in record["studies"]:
        for trial in study["trials"]:
            del trial["owner"], trial["about"]["seconds"]
    return record


def chapter(out):
    """What the report says of the search. The order of arms that read as much is by chance."""
    _, _, text = (out / "report/report.md").read_text().partition("### What tuning changed")
    text, _, _ = text.partition("\n### ")
    assert "2 complete" in text
    text = re.sub(r"[0-9a-f]{32}", "RUN", text.replace(str(out), "OUT"))
    return re.sub(r" --storage postgresql://\S+/studies", "", text)


@pytest.mark.usefixtures("server", "in_process")
def test_a_search_is_the_one_of_a_journal(
    database, shared_server, cli, make_cells, tmp_path, monkeypatch
):
    database.user("anna", WORD)
    database.database("studies")
    address = database.address("studies", f"anna:{WORD}")
    data = make_cells(train=24, dev=6, val=8, human=2)
    (tmp_path / "mine.toml").write_text(PRESET.replace(', "random"', ""))
    far, near = tmp_path / "far", tmp_path / "near"
    command = ["search", "--preset", tmp_path / "mine.toml", "--data", data, "--arm", "ctc"]
    command += ["--jobs", 1]
    code, said, error = cli(*command, "--out", far, "--storage", address)
    assert code == 0, error
    assert not (far / "search/mine-ctc/journal.log").exists()
    for run in Tracker(far).all_runs():
        assert WORD not in str(run.to_dictionary())
    everything = [*far.rglob("*"), *shared_server.artifacts.rglob("*")]
    for file in [one for one in everything if one.is_file()]:
        assert WORD.encode() not in file.read_bytes(), file
    assert WORD not in said + error

    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert place_of(near).server is None
    code, said, error = cli(*command, "--out", near)
    assert code == 0, error
    assert (near / "search/mine-ctc/journal.log").exists()
    of_database, of_journal = (
        without_chance(json.loads((out / "search/mine-ctc/search.json").read_text()))
        for out in (far, near)
    )
    assert of_database == of_journal
    assert sum(len(study["trials"]) for study in of_journal["studies"]) == 2
    assert (far / "search/mine-ctc/mine-ctc-best.toml").read_text().replace(str(far), "") == (
        near / "search/mine-ctc/mine-ctc-best.toml"
    ).read_text().replace(str(near), "")
    assert chapter(far) == chapter(near)
    for name in ("comparisons.csv", "search-budget.csv"):
        one, other = (list((out / "report").rglob(name)) for out in (far, near))
        assert one[0].read_text() == other[0].read_text(), name


@pytest.mark.usefixtures("soon")
def test_a_database_that_restarts_is_waited_for(tmp_path, caplog, capfd):
    programs = Programs()
    programs.script = dict.fromkeys(range(9), SLOW)
    with postgres() as own:
        home = Home(tmp_path / "out", "mine", address=own.database("studies"))
        # One after the other: what is drawn does not depend on what runs beside it.
        work = threading.Thread(target=home.worker(5, jobs=1).work, args=(programs,), daemon=True)
        work.start()
        for started in (3, 6):
            while len(programs.started) < started:
                time.sleep(0.05)
            own.stop()
            time.sleep(6)
            own.start()
            time.sleep(3)
        work.join(timeout=120)
        assert not work.is_alive()
        made = [study.tried() for study in home.studies()]
    assert [[trial.state for trial in study] for study in made] == [["complete"] * 5] * 2
    assert Counter(programs.started) == Counter(f"{s}/{n}" for s in STUDIES for n in range(5))
    # A line for each of the two times.
    assert len(caplog.messages) == 2
    assert all(line.endswith("; waiting for it") for line in caplog.messages)
    assert "Traceback" not in capfd.readouterr().err
    whole = Home(tmp_path / "whole", "mine")
    whole.worker(5, jobs=1).work(Programs())
    for study, unbroken in zip(made, whole.studies(), strict=True):
        assert [(t.drawn, t.value, t.reported) for t in study] == [
            (t.drawn, t.value, t.reported) for t in unbroken.tried()
        ]


def test_two_machines_make_each_trial_once(studies, tmp_path):
    # Both begin at once, also with the tables.
    both = [worker(tmp_path / name, studies, 8) for name in ("one", "two")]
    said = [one.communicate(timeout=300)[0] for one in both]
    assert [one.returncode for one in both] == [0, 0]
    started = [line.split()[1:] for text in said for line in text.splitlines() if "started" in line]
    assert all(started)
    assert Counter(one for line in started for one in line) == Counter(
        f"{s}/{n}" for s in STUDIES for n in range(8)
    )
    assert Home(tmp_path / "one", "mine", address=studies).states() == [["complete"] * 8] * 2


@pytest.mark.usefixtures("soon")
def test_the_trials_of_a_machine_that_died_are_made_by_another_with_their_settings(
    studies, tmp_path
):
    programs = Programs()
    home = Home(tmp_path / "one", "mine", address=studies)
    dead = worker(tmp_path / "two", studies, 3, "hang")
    try:
        while sum(map(len, home.states())) < 2:
            time.sleep(0.2)
        begun = [study.tried()[0] for study in home.studies()]
        work = threading.Thread(target=home.worker(3).work, args=(programs,), daemon=True)
        work.start()
        while sum(state == "complete" for study in home.states() for state in study) < 4:
            time.sleep(0.2)
        # It lives: its trials are its own, however long they take.
        time.sleep(2 * module.DEAD)
        assert home.states() == [["running", "complete", "complete"]] * 2
        assert [study.tried()[0].owner for study in home.studies()] == [t.owner for t in begun]
    finally:
        os.killpg(dead.pid, signal.SIGKILL)
        dead.communicate()
    work.join(timeout=60)
    assert not work.is_alive()
    assert home.states() == [["complete"] * 3] * 2
    assert Counter(programs.started) == Counter(f"{s}/{n}" for s in STUDIES for n in range(3))
    assert [study.tried()[0].drawn for study in home.studies()] == [t.drawn for t in begun]
    for study in STUDIES:
        one, two = (
            (tmp_path / out / "search/mine" / study / "0/settings.json").read_text()
            for out in ("one", "two")
        )
        assert one == two


@pytest.mark.usefixtures("soon")
def test_a_worker_that_was_taken_for_dead_leaves_its_trials(studies, tmp_path, monkeypatch, capfd):
    hanging, good = Programs(), Programs()
    hanging.script = dict.fromkeys(range(9), HANGS)
    silent = Home(tmp_path / "silent", "mine", ("tpe",), studies)
    other = Home(tmp_path / "other", "mine", ("tpe",), studies)
    first = threading.Thread(target=silent.worker(2, jobs=1).work, args=(hanging,), daemon=True)
    with monkeypatch.context() as patched:
        # As one whose network is gone for a while.
        patched.setattr(Study, "beat", lambda *_: True)
        first.start()
        while not hanging.started:
            time.sleep(0.1)
        second = threading.Thread(target=other.worker(2, jobs=1).work, args=(good,), daemon=True)
        second.start()
        second.join(timeout=60)
        assert not second.is_alive()
    first.join(timeout=30)
    assert not first.is_alive()
    assert [process.returncode for process in hanging.processes] == [-signal.SIGTERM]
    assert other.states() == [["complete", "complete"]]
    assert sorted(good.started) == ["tpe/0", "tpe/1"]
    assert "trial 0 another worker has taken it over" in capfd.readouterr().out


def test_a_worker_that_is_started_again_goes_on_at_once(studies, tmp_path):
    home = Home(tmp_path, "mine", ("tpe",), studies)
    dead = worker(tmp_path, studies, 1, "hang")
    while not home.states()[0]:
        time.sleep(0.2)
    os.killpg(dead.pid, signal.SIGKILL)
    dead.communicate()
    begun = time.monotonic()
    home.worker(1).work(Programs())
    assert home.states() == [["complete"]]
    assert time.monotonic() - begun < module.DEAD / 2


def test_another_machine_cannot_decide_in_the_middle(studies, tmp_path):
    turns = []

    def take(name):
        storage = Database(studies, tmp_path / name)

        def decide():
            turns.append(name)
            time.sleep(0.3)
            turns.append(name)

        for _ in range(3):
            storage.together(decide)

    threads = [threading.Thread(target=take, args=(name,)) for name in "ab"]
    for one in threads:
        one.start()
    for one in threads:
        one.join(timeout=60)
    assert len(turns) == 12
    assert turns[::2] == turns[1::2]


def test_who_lost_its_turn_decides_anew(studies, tmp_path, monkeypatch):
    monkeypatch.setattr("analysis.absence.PAUSE", 0.1)
    storage = Database(studies, tmp_path)
    study = Study(storage, "s", "tpe", 0, PARAMETERS)
    attempts = []

    def decide():
        attempts.append(len(study.tried()))
        if len(attempts) == 1:
            # The connection with the lock alone is cut, and another worker has its turn.
            assert storage._deciding is not None
            storage._deciding.connection.driver_connection.close()
            Database(studies, tmp_path).together(lambda: None)
        return study.ask("me") if not study.tried() else study.tried()[0]

    assert storage.together(decide).number == 0
    assert attempts == [0, 0]
    assert len(study.tried()) == 1


def test_a_database_that_cannot_have_studies_is_refused_in_a_line(
    database, shared_server, cli, make_cells, tmp_path
):
    assert shared_server.uri
    database.user("berta", WORD)
    database.database("empty")
    data = make_cells()

    def refused(address):
        return cli("search", "--data", data, "--out", tmp_path / "out", "--storage", address)

    one_line(refused(database.address("mlflow")), "has the tables of MLflow", "createdb")
    one_line(refused(database.address("nowhere")), '"nowhere" does not exist', "createdb")
    result = refused(database.address("empty", "berta:wr0ng"))
    one_line(result, "password authentication failed", "correct USER:PASSWORD")
    assert "wr0ng" not in result[2]
    one_line(refused(database.address("empty", "berta")), "no password supplied", "~/.pgpass")
    one_line(refused(f"postgresql://{HOST}:{free_port()}/x"), "Connection refused", "start it")
    one_line(refused("postgresql://no.such.host.invalid/x"), "no.such.host.invalid")
    # Nothing was written to MLflow's.
    assert not (tmp_path / "out/search").exists()
