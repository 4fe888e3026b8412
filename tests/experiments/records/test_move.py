"""A folder that was moved goes on after one command, and nothing of it is lost."""

import shutil
import sqlite3
from contextlib import closing

import pytest
from mlflow.tracking import MlflowClient

from experiments.deploy.registry import Registry
from experiments.errors import UserError
from experiments.files import lock
from experiments.records.move import move
from experiments.records.tracker import Tracker

FILES = {
    "config.json": "{}",
    "images.csv": "split,filename,group,clean,part,changed\n",
    "predictions.csv": "split,filename,truth,reading,confidence,label_loss\n",
}


def finished_run(out, run_hash="hash"):
    with Tracker(out).recording("a run", run_hash, {"kind": "run"}) as record:
        for name, text in FILES.items():
            (out / name).write_text(text)
            record.log_file(out / name)
    return record.run_id


def dump(file):
    with closing(sqlite3.connect(file)) as database:
        return "\n".join(database.iterdump())


@pytest.mark.parametrize("name", ["moved", "why?1 %20 ü's", "out-2"])
def test_runs_go_on_where_the_folder_is_now(tmp_path, name, cli):
    # A folder whose name begins like the one that was moved is another one.
    other = finished_run(tmp_path / "out-of-date")
    made = finished_run(tmp_path / "out")
    begun = Tracker(tmp_path / "out").start_run("another", "begun", {"kind": "run"})
    begun.log_epoch(0, {"val.exact_match": 0.5})
    begun.end("KILLED")
    moved = (tmp_path / "out").rename(tmp_path / name)
    before = dump(moved / "mlflow.db")
    with pytest.raises(UserError, match="head-to-head move --out "):
        Tracker(moved)

    code, said, _ = cli("move", "--out", moved)
    assert code == 0
    assert said.startswith("3 addresses in ")
    tracker = Tracker(moved)
    assert tracker.finished("hash") == made
    assert tracker.start_run("another", "begun", {"kind": "run"}).run_id == begun.run_id
    new = finished_run(moved, "new")
    assert (moved / "artifacts" / new / "artifacts/config.json").is_file()
    assert not (tmp_path / "out").exists()
    # By MLflow's own way from the run to its files.
    client = MlflowClient(tracker.uri)
    assert {file.path for file in client.list_artifacts(made)} == set(FILES)
    (kept,) = moved.glob("mlflow-before-move-*.db")
    assert dump(kept) == before
    assert Tracker(tmp_path / "out-of-date").finished("hash") == other


def test_a_copy_beside_the_first_is_one_of_its_own(tmp_path):
    made = finished_run(tmp_path / "out")
    copy = shutil.copytree(tmp_path / "out", tmp_path / "copy")
    move(copy)
    new = finished_run(copy, "new")
    assert Tracker(tmp_path / "out").finished("new") is None
    assert Tracker(tmp_path / "out").finished("hash") == made
    assert not (tmp_path / "out/artifacts" / new).exists()


def test_what_was_not_moved_is_left_alone(tmp_path):
    finished_run(tmp_path / "out")
    before = dump(tmp_path / "out/mlflow.db")
    with pytest.raises(UserError, match="nothing to do"):
        move(tmp_path / "out")
    with pytest.raises(UserError, match="no runs here"):
        move(tmp_path / "nothing")
    assert dump(tmp_path / "out/mlflow.db") == before
    assert not list((tmp_path / "out").glob("mlflow-before-*"))


def test_a_folder_at_work_is_left_alone(tmp_path):
    finished_run(tmp_path / "out")
    moved = (tmp_path / "out").rename(tmp_path / "moved")
    with lock(moved / "ablation.lock"), pytest.raises(UserError, match="at work"):
        move(moved)


def test_a_move_that_breaks_off_changes_nothing(tmp_path):
    finished_run(tmp_path / "out")
    moved = (tmp_path / "out").rename(tmp_path / "moved")
    with closing(sqlite3.connect(moved / "mlflow.db")) as database, database:
        # The last of the tables cannot be written.
        database.execute("insert into registered_models (name) values ('head-to-head')")
        database.execute(
            "insert into model_versions (name, version, storage_location, workspace) "
            f"values ('head-to-head', 1, '{(tmp_path / 'out/artifacts').as_uri()}', 'default')"
        )
        database.execute(
            "create trigger full before update on model_versions begin "
            "select raise(abort, 'full'); end"
        )
    before = dump(moved / "mlflow.db")
    with pytest.raises(sqlite3.DatabaseError):
        move(moved)
    assert dump(moved / "mlflow.db") == before


@pytest.mark.slow
def test_the_champion_still_reads_and_is_served_from_the_new_folder(store, tmp_path):
    copy = shutil.copytree(store.out, tmp_path / "copy")
    move(copy)
    registry = Registry(copy, reading=False)
    champion = registry.register(registry.best())
    again = copy.rename(tmp_path / "again")
    move(again)
    assert Registry(again).artifacts("champion").is_relative_to(again)
    client = MlflowClient(Registry(again).uri)
    version = client.get_model_version_by_alias("head-to-head", "champion")
    assert version.run_id == champion.run_id
    where = client.get_model_version_download_uri("head-to-head", version.version)
    assert where.startswith(again.as_uri())
