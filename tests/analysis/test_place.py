"""Which store an address names, and what of it is shown."""

import os

import pytest

from analysis.place import TRACKING, Place, StoreError, masked, place_of

USER, PASSWORD = "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    for name in (TRACKING, USER, PASSWORD, "MLFLOW_EXPERIMENT_NAME"):
        monkeypatch.setenv(name, "")  # so that what is set meanwhile goes again


def test_without_an_address_it_is_the_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "theirs")
    assert place_of(tmp_path) == Place(tmp_path)
    assert place_of(tmp_path).experiment == "head-to-head"
    assert not place_of(tmp_path).is_there()
    (tmp_path / "mlflow.db").touch()
    assert place_of(tmp_path).is_there()
    assert "mlflow.db" in place_of(tmp_path).uri()


@pytest.mark.parametrize(
    "theirs",
    ["sqlite:////home/me/m.db", "sqlite+pysqlite:///x.db", "file:///runs", "mlruns", "C:\\runs"],
)
def test_files_of_this_machine_are_another_projects(tmp_path, monkeypatch, theirs):
    monkeypatch.setenv(TRACKING, theirs)
    assert place_of(tmp_path) == Place(tmp_path)


def test_a_server_with_an_experiment_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setenv(TRACKING, "https://lab:5000/mlflow/")
    assert place_of(tmp_path) == Place(tmp_path, "https://lab:5000/mlflow")
    assert place_of(tmp_path).uri(reading=True) == "https://lab:5000/mlflow"
    assert place_of(tmp_path).is_there()
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "cells of May")
    assert place_of(tmp_path).experiment == "cells of May"


def test_a_password_is_nowhere_but_where_mlflow_looks_for_it(tmp_path, monkeypatch):
    monkeypatch.setenv(TRACKING, "http://anna:p%40ss%2Fword@lab:5000")
    place = place_of(tmp_path)
    assert str(place) == place.uri() == "http://lab:5000"
    assert os.environ[TRACKING] == "http://lab:5000"
    assert (os.environ[USER], os.environ[PASSWORD]) == ("anna", "p@ss/word")
    assert place_of(tmp_path) == place


@pytest.mark.parametrize(
    "wrong",
    ["postgresql://anna:secret@lab/m", "http://", "http://anna:secret@lab:port", "databricks://x"],
)
def test_what_is_no_server_is_refused_without_its_password(tmp_path, monkeypatch, wrong):
    monkeypatch.setenv(TRACKING, wrong)
    with pytest.raises(StoreError, match=TRACKING) as said:
        place_of(tmp_path)
    assert "secret" not in str(said.value)


def test_only_who_logs_in_is_masked():
    command = "--tracking http://anna:s3cret@lab:5000/x --data a@b http://lab/c@d"
    assert masked(command) == ("--tracking http://***@lab:5000/x --data a@b http://lab/c@d")
