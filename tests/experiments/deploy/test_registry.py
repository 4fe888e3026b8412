"""The champion: which run it is, what MLflow is given of it, and what its server answers."""

import base64
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import mlflow
import pandas as pd
import pytest
from mlflow.pyfunc import scoring_server
from mlflow.tracking import MlflowClient
from PIL import Image

from experiments.deploy.reading.predict import open_reader, predict
from experiments.deploy.registry import Registry
from experiments.errors import UserError
from experiments.records.tracker import Tracker
from tests.command_line import one_line

ROOT = Path(__file__).parents[3]


def write_run(
    out, name, val, *, loss=None, digest="d", dataset="cells", test=0.5, status="FINISHED"
):
    """A run's record without the training; returns its id."""
    tags = {"kind": "run", "data_digest": digest, "dataset": dataset}
    record = Tracker(out).start_run(name, name, tags)
    record.log_metrics({"val.exact_match": val, "test.exact_match": test})
    if loss is not None:
        record.log_metrics({"val.loss": loss})
    predictions = out / "predictions.csv"
    predictions.write_text("")
    record.log_file(predictions)
    record.end(status)
    return record.run_id


def test_the_best_is_chosen_on_validation_alone(tmp_path):
    write_run(tmp_path, "worse", 0.90, test=1.0)
    best = write_run(tmp_path, "best", 0.92, test=0.1)
    write_run(tmp_path, "as good, later", 0.92, test=1.0)
    write_run(tmp_path, "unfinished", 0.99, status="FAILED")
    lost = write_run(tmp_path, "lost its files", 0.99)
    (tmp_path / "artifacts" / lost / "artifacts/predictions.csv").unlink()
    assert Registry(tmp_path).best() == best


def test_of_runs_that_read_as_much_the_one_with_the_least_loss_is_best(tmp_path):
    write_run(tmp_path, "of an older recipe", 0.92)
    write_run(tmp_path, "more", 0.92, loss=0.7)
    least = write_run(tmp_path, "least", 0.92, loss=0.4)
    write_run(tmp_path, "fewer right", 0.91, loss=0.1)
    assert Registry(tmp_path).best() == least


def test_runs_on_different_data_are_not_held_against_each_other(cli, tmp_path):
    strings = write_run(tmp_path, "a", 0.99, digest="1", dataset="strings")
    write_run(tmp_path, "b", 0.7, digest="2")
    cells = write_run(tmp_path, "c", 0.8, digest="2")
    result = cli("register", "--out", tmp_path)
    one_line(result, "2 data sets", f"{strings} of strings", f"{cells} of cells", "--run")


def test_nothing_to_choose_from(cli, tmp_path):
    one_line(cli("register", "--out", tmp_path), tmp_path, "make ablation")
    one_line(cli("serve", "--out", tmp_path), tmp_path, "make ablation")
    assert list(tmp_path.iterdir()) == []
    write_run(tmp_path, "a", 0.9, status="FAILED")
    one_line(cli("register", "--out", tmp_path), "no finished run")
    one_line(cli("register", "--run", "nope", "--out", tmp_path), "nope")
    one_line(cli("serve", "--out", tmp_path), "no champion", "register")
    # As an ensemble is: finished, with readings, and without a model of its own.
    finished = write_run(tmp_path, "b", 0.9)
    one_line(cli("register", "--run", finished, "--out", tmp_path), finished, "no weights")


@pytest.fixture(scope="module")
def theirs(tmp_path_factory):
    """The store of another project."""
    return Tracker(tmp_path_factory.mktemp("theirs")).uri


@pytest.fixture(scope="module")
def champion(store, theirs):
    """The run latent_lstm as champion; the folder of its registered model."""
    path = list(sys.path)
    before = MlflowClient(Tracker(store.out).uri).get_run(store.runs["latent_lstm"])
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("MLFLOW_TRACKING_URI", theirs)
        environment.setenv("MLFLOW_REGISTRY_URI", theirs)
        environment.setenv("MLFLOW_RUN_ID", "0" * 32)
        version = Registry(store.out).register(store.runs["latent_lstm"])
    sys.path[:] = path  # MLflow leaves a temporary folder there
    after = MlflowClient(Tracker(store.out).uri).get_run(store.runs["latent_lstm"])
    # The record of the run is as it was.
    assert before.info.to_proto() == after.info.to_proto()
    assert before.data.to_dictionary() == after.data.to_dictionary()
    model_id = version.source.removeprefix("models:/")
    yield store.out / "artifacts/models" / model_id / "artifacts"
    # Other tests find the store without one.
    MlflowClient(Tracker(store.out).uri).delete_registered_model("head-to-head")


