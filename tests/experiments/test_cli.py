"""The command line as its user meets it: one line and exit code 2 for what they can put right."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from experiments.data.synthetic.strings import ensure_strings
from experiments.files import lock
from experiments.records.tracker import Tracker
from experiments.settings.config import run_config
from tests.command_line import one_line


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    counts = {"train": 64, "val": 16, "dev": 16}
    return ensure_strings(tmp_path_factory.mktemp("strings"), counts=counts)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A preset of two runs that take seconds."""
    file = tmp_path_factory.mktemp("presets") / "tiny.toml"
    file.write_text(
        "[run]\nepochs = 1\nwidth_stride = 8\nhidden = 16\n"
        '[[grid]]\nloss = ["ctc", "ce_stop"]\nimage = [{height = 32, width = 80, pad = 9}]\n'
    )
    return file


@pytest.fixture
def quickly(in_process, no_figures):
    """Runs in this process, and a report without its figures."""


def damaged(data, tmp_path):
    return shutil.copytree(data, tmp_path / "data")


def test_missing_folder(cli, tmp_path):
    gone = tmp_path / "gone"
    one_line(cli("train", "--preset", "smoke", "--data", gone, "--out", tmp_path), gone, "--data")


def test_empty_list(cli, data, tmp_path):
    copy = damaged(data, tmp_path)
    (copy / "crnn_labels/dev.txt").write_text("\n")
    one_line(cli("ablation", "--preset", "smoke", "--data", copy, "--out", tmp_path), "dev.txt")


def test_label_outside_the_charset(cli, data, tmp_path):
    copy = damaged(data, tmp_path)
    values = copy / "cell_images/training_set_values.txt"
    lines = values.read_text().splitlines()
    lines[3] = "3.jpg;12x"
    values.write_text("\n".join(lines))
    result = cli("train", "--preset", "smoke", "--data", copy, "--out", tmp_path)
    one_line(result, "row 4", "3.jpg", "'12x'", "charset")


def test_truncated_image(cli, data, tmp_path):
    copy = damaged(data, tmp_path)
    image = copy / "cell_images/training_set/5.jpg"
    image.write_bytes(image.read_bytes()[:300])
    one_line(cli("train", "--preset", "smoke", "--data", copy, "--out", tmp_path), image, "replace")


def test_listed_but_absent(cli, data, tmp_path):
    copy = damaged(data, tmp_path)
    (copy / "cell_images/training_set/7.jpg").unlink()
    result = cli("ablation", "--preset", "smoke", "--data", copy, "--out", tmp_path)
    one_line(result, "7.jpg", "absent")


def test_unknown_key(cli, data, tmp_path):
    command = ("train", "--preset", "smoke", "--data", data, "--out", tmp_path)
    one_line(cli(*command, "--set", "epoch=3"), "epoch", "did you mean 'epochs'")
    one_line(cli(*command, "--set", "image.widht=3"), "image.widht", "image.width")


def test_labels_that_ctc_cannot_emit(cli, data, tmp_path):
    command = ("train", "--preset", "smoke", "--data", data, "--out", tmp_path)
    result = cli(*command, "--set", "image.width=16", "--set", "width_stride=8")
    one_line(result, ".jpg", "CTC needs", "2", "width_stride")


def test_what_is_refused_leaves_no_run_behind(cli, data, tmp_path):
    command = ("train", "--preset", "smoke", "--data", data, "--out", tmp_path)
    one_line(cli(*command, "--set", "image.width=16", "--set", "width_stride=8"), "CTC needs")
    one_line(cli(*command, "--set", "batch_size=500"), "add images or set batch_size")
    assert Tracker(tmp_path)._search("tags.kind = 'run'") == []


def test_unknown_preset(cli, tmp_path):
    one_line(cli("ablation", "--preset", "quikc", "--out", tmp_path), "quikc", "quick")


def test_report_of_nothing(cli, tmp_path):
    one_line(cli("report", "--out", tmp_path), "make ablation")


