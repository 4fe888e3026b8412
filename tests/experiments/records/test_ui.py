"""MLflow's own pages: of which store, how they are started, and where to begin."""

import os
import socket
from urllib.parse import parse_qs

import pytest
import uvicorn
from mlflow.server import constants
from sqlalchemy import make_url

from analysis.record import MODEL
from experiments.deploy.registry import Registry
from experiments.errors import UserError
from experiments.ports import HOST
from experiments.records import ui
from experiments.records.tracker import Tracker
from experiments.records.views import VIEW


@pytest.fixture
def out(tmp_path):
    Tracker(tmp_path / "out")
    return tmp_path / "out"


@pytest.fixture
def free_port():
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        return taken.getsockname()[1]


@pytest.fixture
def served(monkeypatch):
    """What was served, and with which environment, in place of serving it."""
    # A copy: the pages' environment is that of a process which does nothing else.
    monkeypatch.setattr(os, "environ", os.environ.copy())
    calls = []
    monkeypatch.setattr(uvicorn, "run", lambda app, **how: calls.append((app, how)))
    return calls


def test_a_port_that_is_taken_is_an_error_of_a_line(out, served):
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=f"port {port}: .*; choose another"):
            ui.browse(out, port)
    assert not served


def test_its_pages_are_of_this_store_whatever_its_name_and_the_environment(
    out, free_port, tmp_path, served
):
    named = out.rename(tmp_path / "why?1 %20")
    # By the first it reads runs from elsewhere, by the second models; the third opens it to pages.
    for name in ("READ_REPLICA_BACKEND_STORE", "REGISTRY_STORE", "ALLOWED_HOSTS"):
        for given in (f"MLFLOW_{name}_URI", f"_MLFLOW_SERVER_{name}", f"MLFLOW_SERVER_{name}"):
            os.environ[given] = "sqlite:////elsewhere.db"
    ui.browse(named, free_port)
    ((_, how),) = served
    assert (how["host"], how["port"]) == ("127.0.0.1", free_port)
    for variable in (constants.BACKEND_STORE_URI_ENV_VAR, constants.REGISTRY_STORE_URI_ENV_VAR):
        assert make_url(os.environ[variable]).database == str(named / "mlflow.db")
    assert "elsewhere" not in str(os.environ)
    assert os.environ["PATH"]
    assert os.environ["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] == "false"  # it answers sooner


@pytest.fixture
def links(out, free_port, served, capsys):
    """Prints and returns the links to its pages, by what they show."""

    def printed():
        served.clear()
        ui.browse(out, free_port)
        assert len(served) == 1
        said = capsys.readouterr().out.splitlines()
        return {what: link.strip() for what, _, link in (line.partition(":") for line in said)}

    return printed


def test_its_pages_are_named_by_what_they_show(out, free_port, links):
    links = links()
    assert set(links) == {"arms", "runs", "curves", "models", "champion"}
    # Pages for models in training, not for chats.
    for link in links.values():
        assert parse_qs(link.partition("?")[2])["workflowType"] == ["machine_learning"]
    (experiment,) = Tracker(out)._client.search_experiments(filter_string="name = 'head-to-head'")
    for shown in ("arms", "runs"):
        page, _, asked = links[shown].partition("?")
        assert page == f"http://127.0.0.1:{free_port}/#/experiments/{experiment.experiment_id}/runs"
        # The pages follow a view only where nothing else is chosen.
        assert parse_qs(asked).keys() == {"viewStateShareKey", "workflowType"}
        assert VIEW + parse_qs(asked)["viewStateShareKey"][0] in experiment.tags
    assert links["curves"].startswith(f"{links['runs']}&")


def test_the_champion_has_a_page_of_its_own_once_there_is_one(out, free_port, links):
    models = f"http://127.0.0.1:{free_port}/#/models"
    assert links()["champion"].partition("?")[0] == models
    Registry(out, reading=False)._client.create_registered_model(MODEL)
    assert links()["champion"].partition("?")[0] == f"{models}/{MODEL}"


def test_where_there_is_no_view_the_link_chooses_the_runs_itself(out, links):
    tracker = Tracker(out)
    for shown in ("arms", "runs"):
        tracker._client.delete_experiment_tag(tracker.experiment_id, VIEW + shown)
    links = links()
    for kind, by in (("arm", "exact_match"), ("run", "val.exact_match")):
        asked = parse_qs(links[f"{kind}s"].partition("?")[2])
        assert asked["searchFilter"] == [f"tags.kind = '{kind}'"]
        assert (asked["orderByKey"], asked["orderByAsc"]) == ([f"metrics.`{by}`"], ["false"])