@pytest.fixture
def loaded(store, champion, monkeypatch):  # noqa: ARG001
    """The champion as any MLflow client loads it."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    uri = Tracker(store.out).uri
    # MLflow writes both into the environment too, and leaves them there.
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"):
        monkeypatch.setenv(name, uri)
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    yield mlflow.pyfunc.load_model("models:/head-to-head@champion")
    mlflow.set_tracking_uri(None)
    mlflow.set_registry_uri(None)


def test_the_registry_of_another_project_is_left_alone(store, theirs, champion):  # noqa: ARG001
    assert MlflowClient(theirs, registry_uri=theirs).search_registered_models() == []
    ours = Tracker(store.out).uri
    (model,) = MlflowClient(ours, registry_uri=ours).search_registered_models()
    assert model.name == "head-to-head"


def test_its_page_says_what_it_is_and_a_version_what_its_run_does(store, champion):  # noqa: ARG001
    client = MlflowClient(Tracker(store.out).uri)
    (model,) = client.search_registered_models()
    assert "alias `champion`" in model.description
    (version,) = model.latest_versions
    said = Tracker(store.out).tags(store.runs["latent_lstm"])["mlflow.note.content"]
    assert said
    assert version.description == said[:5000]  # more than that some databases refuse


def test_the_model_has_a_signature_and_an_example(loaded):
    signature = loaded.metadata.signature.to_dict()
    assert json.loads(signature["inputs"]) == [
        {"type": "binary", "name": "image", "required": True}
    ]
    outputs = [(o["name"], o["type"]) for o in json.loads(signature["outputs"])]
    assert outputs == [("value", "string"), ("confidence", "double"), ("characters", "array")]
    assert loaded.metadata.saved_input_example_info is not None
    (row,) = loaded.predict(loaded.input_example).to_dict("records")
    assert set(row) == {"value", "confidence", "characters"}
    assert len(row["characters"]) == len(row["value"])


def test_the_model_is_no_pickle_and_names_no_file_of_the_users(champion):
    files = [file for file in champion.rglob("*") if file.is_file()]
    names = {str(file.relative_to(champion)) for file in files}
    # MLflow leaves a note of the version's name where a model was loaded.
    assert {n for n in names if not n.startswith("code/")} - {"registered_model_meta"} == {
        "MLmodel", "conda.yaml", "python_env.yaml", "requirements.txt",
        "input_example.json", "serving_input_example.json",
        "data/trained/config.json", "data/trained/weights.safetensors",
    }  # fmt: skip
    for file in files:
        assert file.suffix not in {".pkl", ".pickle", ".pt", ".pth", ".bin"}
        assert not file.read_bytes().startswith(b"\x80"), file  # a pickle's first byte
    assert "pickle" not in (champion / "MLmodel").read_text()
    assert "code/experiments/deploy/serving.py" in names
    assert not any("__pycache__" in name for name in names)
    needed = (champion / "requirements.txt").read_text().split()
    assert f"torch=={__import__('torch').__version__.partition('+')[0]}" in needed


def payload(files):
    images = [[base64.b64encode(file.read_bytes()).decode()] for file in files]
    return json.dumps({"dataframe_split": {"columns": ["image"], "data": images}})


def expected_of(store, files):
    rows = predict(open_reader(store.artifacts("latent_lstm")), files)
    return [(row.value, pytest.approx(float(row.confidence), rel=1e-4)) for row in rows]


def test_mlflow_answers_what_predict_says(store, loaded):
    files = sorted(store.images.iterdir())[:5]
    schema = loaded.metadata.get_input_schema()
    answer = scoring_server.invocations(payload(files), "application/json", loaded, schema)
    assert answer.status == 200
    found = json.loads(answer.response)["predictions"]
    assert [(row["value"], row["confidence"]) for row in found] == expected_of(store, files)


def test_what_is_no_image_is_refused_by_its_reason(loaded):
    with pytest.raises(UserError, match="not a readable image"):
        loaded.predict(pd.DataFrame({"image": [b"no image"]}))
    with pytest.raises(mlflow.MlflowException, match="missing inputs"):
        loaded.predict(pd.DataFrame({"picture": [b"no image"]}))


def test_predict_takes_the_champion_unasked(cli, store, champion):  # noqa: ARG001
    command = ("predict", store.images, "--out", store.out)
    found = cli(*command)
    assert found[0] == 0
    assert found[1] == cli(*command, "--run", store.runs["latent_lstm"])[1]
    assert found[1] != cli(*command, "--run", store.runs["columns"])[1]


def test_a_run_is_one_version_and_the_last_one_chosen_is_champion(cli, store, champion):  # noqa: ARG001
    first, other = store.runs["latent_lstm"], store.runs["columns"]
    said = [cli("register", "--run", run, "--out", store.out)[1] for run in (first, other, first)]
    assert [line.split("champion: ")[1] for line in said] == [
        f"run {run}, version {version} of head-to-head\n"
        for run, version in ((first, 1), (other, 2), (first, 1))
    ]
    assert Registry(store.out).champion().run_id == first


def test_a_taken_port_is_refused(cli, store, champion):  # noqa: ARG001
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        one_line(cli("serve", "--port", port, "--out", store.out), port, "in use", "another")


def post(port, body):
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/invocations", body.encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


@pytest.mark.slow  # the server loads torch and MLflow once more
def test_the_server_reads_a_posted_image(store, champion, tmp_path):  # noqa: ARG001
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with (tmp_path / "log").open("w") as log:
        command = [sys.executable, "-m", "experiments", "serve", "--port", str(port)]
        command += ["--out", str(store.out)]
        server = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, start_new_session=True)
    try:
        end = time.monotonic() + 180
        while True:
            assert server.poll() is None, (tmp_path / "log").read_text()
            assert time.monotonic() < end, (tmp_path / "log").read_text()
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=5).close()
                break
            except OSError:
                time.sleep(0.5)
        files = sorted(store.images.iterdir())[:3]
        found = post(port, payload(files))["predictions"]
        assert [(row["value"], row["confidence"]) for row in found] == expected_of(store, files)
        # A PNG of the same pixels reads the same; what is no image is the sender's fault.
        Image.open(files[0]).save(tmp_path / "same.png")
        (same,) = post(port, payload([tmp_path / "same.png"]))["predictions"]
        assert [(same["value"], same["confidence"])] == expected_of(store, files[:1])
        with pytest.raises(urllib.error.HTTPError) as refused:
            post(port, payload([tmp_path / "log"]))
        assert refused.value.code == 400
        said = refused.value.read().decode()
        assert "not a readable image" in said
        assert not re.search(r"Traceback|\.py|/\w+/", said)
        refused.value.close()
        foreign = urllib.request.Request(
            f"http://127.0.0.1:{port}/ping", headers={"Host": "evil.example"}
        )
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(foreign, timeout=5)
        assert refused.value.code == 400
        refused.value.close()
        # On this machine alone.
        with pytest.raises(OSError, match="refused"):
            socket.create_connection(("127.0.0.2", port), timeout=5)
    finally:
        server.terminate()
        server.wait(timeout=30)
    end = time.monotonic() + 30
    while is_there(server.pid):
        if time.monotonic() > end:
            os.killpg(server.pid, signal.SIGKILL)
            pytest.fail("the server went on after it was stopped")
        time.sleep(0.2)


@pytest.mark.slow  # each command loads torch and MLflow once more
def test_code_that_came_with_a_model_runs_where_it_is_served_alone(store, champion, tmp_path):
    marker = tmp_path / "ran"
    before = {file: file.read_bytes() for file in champion.rglob("*.py")}
    command = (sys.executable, "-P", "-m", "experiments")
    commands = {
        "predict": (*command, "predict", str(store.images), "--out", str(store.out)),
        "report": (*command, "report", "--out", str(store.out)),
        # As the server does before it listens.
        "serve": (
            *(sys.executable, "-P", "-c"),
            "import sys, mlflow; mlflow.set_tracking_uri(sys.argv[1]); "
            "mlflow.pyfunc.load_model('models:/head-to-head@champion')",
            Tracker(store.out).uri,
        ),
    }
    ran = {}
    try:
        for file, text in before.items():
            file.write_bytes(text + f"\nopen({str(marker)!r}, 'w').close()\n".encode())
        for name, words in commands.items():
            environment = os.environ | ({} if name == "serve" else {"PYTHONPATH": str(ROOT)})
            subprocess.run(words, cwd=tmp_path, env=environment, check=True, capture_output=True)
            ran[name] = marker.exists()
    finally:
        for file, text in before.items():
            file.write_bytes(text)
    assert ran == {"predict": False, "report": False, "serve": True}


def is_there(group):
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