def test_an_ensemble_of_no_runs(cli, data, tmp_path):
    two = ("--run", "gone", "--run", "lost")
    one_line(cli("ensemble", *two, "--data", data, "--out", tmp_path), tmp_path, "make ablation")
    one_line(cli("ensemble", "--run", "gone", "--data", data, "--out", tmp_path), "--run", "--tta")


def test_a_profile_makes_no_run(cli, data, tiny, tmp_path):
    out = tmp_path / "out"
    code, said, _ = cli("train", "--preset", tiny, "--data", data, "--out", out, "--profile")
    assert (code, "images a second" in said) == (0, True)
    assert not (out / "mlflow.db").exists()


def test_a_wrong_option_is_exit_code_2(cli):
    assert cli("train", "--no-such-option")[0] == 2


def test_help_tells_every_command(cli):
    code, out, _ = cli("--help")
    assert code == 0
    commands = (
        "ablation train predict demo ensemble export register serve audit suspects augmentations"
    )
    for command in [*commands.split(), "mnist", "data", "report"]:
        assert command in out


def test_augmentations_are_shown_on_cells_of_ones_own(cli, data, tmp_path):
    one_line(cli("augmentations", "--data", tmp_path / "gone", "--out", tmp_path), "gone")
    command = (
        "augmentations",
        "--data",
        data,
        "--out",
        tmp_path,
        "--set",
        "augmentation.shear=0.1",
    )
    code, said, _ = cli(*command)
    assert (code, said.strip()) == (0, str(tmp_path / "figures/augmentation.png"))
    assert (tmp_path / "figures/augmentation.png").is_file()


def note_says_what_the_report_does(note, out, said):
    """The answer and the arms are the first thing on the parent's page in MLflow."""
    report = (out / "report/report.md").read_text().split("\n")
    assert set(note.split("\n")) <= {*report, ""}
    assert "### Arms" in note
    assert said.strip().split("\n")[1].partition(": ")[2] in note.replace("**", "")


def predictions_are_those_logged(cli, run_id, images, output, out, folder):
    """What `predict` reads in the run's own test images is what the run has on record."""
    assert cli("predict", "--run", run_id, images, "--output", output, "--out", out)[0] == 0
    table = pd.read_csv(output, sep=";", dtype=str, keep_default_na=False).set_index("filename")
    assert list(table.columns) == ["value", "confidence", "characters"]
    assert len(table) == 96
    logged = pd.read_csv(folder / "predictions.csv", dtype=str, keep_default_na=False)
    for _, row in logged[logged["split"] == "test"].iterrows():
        assert table.loc[row["filename"], "value"] == row["reading"]
        sure = float(table.loc[row["filename"], "confidence"])
        assert sure == pytest.approx(float(row["confidence"]), abs=1e-3)
        assert len(table.loc[row["filename"], "characters"].split()) == len(row["reading"])


