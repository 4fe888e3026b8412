"""Runs on a tracking server: recorded, resumed, skipped, fetched whole, reported."""

import io
import re

import pandas as pd
import pytest

from analysis.place import place_of
from analysis.tables.load import load
from experiments.errors import UserError
from experiments.records.run_record import RunRecord
from experiments.records.tracker import Tracker
from experiments.settings.config import run_config
from experiments.sweep.pipeline import ablation_and_report
from experiments.training.run import run
from tests.in_process import InProcess

pytestmark = pytest.mark.long

FILES = {
    "config.json": "{}",
    "images.csv": "split,filename,group,clean,part,changed\n",
    "predictions.csv": "split,filename,truth,reading,confidence,label_loss\n",
}


def finished_run(out, run_hash="hash", files=FILES):
    with Tracker(out).recording("a run", run_hash, {"kind": "run"}) as record:
        for name, text in files.items():
            (out / name).write_text(text)
            record.log_file(out / name)
    return record.run_id


def stored(server, run_id, name):
    """A run's file where the server keeps it."""
    (file,) = server.artifacts.rglob(f"{run_id}/artifacts/{name}")
    return file


def test_files_come_from_the_server_once_and_whole(server, tmp_path):
    made = finished_run(tmp_path / "one")
    assert not (tmp_path / "one/mlflow.db").exists()
    assert not (tmp_path / "one/artifacts").exists()
    folder = Tracker(tmp_path / "two").artifacts(made)
    assert {file.name: file.read_text() for file in folder.iterdir()} == FILES
    # What is there is not fetched again; what was changed here is.
    stored(server, made, "config.json").rename(tmp_path / "aside")
    (folder / "images.csv").write_text("cut")
    with pytest.raises(UserError, match=r"config.json is missing"):
        Tracker(tmp_path / "two").artifacts(made)
    (tmp_path / "aside").rename(stored(server, made, "images.csv").with_name("config.json"))
    assert Tracker(tmp_path / "two").artifacts(made) == folder
    assert (folder / "images.csv").read_text() == FILES["images.csv"]


@pytest.mark.parametrize("damage", ["gone", "longer"])
def test_a_run_whose_files_are_not_whole_is_made_again(server, tmp_path, damage, caplog):
    old = finished_run(tmp_path)
    file = stored(server, old, "predictions.csv")
    if damage == "gone":
        file.unlink()
    else:
        file.write_text(FILES["predictions.csv"] + "x")
    tracker = Tracker(tmp_path)
    assert tracker.finished("hash") is None
    assert f"{old}: finished, but predictions.csv is" in caplog.text
    new = finished_run(tmp_path)
    assert tracker.finished("hash") == new
    assert tracker.tags(old)["replaced_by"] == new


def test_a_file_of_the_same_length_but_not_the_same_is_not_taken(server, tmp_path):
    made = finished_run(tmp_path)
    stored(server, made, "config.json").write_text("[]")
    with pytest.raises(UserError, match=r"config.json is damaged"):
        Tracker(tmp_path).artifacts(made)
    assert not (place_of(tmp_path).downloads(made) / "config.json").exists()


@pytest.mark.usefixtures("server")
def test_an_unfinished_run_goes_on_with_its_record(tmp_path, monkeypatch):
    # What is left over of another run steers nothing.
    monkeypatch.setenv("MLFLOW_RUN_ID", finished_run(tmp_path, "other"))
    tracker = Tracker(tmp_path)
    first = tracker.start_run("a run", "hash", {"kind": "run"})
    for epoch in (0, 1):
        first.log_epoch(epoch, {"val.exact_match": epoch / 10})
    first.end("KILLED")
    assert tracker.finished("hash") is None
    second = Tracker(tmp_path).start_run("a run", "hash", {"kind": "run"})
    assert second.run_id == first.run_id
    for epoch in (1, 2):
        second.log_epoch(epoch, {"val.exact_match": epoch / 10})
    logged = tracker._client.get_metric_history(second.run_id, "epoch/val.exact_match")
    assert sorted((one.step, one.value) for one in logged) == [(0, 0.0), (1, 0.1), (2, 0.2)]
    second.end()


