"""One PostgreSQL, and one MLflow server on it, for the tests of this folder."""

import os

import pytest

from tests.servers import postgres, tracking_server


@pytest.fixture(scope="session")
def database():
    with postgres() as running:
        yield running


@pytest.fixture(scope="session")
def shared_server(database):
    with tracking_server(database.database("mlflow")) as running:
        yield running


@pytest.fixture
def server(shared_server, monkeypatch, request):
    """The server that the environment names, with an experiment for this test alone."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", shared_server.uri)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", request.node.name)
    # What the code under test moves there out of an address.
    for name in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"):
        monkeypatch.setenv(name, os.environ.get(name, ""))
    return shared_server
