"""A server that is away, for now or for good; it stands here for MLflow's."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from mlflow import MlflowException

from analysis import absence, tracking_server
from analysis.place import StoreError
from analysis.tracking_server import ServerClient

RUN = {"info": {"run_id": "a" * 32, "experiment_id": "1", "artifact_uri": "mlflow-artifacts:/1/a"}}


HANGS = "hangs"


class Fake:
    """answers: what it answers to the next requests, (status, content); the last stays."""

    def __init__(self, port=0, answers=((200, {}),)):
        self.answers, self.asked = list(answers), []
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self):
                content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                fake.asked.append((self.path.partition("?")[0].rpartition("/")[2], content))
                status, said = fake.answers.pop(0) if len(fake.answers) > 1 else fake.answers[0]
                if status is HANGS:
                    time.sleep(2)
                if status in (None, HANGS):
                    return self.connection.close()
                self.send_response(status)
                body = said if isinstance(said, bytes) else json.dumps(said).encode()
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = do_PUT = answer  # noqa: N815

            def log_message(self, *_):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.uri = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self):
        self.http.shutdown()
        self.http.server_close()


@pytest.fixture
def fake(monkeypatch):
    monkeypatch.setattr(tracking_server, "BETWEEN_CONFLICTS", 0.01)
    monkeypatch.setattr(absence, "PAUSE", 0.01)
    monkeypatch.setattr(absence, "PATIENCE", 5.0)
    server = Fake()
    yield server
    server.stop()


@pytest.mark.parametrize("away", [(503, b"busy"), (502, b""), (500, {}), (429, {}), (None, None)])
def test_it_waits_and_says_so_in_a_line(fake, away, caplog):
    fake.answers = [away, away, away, (200, {"run": RUN})]
    client = ServerClient(fake.uri)
    assert client.get_run("a" * 32).info.run_id == "a" * 32
    assert len(fake.asked) == 4
    (said,) = caplog.messages
    assert said.startswith(f"{fake.uri}: ")
    assert said.endswith("; waiting for it")
    # The next absence is another one.
    fake.answers = [away, (200, {"run": RUN})]
    client.get_run("a" * 32)
    assert len(caplog.messages) == 2


def test_it_waits_for_one_that_is_not_there_yet(fake, caplog):
    port = fake.http.server_port
    fake.stop()
    again = []

    def start():
        again.append(Fake(port, [(200, {"run": RUN})]))

    threading.Timer(0.3, start).start()
    try:
        assert ServerClient(fake.uri).get_run("a" * 32).info.run_id == "a" * 32
    finally:
        again[0].stop()
    assert len(caplog.messages) == 1


def test_one_that_hangs_is_not_called_unreachable(fake, monkeypatch, caplog):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    fake.answers = [(HANGS, None), (200, {"run": RUN})]
    assert ServerClient(fake.uri).get_run("a" * 32).info.run_id == "a" * 32
    (said,) = caplog.messages
    assert "does not answer in time" in said


def test_its_patience_ends_with_a_line(fake, monkeypatch):
    monkeypatch.setattr(absence, "PATIENCE", 0.05)
    fake.answers = [(503, b"")]
    with pytest.raises(StoreError, match=r"answers that it cannot.*the same command goes on"):
        ServerClient(fake.uri).get_run("a" * 32)


@pytest.mark.parametrize(
    ("answer", "line"),
    [
        ((401, {"error_code": "UNAUTHENTICATED", "message": "no"}), "MLFLOW_TRACKING_USERNAME"),
        ((401, b"Unauthorized"), "MLFLOW_TRACKING_USERNAME"),
        ((403, {"error_code": "PERMISSION_DENIED", "message": "no"}), "no right"),
        ((404, b"<html>"), "is no MLflow server"),
        ((200, b"<html>"), "is no MLflow server"),
    ],
)
def test_what_waiting_does_not_help_is_said_at_once(fake, monkeypatch, answer, line):
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "anna")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "s3cret")
    fake.answers = [answer]
    with pytest.raises(StoreError, match=line) as said:
        ServerClient(fake.uri).get_run("a" * 32)
    assert len(fake.asked) == 1
    assert "s3cret" not in str(said.value)


def test_any_other_answer_is_mlflows_own(fake):
    fake.answers = [(404, {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "gone"})]
    with pytest.raises(MlflowException, match="gone"):
        ServerClient(fake.uri).get_run("a" * 32)


def test_what_two_write_at_the_same_moment_is_tried_again_and_not_for_ever(fake, caplog):
    refused = {"error_code": "BAD_REQUEST", "message": "(psycopg.errors.UniqueViolation) key"}
    fake.answers = [(400, refused), (400, refused), (200, {})]
    ServerClient(fake.uri).set_tag("a" * 32, "key", "value")
    assert len(fake.asked) == 3
    fake.answers, fake.asked = [(400, refused)], []
    with pytest.raises(MlflowException, match="UniqueViolation"):
        ServerClient(fake.uri).set_tag("a" * 32, "key", "value")
    assert 2 < len(fake.asked) < 10
    assert not caplog.messages


@pytest.mark.parametrize("made", [True, False])
def test_a_run_whose_answer_was_lost_is_made_once(fake, made):
    found = (200, {"runs": [RUN] if made else []})
    fake.answers = [(None, None), found, (200, {"run": RUN})]
    run = ServerClient(fake.uri).create_run("1", tags={"kind": "run"}, run_name="a run")
    assert run.info.run_id == "a" * 32
    asked = [name for name, _ in fake.asked]
    assert asked == ["create", "search"] if made else ["create", "search", "create"]
    # It is looked for by the word that it was made with.
    tags = {tag["key"]: tag["value"] for tag in json.loads(fake.asked[0][1])["tags"]}
    assert tags["made_as"] in fake.asked[1][1].decode()


@pytest.mark.parametrize("made", [True, False])
def test_a_model_whose_answer_was_lost_is_made_once(fake, made):
    model = {"info": {"model_id": "m-1", "experiment_id": "1", "name": "a", "source_run_id": "r"}}
    found = (200, {"models": [model] if made else []})
    fake.answers = [(None, None), found, (200, {"model": model})]
    one = ServerClient(fake.uri).create_logged_model("1", source_run_id="r", name="a")
    assert one.model_id == "m-1"
    asked = [name for name, _ in fake.asked]
    create = "logged-models"
    assert asked == [create, "search"] if made else [create, "search", create]
    assert "source_run_id = 'r'" in fake.asked[1][1].decode()