SMALL = {"epochs": 1, "batch_size": 8, "width_stride": 8, "hidden": 16}
SIZE = {"image.height": 32, "image.width": 80}


@pytest.fixture
def one_time(monkeypatch):
    """Whatever takes time takes as long as everything else."""
    log = RunRecord._log_at

    def timeless(record, step, metrics, *of_model):
        same = {k: 1.0 if re.search("seconds|_ms", k) else v for k, v in metrics.items()}
        log(record, step, same, *of_model)

    monkeypatch.setattr(RunRecord, "_log_at", timeless)


# Two runs, as small as they can be.
ABLATION = """
[run]
epochs = 1
batch_size = 8
width_stride = 8
hidden = 16
image = { height = 32, width = 80 }

[[grid]]
loss = ["ctc", "ce_stop"]
"""


@pytest.mark.usefixtures("server", "one_time")
def test_the_report_is_that_of_a_local_store(tmp_path, make_cells, monkeypatch):
    data = make_cells(train=24, dev=6, val=8, human=2)
    preset = tmp_path / "two.toml"
    preset.write_text(ABLATION)

    def reported(name):
        assert ablation_and_report(str(preset), data, tmp_path / name, InProcess(), None, 1)
        folder = tmp_path / name / "report"
        return {
            file.relative_to(folder): plain(file.read_bytes(), tmp_path)
            for file in folder.rglob("*.*")
            if file.name != "made_of.json"
        }

    of_maker = reported("far")
    # Skipped by another machine, which has nothing of them.
    of_server = reported("other")
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    of_folder = reported("near")
    assert of_server.keys() == of_folder.keys() == of_maker.keys()
    for name, content in of_folder.items():
        assert of_server[name] == content, name


def plain(content, outs):
    """A file of a report without ids, addresses, times of day, and how many reports there were.

    outs: the folder of the machines' folders, of which a run's command names the one that made it.
    """
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return content
    if text.startswith("run_id,"):  # a machine's load is another each time, and never the runs' own
        runs = pd.read_csv(io.StringIO(text), dtype=str)
        own = [name for name in runs if "system/" not in name and name != "experiment_id"]
        text = runs[own].to_csv(index=False)
    text = re.sub(r"\d+ reports? (was|were) written", "REPORTS", text)
    text = re.sub(r"#/experiments/\d+/", "#/experiments/1/", text)
    text = re.sub(rf"{re.escape(str(outs))}/(far|other|near)\b", "OUT", text)
    ids = list(dict.fromkeys(re.findall(r"\b[0-9a-f]{32}\b", text)))
    text = re.sub(r"\b[0-9a-f]{32}\b", lambda found: f"RUN{ids.index(found[0])}", text)
    return re.sub(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d(\.\d+)?)?", "TIME", text)


@pytest.mark.usefixtures("server")
def test_what_one_machine_registers_another_reads_with(tmp_path, make_cells, cli, monkeypatch):
    # Left over of another project: nothing of it is used.
    monkeypatch.setenv("MLFLOW_REGISTRY_URI", f"sqlite:///{tmp_path / 'theirs.db'}")
    # Models have one name on a whole server.
    data = make_cells(train=24, dev=6, val=8, human=2)
    made = [
        run(run_config(SMALL | {"loss": "ctc", "seed": seed}, SIZE), data, tmp_path / "one")
        for seed in (0, 1)
    ]
    code, said, _ = cli("register", "--out", tmp_path / "one", "--run", made[1])
    assert code == 0
    assert f"champion: run {made[1]}, version 1 " in said
    images = data / "cell_images/validation_set"
    table = tmp_path / "read.csv"
    code, _, err = cli("predict", images, "--out", tmp_path / "two", "--output", table)
    assert code == 0, err
    assert len(table.read_text().splitlines()) == 3
    code, said, _ = cli(
        *("ensemble", "--run", made[0], "--run", made[1], "--data", data, "--out", tmp_path / "two")
    )
    assert code == 0
    together = load(tmp_path / "three").ensembles
    assert list(together.index) == [said.split()[-1]]
    assert not list(tmp_path.glob("*/mlflow.db"))
    assert not (tmp_path / "theirs.db").exists()