@pytest.mark.slow
def test_from_ablation_to_prediction(cli, data, tiny, tmp_path, request):
    out = tmp_path / "out"
    before = sorted((p, p.stat().st_mtime_ns) for p in data.rglob("*"))
    command = ("ablation", "--preset", tiny, "--data", data, "--out", out, "--jobs", 2)
    code, said, _ = cli(*command)
    assert (code, "2 made, 0 finished before" in said) == (0, True)
    assert (out / "report/report.md").is_file()

    # What other programs rely on: names of tags, metrics and artifacts, and the parent.
    runs = pd.read_csv(out / "report/runs.csv", dtype=str).set_index("tags.loss")
    assert set(runs.index) == {"ctc", "ce_stop"}
    (parent,) = runs["tags.mlflow.parentRunId"].unique()
    tracker = Tracker(out)
    record = tracker._client.get_run(parent)
    assert (record.data.tags["kind"], record.info.status) == ("ablation", "FINISHED")
    note_says_what_the_report_does(record.data.tags["mlflow.note.content"], out, said)
    for _, run in runs.iterrows():
        for tag in ("backbone", "augmentation", "seed", "dataset", "split", "run_hash"):
            assert run[f"tags.{tag}"]
        for metric in ("val.exact_match", "test.exact_match", "test_clean.exact_match", "test.cer"):
            assert float(run[f"metrics.{metric}"]) >= 0
        for metric in ("train.seconds", "cost.parameters", "cost.multiply_adds", "cost.latency_ms"):
            assert float(run[f"metrics.{metric}"]) > 0
        folder = tracker.artifacts(run["run_id"])
        assert folder is not None
        config = run_config(json.loads((folder / "config.json").read_text()), {})
        assert config.run_hash(run["tags.data_digest"]) == run["tags.run_hash"]
        apart = [f"`{key}` = `{value}`" for key, value in config.identity().items()]
        assert all(one in tracker.tags(run["run_id"])["mlflow.note.content"] for one in apart)
        assert (folder / "weights.safetensors").is_file()
        read = pd.read_csv(folder / "predictions.csv", dtype=str, keep_default_na=False)
        columns = ["split", "filename", "truth", "reading", "confidence", "label_loss"]
        assert list(read.columns) == columns
        test = read[read["split"] == "test"]
        assert len(test) == 16
        right = (test["truth"] == test["reading"]).mean()
        assert right == pytest.approx(float(run["metrics.test.exact_match"]))

    # Again: everything is there. Another seed: one more of each, this time in this process.
    request.getfixturevalue("quickly")
    # The report is left as it is until there is another run, or the file itself has changed.
    page = out / "report/report.md"
    for seeds, counts, written in (
        ((), "0 made, 2 finished", False),
        (("--seeds", "1,"), "2 made, 0 finished", True),
        (("--seeds", "1,"), "0 made, 2 finished", True),
    ):
        stood = page.stat().st_mtime_ns
        code, said, _ = cli(*command, *seeds)
        assert (code, f"{counts} before" in said) == (0, True)
        assert str(page) in said
        assert "right" in said
        assert (page.stat().st_mtime_ns != stood) is written
        if counts.startswith("2 made"):
            page.write_text("edited")

    run_id = runs.loc["ctc", "run_id"]
    output = tmp_path / "read.csv"
    images = data / "cell_images/training_set"
    folder = tracker.artifacts(run_id)
    assert folder is not None
    predictions_are_those_logged(cli, run_id, images, output, out, folder)

    # Nothing of the user's is overwritten.
    one_line(cli("predict", "--run", run_id, images, "--output", output, "--out", out), output)
    one_line(cli("predict", "--run", "nope", images, "--output", tmp_path / "x", "--out", out))
    assert sorted((p, p.stat().st_mtime_ns) for p in data.rglob("*")) == before


@pytest.mark.slow
@pytest.mark.usefixtures("quickly")
def test_a_failed_run_is_reported_and_the_rest_goes_on(cli, data, tmp_path):
    # A rate at which the loss is no number after a few steps, beside one that is well.
    preset = tmp_path / "broken.toml"
    preset.write_text(
        "[run]\nepochs = 2\nimage = {width = 80}\nwidth_stride = 8\nhidden = 16\nbatch_size = 8\n"
        '[[grid]]\nloss = ["ctc"]\n"optimizer.max_lr" = [1e30, 0.001]\n'
    )
    out = tmp_path / "out"
    code, said, err = cli("ablation", "--preset", preset, "--data", data, "--out", out, "--jobs", 1)
    assert code == 1
    assert "1 made, 0 finished before, 1 failed" in said
    log = err.split("see ")[1].strip()
    assert "training diverged" in Path(log).read_text()
    assert "FAILED" in (out / "report/report.md").read_text()


def test_a_second_ablation_leaves_the_first_and_its_parent_alone(cli, data, tiny, tmp_path):
    command = ("ablation", "--preset", tiny, "--data", data, "--out", tmp_path, "--jobs", 1)
    with lock(tmp_path / "ablation.lock"):
        one_line(cli(*command), "another ablation is at work")
    assert not (tmp_path / "mlflow.db").exists()


@pytest.fixture
def one_stride(monkeypatch):
    """Time steps at one width stride: the others have tests of their own, and take seconds."""
    monkeypatch.setattr("experiments.data.audit.findings.STRIDES", (4,))


@pytest.mark.slow
def test_audit_from_data_to_page(cli, make_cells, one_stride, tmp_path):  # noqa: ARG001
    folder = make_cells(train=8, dev=4, human=0, duplicates=0, leaked=1, human_leaked=0)
    arguments = ("audit", "--data", folder, "--out", tmp_path / "out")
    code, out, _ = cli(*arguments, "--json", tmp_path / "found.json")
    assert code == 0
    assert out.startswith("1 dev images are identical to train ones.")
    facts = json.loads((tmp_path / "found.json").read_text())
    assert facts["leaks"] == [{"part": "dev", "of": "train", "images": 1}]
    assert "<html" in (tmp_path / "out/audit/cells/audit.html").read_text()
    assert "# Audit of cells" in (tmp_path / "out/audit/cells/audit.md").read_text()
    # The findings are an exit code where that is asked for.
    assert cli(*arguments, "--strict")[0] == 1
    clean = make_cells(train=8, dev=4, human=0, duplicates=2, leaked=0, human_leaked=0)
    assert cli("audit", "--data", clean, "--out", tmp_path / "out", "--strict")[0] == 0


@pytest.mark.slow
def test_audit_of_what_is_not_there_and_over_what_is(cli, make_cells, one_stride, tmp_path):  # noqa: ARG001
    one_line(cli("audit", "--data", tmp_path / "nowhere", "--out", tmp_path), "nowhere", "--data")
    notes = tmp_path / "notes.json"
    notes.write_text("mine")
    result = cli("audit", "--data", make_cells(), "--out", tmp_path, "--json", notes)
    one_line(result, notes, "name another file")
    assert notes.read_text() == "mine"


@pytest.mark.slow
@pytest.mark.usefixtures("quickly")
def test_suspects_from_folds_to_page(cli, make_cells, tmp_path):
    folder = make_cells(train=40, dev=24, human=0, duplicates=4, leaked=2, human_leaked=0)
    one_line(
        cli("suspects", "--data", folder, "--out", tmp_path),
        f"make ablation DATA={folder} PRESET=suspects OUT={tmp_path}",
    )
    preset = tmp_path / "folds.toml"
    preset.write_text(
        '[run]\nsplit = "kfold"\nfolds = 2\nepochs = 1\nwidth_stride = 8\nhidden = 16\n'
        "batch_size = 8\nlabel_noise = 0.1\nloss_options.allow_infeasible = true\n"
        "[[grid]]\nfold = [0, 1]\n"
    )
    code, _, err = cli("ablation", "--preset", preset, "--data", folder, "--out", tmp_path)
    assert (code, err) == (0, "")
    code, out, _ = cli("suspects", "--data", folder, "--out", tmp_path)
    assert code == 0
    table = pd.read_csv(tmp_path / "suspects/cells/suspects-noise-0.1.csv", dtype=str)
    # Every labelled image once, wherever it is listed; 10% of 64 labels changed.
    assert len(table) == len(set(zip(table["part"], table["filename"], strict=True))) == 64
    assert (table["changed"] == "True").sum() == 6
    page = (tmp_path / "suspects/cells/suspects-noise-0.1.html").read_text()
    assert page.count("data:image/png") == 64
    assert "changed by one character on purpose" in page
    assert str(tmp_path / "suspects/cells/suspects-noise-0.1.html") in out


@pytest.mark.parametrize(
    ("given", "then"),
    [({}, "10000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "None")],
)
def test_threads_wait_briefly_unless_the_user_says_otherwise(given, then, monkeypatch):
    for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    program = """
import os, sys
from experiments.__main__ import app, main
@app.command()
def shown():
    print(os.environ.get("GOMP_SPINCOUNT"), "torch" in sys.modules)
sys.argv = ["head-to-head", "shown"]
main()
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=Path(__file__).parents[2], capture_output=True,
        text=True, check=True,
    )  # fmt: skip
    # What loads torch reads it, and torch is loaded later.
    assert done.stdout.split() == [then, "False"]
